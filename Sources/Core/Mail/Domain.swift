// SPDX-License-Identifier: ISC

import Bytes

/// The part of an address behind the `@`: a host name or an address literal (RFC 5321 section 4.1.2).
///
/// Compared without regard to case. Built only by parsing, so a value is always fit for a reply, a log line and the DNS.
public struct Domain: Sendable, CustomStringConvertible {
    public enum Form: Equatable, Sendable {
        case name
        case literal(IPAddress)
    }

    // RFC 1035 section 2.3.4
    public static let longest = 255
    public static let longestLabel = 63

    /// As written, brackets of a literal included.
    public let text: String
    public let form: Form

    public var description: String { text }
    /// The text in lower case, labels beyond ASCII as A-labels: the key of tables, caches and routes, and what the DNS
    /// is asked.
    public var canonical: String {
        if isASCII { return text.asciiLowercased }
        return InternationalLabel.asciiName(text) ?? text
    }

    public var isASCII: Bool { text.utf8.allSatisfy { $0 < 0x80 } }

    /// The domain in A-labels (RFC 5890 section 2.3.2.1).
    public var inASCII: Domain? { isASCII ? self : Domain(canonical) }

    /// A name such as `example.org`, or a literal such as `[192.0.2.1]` or `[IPv6:2001:db8::1]`; nil for anything else.
    public init?(_ text: String) {
        self.init(parsing: Array(text.utf8).span)
    }

    public init?(parsing bytes: Span<UInt8>) {
        guard bytes.count > 0, bytes.count <= Self.longest else { return nil }
        guard let text = String(ascii: bytes) else {
            guard let text = String(strict: bytes), let name = InternationalLabel.asciiName(text),
                Domain(name) != nil
            else { return nil }
            self.text = text
            form = .name
            return
        }
        if bytes[0] == UInt8(ascii: "[") {
            guard bytes[bytes.count - 1] == UInt8(ascii: "]") else { return nil }
            var inner = bytes.extracting(1..<(bytes.count - 1))
            let isTagged = inner.take(keyword: "IPv6:")
            guard let address = IPAddress(String(displaying: inner)), !isTagged || address.family == .v6 else {
                return nil
            }
            self.text = text
            form = .literal(address)
        } else {
            guard Self.isHostName(bytes) else { return nil }
            self.text = text
            form = .name
        }
    }

    public init(literal address: IPAddress) {
        text = address.literal
        form = .literal(address)
    }

    // Letters, digits, hyphen and, as the reference has it, underscore; no empty label, no trailing dot.
    private static func isHostName(_ bytes: Span<UInt8>) -> Bool {
        var labelLength = 0
        var previous = UInt8.dot
        for index in bytes.indices {
            let byte = bytes[index]
            if byte == .dot {
                guard labelLength > 0, previous != UInt8(ascii: "-") else { return false }
                labelLength = 0
            } else {
                let isHyphen = byte == UInt8(ascii: "-")
                guard byte.isAlphanumeric || byte == UInt8(ascii: "_") || isHyphen else { return false }
                guard !(isHyphen && labelLength == 0) else { return false }
                labelLength += 1
                guard labelLength <= longestLabel else { return false }
            }
            previous = byte
        }
        return labelLength > 0 && previous != UInt8(ascii: "-")
    }
}

extension Domain: Hashable {
    public static func == (left: Domain, right: Domain) -> Bool {
        left.text == right.text || left.canonical == right.canonical
    }

    public func hash(into hasher: inout Hasher) { hasher.combine(canonical) }
}
