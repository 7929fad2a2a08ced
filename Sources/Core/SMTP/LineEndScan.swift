// SPDX-License-Identifier: ISC

/// Looking for the few bytes at which framing has something to decide, eight at a time.
extension Span where Element == UInt8 {
    /// The index of the first CR, LF or NUL at or behind `start`; `count` when there is none.
    func indexOfLineControl(from start: Int) -> Int {
        var index = start
        let raw = bytes
        while index <= count &- 8 {
            let word = UInt64(littleEndian: raw.unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self))
            let hits = word.zeroBytes | word.zeroBytes(equalling: 0x0A) | word.zeroBytes(equalling: 0x0D)
            if hits != 0 { return index &+ hits.trailingZeroBitCount / 8 }
            index &+= 8
        }
        while index < count {
            switch self[index] {
            case 0x00, 0x0A, 0x0D: return index
            default: index &+= 1
            }
        }
        return count
    }
}

extension UInt64 {
    private static var everyByte: UInt64 { 0x0101_0101_0101_0101 }

    /// The high bit of each byte that is zero. Above the lowest such byte others may be marked wrongly; that one is exact.
    fileprivate var zeroBytes: UInt64 { (self &- Self.everyByte) & ~self & (Self.everyByte << 7) }

    /// The same for bytes that equal `byte`.
    fileprivate func zeroBytes(equalling byte: UInt64) -> UInt64 { (self ^ (Self.everyByte &* byte)).zeroBytes }
}
