// SPDX-License-Identifier: ISC

/// Live messages by their numbers, in blocks of rows: growing moves none of them, and what a hash table leaves empty is
/// twelve bytes a place instead of a whole row.
struct LiveTable: Sequence {
    fileprivate struct Row {
        var number: UInt64
        /// nil where the row is free.
        var live: DiskSpool.Live?
    }

    private var slots: [UInt64: UInt32] = [:]
    private var blocks: [[Row]] = []
    private var free: [UInt32] = []

    private static let blockShift: UInt32 = 9
    private static let blockSize = 1 << Int(blockShift)

    var count: Int { slots.count }

    subscript(number: UInt64) -> DiskSpool.Live? {
        get {
            guard let slot = slots[number] else { return nil }
            return blocks[Self.block(of: slot)][Self.row(of: slot)].live
        }
        // In place: a message to thousands has a table of outcomes that must not be copied for each of them.
        _modify {
            if let slot = slots[number] {
                let block = Self.block(of: slot)
                let row = Self.row(of: slot)
                yield &blocks[block][row].live
                if blocks[block][row].live == nil { forget(number, slot) }
            } else {
                var live: DiskSpool.Live?
                yield &live
                if live != nil { insert(Row(number: number, live: live)) }
            }
        }
    }

    private static func block(of slot: UInt32) -> Int { Int(slot >> blockShift) }
    private static func row(of slot: UInt32) -> Int { Int(slot) & (blockSize - 1) }

    private mutating func insert(_ row: Row) {
        if let slot = free.popLast() {
            blocks[Self.block(of: slot)][Self.row(of: slot)] = row
            slots[row.number] = slot
            return
        }
        if blocks.last.map({ $0.count == Self.blockSize }) ?? true {
            var block: [Row] = []
            block.reserveCapacity(Self.blockSize)
            blocks.append(block)
        }
        let last = blocks.count - 1
        slots[row.number] = UInt32(last * Self.blockSize + blocks[last].count)
        blocks[last].append(row)
    }

    private mutating func forget(_ number: UInt64, _ slot: UInt32) {
        slots[number] = nil
        if slots.isEmpty { self = LiveTable() } else { free.append(slot) }
    }

    struct Iterator: IteratorProtocol {
        fileprivate let blocks: [[Row]]
        fileprivate var block = 0
        fileprivate var row = 0

        mutating func next() -> (number: UInt64, live: DiskSpool.Live)? {
            while block < blocks.count {
                guard row < blocks[block].count else {
                    block += 1
                    row = 0
                    continue
                }
                let found = blocks[block][row]
                row += 1
                if let live = found.live { return (found.number, live) }
            }
            return nil
        }
    }

    func makeIterator() -> Iterator { Iterator(blocks: blocks) }
}
