// SPDX-License-Identifier: ISC

/// Records in numbered slots, in blocks: growing moves nothing, and a freed slot is used again.
struct Slab<Record: Sendable>: Sendable {
    private var blocks: [[Record]] = []
    private var free: [UInt32] = []
    private(set) var count = 0

    private static var blockSize: Int { 1024 }
    private static var blockShift: Int { 10 }

    subscript(slot: UInt32) -> Record {
        get { blocks[Int(slot) >> Self.blockShift][Int(slot) & (Self.blockSize - 1)] }
        set { blocks[Int(slot) >> Self.blockShift][Int(slot) & (Self.blockSize - 1)] = newValue }
    }

    /// Whether the slot was ever given out since the slab was last empty.
    func contains(_ slot: UInt32) -> Bool {
        let block = Int(slot) >> Self.blockShift
        return block < blocks.count && Int(slot) & (Self.blockSize - 1) < blocks[block].count
    }

    mutating func insert(_ record: Record) -> UInt32 {
        count += 1
        if let slot = free.popLast() {
            self[slot] = record
            return slot
        }
        if blocks.isEmpty || blocks[blocks.count - 1].count == Self.blockSize {
            var block: [Record] = []
            block.reserveCapacity(Self.blockSize)
            blocks.append(block)
        }
        let last = blocks.count - 1
        blocks[last].append(record)
        return UInt32(last * Self.blockSize + blocks[last].count - 1)
    }

    mutating func remove(_ slot: UInt32) {
        count -= 1
        guard count > 0 else {
            self = Slab()
            return
        }
        free.append(slot)
    }
}
