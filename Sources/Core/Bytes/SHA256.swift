// SPDX-License-Identifier: ISC

/// The secure hash algorithm 2 with 256 bits (RFC 6234), and what RFC 5802 builds of it.
public struct SHA256: Sendable {
    public static let digestLength = 32
    private static let blockLength = 64
    // The length of the message stands in the last 8 bytes of the last block.
    private static let lengthOffset = 56

    private var words: [8 of UInt32] = [
        0x6A09_E667, 0xBB67_AE85, 0x3C6E_F372, 0xA54F_F53A, 0x510E_527F, 0x9B05_688C, 0x1F83_D9AB, 0x5BE0_CD19,
    ]
    private var block: [UInt8] = []
    private var count: UInt64 = 0

    // RFC 6234 section 5.1: the first bits of the cube roots of the first primes.
    private static let constants: [UInt32] = [
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98,
        0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
        0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8,
        0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
        0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819,
        0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
        0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
        0xc67178f2,
    ]

    public init() { block.reserveCapacity(Self.blockLength) }

    public static func digest(_ message: [UInt8]) -> [UInt8] {
        var hash = SHA256()
        hash.update(message)
        return hash.finish()
    }

    public mutating func update(_ bytes: [UInt8]) {
        for byte in bytes {
            block.append(byte)
            if block.count == Self.blockLength { digestBlock() }
        }
        count &+= UInt64(bytes.count) &* 8
    }

    public consuming func finish() -> [UInt8] {
        // RFC 6234 section 4.1: a one bit, zeros, and the length in bits.
        let length = count
        update([0x80])
        while block.count != Self.lengthOffset { update([0]) }
        update((0..<8).map { UInt8(truncatingIfNeeded: length >> (56 - 8 * UInt64($0))) })
        var digest: [UInt8] = []
        digest.reserveCapacity(Self.digestLength)
        for index in words.indices {
            for shift: UInt32 in [24, 16, 8, 0] { digest.append(UInt8(truncatingIfNeeded: words[index] >> shift)) }
        }
        return digest
    }

    // RFC 6234 section 6.2, with its names.
    private mutating func digestBlock() {
        var schedule: [64 of UInt32] = .init(repeating: 0)
        for index in 0..<16 {
            var word: UInt32 = 0
            for offset in 0..<4 { word = word << 8 | UInt32(block[index * 4 + offset]) }
            schedule[index] = word
        }
        for index in 16..<64 {
            let (far, near) = (schedule[index - 15], schedule[index - 2])
            let small0 = Self.rotate(far, 7) ^ Self.rotate(far, 18) ^ far >> 3
            let small1 = Self.rotate(near, 17) ^ Self.rotate(near, 19) ^ near >> 10
            schedule[index] = small1 &+ schedule[index - 7] &+ small0 &+ schedule[index - 16]
        }
        var (a, b, c, d) = (words[0], words[1], words[2], words[3])
        var (e, f, g, h) = (words[4], words[5], words[6], words[7])
        for index in 0..<64 {
            let large1 = Self.rotate(e, 6) ^ Self.rotate(e, 11) ^ Self.rotate(e, 25)
            let choice = (e & f) ^ (~e & g)
            let first = h &+ large1 &+ choice &+ Self.constants[index] &+ schedule[index]
            let large0 = Self.rotate(a, 2) ^ Self.rotate(a, 13) ^ Self.rotate(a, 22)
            let majority = (a & b) ^ (a & c) ^ (b & c)
            (h, g, f, e, d, c, b, a) = (g, f, e, d &+ first, c, b, a, first &+ large0 &+ majority)
        }
        let sums = [a, b, c, d, e, f, g, h]
        for index in words.indices { words[index] = words[index] &+ sums[index] }
        block.removeAll(keepingCapacity: true)
    }

    private static func rotate(_ word: UInt32, _ count: UInt32) -> UInt32 { word >> count | word << (32 - count) }

    // MARK: Keyed

    /// The message authentication code of RFC 2104.
    public static func authenticate(_ message: [UInt8], key: [UInt8]) -> [UInt8] {
        var block = key.count > blockLength ? digest(key) : key
        block += [UInt8](repeating: 0, count: blockLength - block.count)
        return digest(block.map { $0 ^ 0x5C } + digest(block.map { $0 ^ 0x36 } + message))
    }
}

/// The key that a password makes (RFC 5802 section 2.2, `Hi`): as slow as the server wants it, hence in steps.
public struct PasswordKey: Hashable, Sendable, CustomStringConvertible, CustomReflectable {
    private let password: [UInt8]
    private var last: [UInt8]
    private var sum: [UInt8]
    private var left: Int

    /// `iterations` is at least one.
    public init(password: [UInt8], salt: [UInt8], iterations: Int) {
        self.password = password
        last = SHA256.authenticate(salt + [0, 0, 0, 1], key: password)
        sum = last
        left = max(1, iterations) - 1
    }

    public var description: String { "<secret>" }
    public var customMirror: Mirror { Mirror(self, children: EmptyCollection<Mirror.Child>()) }

    /// Goes on for so many iterations; the key when it is done.
    public mutating func advance(_ iterations: Int) -> [UInt8]? {
        let count = min(left, iterations)
        for _ in 0..<count {
            last = SHA256.authenticate(last, key: password)
            for index in sum.indices { sum[index] ^= last[index] }
        }
        left -= count
        return left == 0 ? sum : nil
    }
}
