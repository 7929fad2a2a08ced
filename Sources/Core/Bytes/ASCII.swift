// SPDX-License-Identifier: ISC

/// The bytes that mail gives a meaning to, and their classes.
extension UInt8 {
    public static let horizontalTab: UInt8 = 0x09
    public static let lineFeed: UInt8 = 0x0A
    public static let carriageReturn: UInt8 = 0x0D
    public static let space: UInt8 = 0x20
    public static let dot: UInt8 = 0x2E
    public static let colon: UInt8 = 0x3A

    /// The byte of one ASCII character.
    public init(ascii character: Unicode.Scalar) {
        self = UInt8(truncatingIfNeeded: character.value)
    }

    public var isDigit: Bool { self >= 0x30 && self <= 0x39 }
    public var isLetter: Bool { (self | 0x20) >= 0x61 && (self | 0x20) <= 0x7A }
    public var isAlphanumeric: Bool { isDigit || isLetter }
    /// SP or HTAB, the WSP of RFC 5234.
    public var isBlank: Bool { self == .space || self == .horizontalTab }
    /// A printable ASCII character, the space included.
    public var isPrintable: Bool { self >= 0x20 && self < 0x7F }
    /// A printable ASCII character that is not a space.
    public var isVisible: Bool { self > 0x20 && self < 0x7F }

    /// The lower-case form of an ASCII letter; any other byte as it is.
    public var lowercased: UInt8 { self >= 0x41 && self <= 0x5A ? self | 0x20 : self }

    /// The value of a hexadecimal digit of either case.
    public var hexadecimalValue: UInt8? {
        switch self {
        case 0x30...0x39: self - 0x30
        case 0x41...0x46: self - 0x41 + 10
        case 0x61...0x66: self - 0x61 + 10
        default: nil
        }
    }
}

extension StringProtocol {
    /// By bytes, as protocols and paths are read: for `hasPrefix` a mark behind a slash makes another character of both.
    public func begins(with text: String) -> Bool { utf8.starts(with: text.utf8) }

    /// By bytes, as `begins`.
    public func ends(with text: String) -> Bool { utf8.reversed().starts(with: text.utf8.reversed()) }
}

extension String {
    /// The text with ASCII capitals made small; nothing else is folded, so the length never changes.
    public var asciiLowercased: String {
        guard utf8.contains(where: { $0 >= 0x41 && $0 <= 0x5A }) else { return self }
        return String(decoding: utf8.map(\.lowercased), as: UTF8.self)
    }

    /// The text of `bytes` when every one is ASCII.
    public init?(ascii bytes: Span<UInt8>) {
        for index in bytes.indices where bytes[index] >= 0x80 { return nil }
        self = bytes.withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
    }

    /// The text of `bytes`, each sequence that is not UTF-8 replaced; for display only.
    public init(displaying bytes: Span<UInt8>) {
        self = bytes.withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
    }
}
