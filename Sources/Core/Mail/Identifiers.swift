// SPDX-License-Identifier: ISC

import Bytes

/// The number of a message while it lives here; written as 8 hexadecimal digits.
public struct MessageID: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let value: UInt32

    public init(_ value: UInt32) { self.value = value }

    public init?(_ text: String) {
        guard let value = Hexadecimal.value(text, width: 8) else { return nil }
        self.value = UInt32(truncatingIfNeeded: value)
    }

    public var description: String { Hexadecimal.text(UInt64(value), width: 8) }
    public static func < (left: MessageID, right: MessageID) -> Bool { left.value < right.value }
}

/// The number of one recipient of a message: the message's id above, a number of its own below; 16 hexadecimal digits.
public struct EnvelopeID: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let value: UInt64

    public init(_ value: UInt64) { self.value = value }
    public init(_ message: MessageID, number: UInt32) { value = UInt64(message.value) << 32 | UInt64(number) }

    public init?(_ text: String) {
        guard let value = Hexadecimal.value(text, width: 16) else { return nil }
        self.value = value
    }

    public var message: MessageID { MessageID(UInt32(truncatingIfNeeded: value >> 32)) }
    public var number: UInt32 { UInt32(truncatingIfNeeded: value) }
    public var description: String { Hexadecimal.text(value, width: 16) }
    public static func < (left: EnvelopeID, right: EnvelopeID) -> Bool { left.value < right.value }
}

/// The number of a client's session; written as 16 hexadecimal digits in the log.
public struct SessionID: Hashable, Sendable, CustomStringConvertible {
    public let value: UInt64

    public init(_ value: UInt64) { self.value = value }

    public var description: String { Hexadecimal.text(value, width: 16) }
}

/// Stands for a Message-ID in eight bytes: enough to find the message by it, not to tell it again.
public struct MessageFingerprint: Hashable, Sendable {
    public let value: UInt64

    public init(value: UInt64) { self.value = value }

    /// Of the text without blanks around it and without its angle brackets.
    public init(of identifier: String) {
        var bytes = Array(identifier.utf8)[...]
        while let last = bytes.last, last.isBlank || last == UInt8(ascii: ">") { bytes = bytes.dropLast() }
        while let first = bytes.first, first.isBlank || first == UInt8(ascii: "<") { bytes = bytes.dropFirst() }
        // FNV-1a: the same in every process, as it stands in the spool. Whoever makes two alike only confuses a search.
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        value = hash
    }
}
