// SPDX-License-Identifier: ISC

/// First in, first out: the turn of routes that have work.
struct Ring {
    private var items: [UInt32] = []
    private var head = 0

    var isEmpty: Bool { head == items.count }

    var first: UInt32? { head < items.count ? items[head] : nil }

    mutating func append(_ item: UInt32) { items.append(item) }

    mutating func popFirst() -> UInt32? {
        guard head < items.count else { return nil }
        let item = items[head]
        head += 1
        if head == items.count {
            items.removeAll(keepingCapacity: items.count < 4096)
            head = 0
        } else if head >= 64, head * 2 >= items.count {
            items.removeFirst(head)
            head = 0
        }
        return item
    }
}
