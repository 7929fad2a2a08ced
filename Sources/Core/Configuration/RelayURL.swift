// SPDX-License-Identifier: ISC

import Bytes

/// Where a relay action sends: `[scheme://[label@]]host[:port]`.
public struct RelayURL: Hashable, Sendable, CustomStringConvertible {
    public enum Scheme: String, CaseIterable, Hashable, Sendable {
        /// STARTTLS when the host offers it.
        case smtp
        /// STARTTLS or nothing, the certificate verified.
        case smtpTLS = "smtp+tls"
        /// Never encrypted.
        case smtpPlain = "smtp+notls"
        /// TLS from the first byte.
        case smtps
        case lmtp

        /// Whether it promises the TLS without which nothing is proven with a password.
        public var mayHaveLabel: Bool {
            switch self {
            case .smtpTLS, .smtps: true
            case .smtp, .smtpPlain, .lmtp: false
            }
        }
    }

    // RFC 1035 section 2.3.4, and the brackets of an address literal.
    public static let longestHost = 255

    public var scheme: Scheme
    /// The key of the credentials in the table of `auth`, for schemes with certain TLS only.
    public var label: String?
    /// A name, or an address; an IPv6 address without its brackets.
    public var host: String
    public var port: UInt16?

    public init?(_ text: String) {
        var rest = Substring(text)
        scheme = .smtp
        if let end = rest.firstRange(of: "://") {
            guard let known = Scheme(rawValue: String(rest[..<end.lowerBound]).asciiLowercased) else { return nil }
            scheme = known
            rest = rest[end.upperBound...]
            if let at = rest.lastIndex(of: "@") {
                guard at > rest.startIndex, scheme.mayHaveLabel else { return nil }
                label = String(rest[..<at])
                rest = rest[rest.index(after: at)...]
            }
        }
        if rest.first == "[" {
            guard let close = rest.firstIndex(of: "]") else { return nil }
            host = String(rest[rest.index(after: rest.startIndex)..<close])
            rest = rest[rest.index(after: close)...]
        } else {
            let end = rest.firstIndex(of: ":") ?? rest.endIndex
            host = String(rest[..<end])
            rest = rest[end...]
        }
        let mayStandInHost = { (byte: UInt8) in
            byte.isAlphanumeric || byte == .dot || byte == .colon || byte == UInt8(ascii: "-")
                || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "%")
        }
        guard !host.isEmpty, host.utf8.count <= Self.longestHost, host.utf8.allSatisfy(mayStandInHost) else {
            return nil
        }
        if rest.isEmpty { return }
        let digits = rest.dropFirst()
        guard rest.first == ":", !digits.isEmpty, digits.utf8.allSatisfy(\.isDigit), let number = UInt16(digits),
            number > 0
        else { return nil }
        port = number
    }

    public var description: String {
        let hostText = host.utf8.contains(.colon) ? "[\(host)]" : host
        return "\(scheme.rawValue)://" + (label.map { "\($0)@" } ?? "") + hostText + (port.map { ":\($0)" } ?? "")
    }
}
