// SPDX-License-Identifier: ISC

/// Lower-case hexadecimal of a fixed width, as ids are written.
public enum Hexadecimal {
    private static let digits: [UInt8] = Array("0123456789abcdef".utf8)

    /// `value` in `width` digits, leading zeros kept, higher digits dropped.
    public static func text(_ value: UInt64, width: Int) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(width)
        for place in stride(from: width - 1, through: 0, by: -1) {
            bytes.append(digits[Int((value >> UInt64(place * 4)) & 0xF)])
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The value of exactly `width` hexadecimal digits; nil for anything else.
    public static func value(_ text: some StringProtocol, width: Int) -> UInt64? {
        guard text.utf8.count == width, width <= 16 else { return nil }
        var value: UInt64 = 0
        for byte in text.utf8 {
            guard let digit = byte.hexadecimalValue else { return nil }
            value = value << 4 | UInt64(digit)
        }
        return value
    }
}
