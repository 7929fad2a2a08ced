// SPDX-License-Identifier: ISC

/// The secure hash algorithm 1 (RFC 3174), for what others have agreed upon with it and for nothing new.
struct SHA1 {
    static let digestLength = 20
    private static let blockLength = 64
    // The length of the message stands in the last 8 bytes of the last block.
    private static let lengthOffset = 56

    private var words: [5 of UInt32] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0]
    private var block: [UInt8] = []
    private var count: UInt64 = 0

    init() { block.reserveCapacity(Self.blockLength) }

    static func digest(_ message: some Sequence<UInt8>) -> [UInt8] {
        var hash = SHA1()
        hash.update(message)
        return hash.finish()
    }

    mutating func update(_ bytes: some Sequence<UInt8>) {
        for byte in bytes {
            block.append(byte)
            count &+= 8
            if block.count == Self.blockLength { digestBlock() }
        }
    }

    consuming func finish() -> [UInt8] {
        // RFC 3174 section 4: a one bit, zeros, and the length in bits.
        let length = count
        update([0x80])
        while block.count != Self.lengthOffset { update([0]) }
        update((0..<8).map { UInt8(truncatingIfNeeded: length >> (56 - 8 * UInt64($0))) })
        var digest: [UInt8] = []
        for index in words.indices {
            for shift in [24, 16, 8, 0] { digest.append(UInt8(truncatingIfNeeded: words[index] >> UInt32(shift))) }
        }
        return digest
    }

    // RFC 3174 section 6.1, with its names.
    private mutating func digestBlock() {
        var schedule: [80 of UInt32] = .init(repeating: 0)
        for index in 0..<16 {
            var word: UInt32 = 0
            for offset in 0..<4 { word = word << 8 | UInt32(block[index * 4 + offset]) }
            schedule[index] = word
        }
        for index in 16..<80 {
            let mixed = schedule[index - 3] ^ schedule[index - 8] ^ schedule[index - 14] ^ schedule[index - 16]
            schedule[index] = Self.rotate(mixed, 1)
        }
        var (a, b, c, d, e) = (words[0], words[1], words[2], words[3], words[4])
        for index in 0..<80 {
            let (mixed, constant): (UInt32, UInt32) =
                switch index {
                case ..<20: (b & c | ~b & d, 0x5A82_7999)
                case ..<40: (b ^ c ^ d, 0x6ED9_EBA1)
                case ..<60: (b & c | b & d | c & d, 0x8F1B_BCDC)
                default: (b ^ c ^ d, 0xCA62_C1D6)
                }
            let next = Self.rotate(a, 5) &+ mixed &+ e &+ schedule[index] &+ constant
            (a, b, c, d, e) = (next, a, Self.rotate(b, 30), c, d)
        }
        words[0] &+= a
        words[1] &+= b
        words[2] &+= c
        words[3] &+= d
        words[4] &+= e
        block.removeAll(keepingCapacity: true)
    }

    private static func rotate(_ word: UInt32, _ count: UInt32) -> UInt32 { word << count | word >> (32 - count) }
}
