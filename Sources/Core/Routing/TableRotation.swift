// SPDX-License-Identifier: ISC

/// The keys of a table one after the other, round and round: source addresses and relay hosts are used in turn.
public struct TableRotation: Sendable {
    private let content: TableContent
    private let order: [EntryStore.Index]
    private var position = 0

    public init(_ content: TableContent) {
        self.content = content
        order = content.order
    }

    /// The next key in ascending order, after the last one the first again; nil when there is none.
    public mutating func next() -> String? {
        guard !order.isEmpty else { return nil }
        defer { position = (position + 1) % order.count }
        return content.key(at: order[position])
    }
}
