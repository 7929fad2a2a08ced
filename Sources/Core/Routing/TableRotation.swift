// SPDX-License-Identifier: ISC

/// The keys of a table one after the other, round and round: source addresses and relay hosts are used in turn.
public struct TableRotation: Sendable {
    private let keys: [String]
    private var position = 0

    public init(_ content: TableContent) { keys = content.keys }

    /// The next key in ascending order, after the last one the first again; nil when there is none.
    public mutating func next() -> String? {
        guard !keys.isEmpty else { return nil }
        defer { position = (position + 1) % keys.count }
        return keys[position]
    }
}
