// SPDX-License-Identifier: ISC

import Bytes

/// An IPv4 or IPv6 address as a value; text and bytes convert without any system call.
public struct IPAddress: Hashable, Sendable, CustomStringConvertible {
    public enum Family: UInt8, Sendable {
        case v4 = 4
        case v6 = 6
    }

    public let family: Family
    /// 4 or 16 bytes in network order.
    public let bytes: [UInt8]

    /// An address of 4 or 16 bytes; nil for another count.
    public init?(bytes: [UInt8]) {
        switch bytes.count {
        case 4: family = .v4
        case 16: family = .v6
        default: return nil
        }
        self.bytes = bytes
    }

    private init(v4 first: UInt8, _ second: UInt8, _ third: UInt8, _ fourth: UInt8) {
        family = .v4
        bytes = [first, second, third, fourth]
    }

    public init?(_ text: String) {
        guard let bytes = Self.parseV4(text) ?? Self.parseV6(text) else { return nil }
        self.init(bytes: bytes)
    }

    public var description: String {
        family == .v4 ? bytes.map(String.init).joined(separator: ".") : textV6
    }

    /// As in an address: `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 section 4.1.3).
    public var literal: String { family == .v4 ? "[\(description)]" : "[IPv6:\(description)]" }

    /// As the reference prints clients: `192.0.2.1` or `[2001:db8::1]`.
    public var hostText: String { family == .v4 ? description : "[\(description)]" }

    public var isLoopback: Bool {
        family == .v4 ? bytes[0] == 127 : bytes.dropLast().allSatisfy { $0 == 0 } && bytes[15] == 1
    }

    /// Stands for a client of whom nobody knows where it is: no rule takes it for one of ours.
    public static let nowhere = IPAddress(v4: 0, 0, 0, 0)

    public var isUnspecified: Bool { bytes.allSatisfy { $0 == 0 } }

    public var isMulticast: Bool { family == .v4 ? bytes[0] >> 4 == 14 : bytes[0] == 0xFF }

    /// The IPv4 address inside an IPv4-mapped IPv6 address; otherwise the address itself.
    public var unmapped: IPAddress {
        guard family == .v6, bytes[0..<10].allSatisfy({ $0 == 0 }), bytes[10] == 0xFF, bytes[11] == 0xFF else {
            return self
        }
        return IPAddress(bytes: Array(bytes[12...])) ?? self
    }

    /// The name that a reverse lookup asks for (RFC 1035 section 3.5, RFC 3596 section 2.5).
    public var reverseName: String {
        switch family {
        case .v4:
            return bytes.reversed().map(String.init).joined(separator: ".") + ".in-addr.arpa"
        case .v6:
            let nibbles = bytes.reversed().flatMap { [$0 & 0xF, $0 >> 4] }
            return nibbles.map { Hexadecimal.text(UInt64($0), width: 1) }.joined(separator: ".") + ".ip6.arpa"
        }
    }

    private static func parseV4(_ text: String) -> [UInt8]? {
        let parts = text.split(separator: ".", maxSplits: 4, omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bytes: [UInt8] = []
        for part in parts {
            guard part.utf8.count <= 3, part.utf8.allSatisfy(\.isDigit), let value = UInt8(part) else { return nil }
            // A leading zero means octal to some readers and decimal to others.
            guard part.utf8.count == 1 || part.utf8.first != 0x30 else { return nil }
            bytes.append(value)
        }
        return bytes
    }

    private static func parseV6(_ text: String) -> [UInt8]? {
        guard text.utf8.count <= 45, text.utf8.contains(.colon) else { return nil }
        var head: [UInt8] = []
        var tail: [UInt8] = []
        var isCompressed = false
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count >= 3, parts.count <= 9 else { return nil }
        for (index, part) in parts.enumerated() {
            if part.isEmpty {
                let isEdge = index == 0 || index == parts.count - 1
                if isEdge {
                    // A colon at an edge is one half of a `::` there.
                    guard parts[index == 0 ? 1 : index - 1].isEmpty else { return nil }
                    if parts.count == 3 { isCompressed = true }
                    continue
                }
                guard !isCompressed || (parts.count == 3) else { return nil }
                isCompressed = true
                continue
            }
            var group: [UInt8]
            if index == parts.count - 1, part.utf8.contains(.dot) {
                guard let quad = parseV4(String(part)) else { return nil }
                group = quad
            } else {
                guard part.utf8.count <= 4, part.utf8.allSatisfy({ $0.hexadecimalValue != nil }),
                    let value = UInt16(part, radix: 16)
                else { return nil }
                group = [UInt8(value >> 8), UInt8(value & 0xFF)]
            }
            if isCompressed { tail += group } else { head += group }
            group.removeAll()
        }
        let count = head.count + tail.count
        if isCompressed {
            guard count <= 14 else { return nil }
            return head + [UInt8](repeating: 0, count: 16 - count) + tail
        }
        return count == 16 ? head : nil
    }

    // RFC 5952: the longest run of at least two zero groups is written `::`, the first of equals.
    private var textV6: String {
        let groups = (0..<8).map { UInt16(bytes[$0 * 2]) << 8 | UInt16(bytes[$0 * 2 + 1]) }
        var best = 0..<0
        var start = 0
        while start < 8 {
            var end = start
            while end < 8, groups[end] == 0 { end += 1 }
            if end - start > max(best.count, 1) { best = start..<end }
            start = max(end, start + 1)
        }
        func text(_ range: Range<Int>) -> String { groups[range].map { String($0, radix: 16) }.joined(separator: ":") }
        if best == 0..<5, groups[5] == 0xFFFF {
            return "::ffff:" + bytes[12...].map(String.init).joined(separator: ".")
        }
        return best.isEmpty ? text(0..<8) : text(0..<best.lowerBound) + "::" + text(best.upperBound..<8)
    }
}
