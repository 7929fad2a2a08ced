// SPDX-License-Identifier: ISC

import Bytes

/// The part of an address before the `@` (RFC 5321 section 4.1.2), without quotes: what it means, not how it was written.
public struct LocalPart: Hashable, Sendable, CustomStringConvertible {
    // RFC 5321 section 4.5.3.1.1 has 64; the reference takes 255, and users have such addresses.
    public static let longest = 255

    public let text: String

    /// Any printable text, also beyond ASCII (RFC 6531 section 3.3); nil when it is empty, too long or carries a control
    /// character or a line separator.
    public init?(_ text: String) {
        guard !text.isEmpty, text.utf8.count <= Self.longest, text.isPrintableText else { return nil }
        self.text = text
    }

    public var isASCII: Bool { text.utf8.allSatisfy { $0 < 0x80 } }

    /// As it stands in an address: a dot-string where that is possible, else a quoted string.
    public var description: String {
        if isDotString { return text }
        // By bytes: a mark behind a quote makes one character of both, which is no quote.
        var bytes: [UInt8] = [UInt8(ascii: "\"")]
        for byte in text.utf8 {
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { bytes.append(UInt8(ascii: "\\")) }
            bytes.append(byte)
        }
        bytes.append(UInt8(ascii: "\""))
        return String(decoding: bytes, as: UTF8.self)
    }

    private var isDotString: Bool {
        var previous = UInt8.dot
        for byte in text.utf8 {
            if byte == .dot {
                guard previous != .dot else { return false }
            } else if !byte.isAtomText, byte < 0x80 {
                return false
            }
            previous = byte
        }
        return previous != .dot
    }
}

extension UInt8 {
    // atext = ALPHA / DIGIT / "!" / "#" / "$" / "%" / "&" / "'" / "*" / "+" / "-" / "/" / "=" / "?" / "^" / "_" / "`"
    //       / "{" / "|" / "}" / "~"                                                     (RFC 5322 section 3.2.3)
    public var isAtomText: Bool {
        if isAlphanumeric { return true }
        switch self {
        case UInt8(ascii: "!"), UInt8(ascii: "#"), UInt8(ascii: "$"), UInt8(ascii: "%"), UInt8(ascii: "&"),
            UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "/"),
            UInt8(ascii: "="), UInt8(ascii: "?"), UInt8(ascii: "^"), UInt8(ascii: "_"), UInt8(ascii: "`"),
            UInt8(ascii: "{"), UInt8(ascii: "|"), UInt8(ascii: "}"), UInt8(ascii: "~"):
            return true
        default:
            return false
        }
    }
}

/// An address of mail, `local-part@domain`; compared exactly before the `@` and without case behind it.
public struct Mailbox: Hashable, Sendable, CustomStringConvertible {
    public var localPart: LocalPart
    public var domain: Domain

    public init(_ localPart: LocalPart, at domain: Domain) {
        self.localPart = localPart
        self.domain = domain
    }

    /// The address that `text` spells in full; nil when it is none.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        var rest = bytes.span
        guard let mailbox = rest.takeMailbox(defaultDomain: nil), rest.isEmpty else { return nil }
        self = mailbox
    }

    public var description: String { "\(localPart)@\(domain)" }

    /// Whether the address can be said without SMTPUTF8 as it is written (RFC 6531).
    public var isASCII: Bool { localPart.isASCII && domain.isASCII }

    /// The same address with its domain in A-labels; nil when its local part is not ASCII.
    public var inASCII: Mailbox? {
        guard localPart.isASCII, let domain = domain.inASCII else { return nil }
        return Mailbox(localPart, at: domain)
    }
}

extension String {
    /// Whether no character controls anything: such text fits a line of a protocol, a log or a header.
    var isPrintableText: Bool {
        if utf8.allSatisfy(\.isPrintable) { return true }
        return unicodeScalars.allSatisfy { scalar in
            if scalar.isASCII { return UInt8(ascii: scalar).isPrintable }
            switch scalar.properties.generalCategory {
            case .control, .lineSeparator, .paragraphSeparator, .surrogate, .unassigned, .privateUse, .format:
                return false
            case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter,
                .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .letterNumber, .otherNumber,
                .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
                .finalPunctuation, .otherPunctuation, .mathSymbol, .currencySymbol, .modifierSymbol, .otherSymbol,
                .spaceSeparator:
                return true
            @unknown default:
                return false
            }
        }
    }

    /// The text of bytes that are whole UTF-8.
    init?(strict bytes: Span<UInt8>) { self.init(validating: bytes.array, as: UTF8.self) }
}

extension Span where Element == UInt8 {
    // Mailbox = Local-part "@" ( Domain / address-literal )
    /// Takes a mailbox from the front. A local part that no `@` follows gets `defaultDomain`, when there is one.
    public mutating func takeMailbox(defaultDomain: Domain?) -> Mailbox? {
        guard let localPart = takeLocalPart() else { return nil }
        guard take(byte: UInt8(ascii: "@")) else {
            return defaultDomain.map { Mailbox(localPart, at: $0) }
        }
        let isLiteral = first == UInt8(ascii: "[")
        var closed = false
        let name = take(while: { byte in
            if isLiteral {
                if closed { return false }
                closed = byte == UInt8(ascii: "]")
                return byte.isVisible
            }
            return byte.isAlphanumeric || byte == .dot || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
                || byte >= 0x80
        })
        return Domain(parsing: name).map { Mailbox(localPart, at: $0) }
    }

    // Local-part = Dot-string / Quoted-string
    private mutating func takeLocalPart() -> LocalPart? {
        if take(byte: UInt8(ascii: "\"")) { return takeQuotedRest() }
        // RFC 6531 section 3.3: atext and qtext take in all of UTF-8 beyond ASCII.
        let text = take(while: { $0.isAtomText || $0 == .dot || $0 >= 0x80 })
        guard let first = text.first, first != .dot, text[text.count - 1] != .dot else { return nil }
        for index in 1..<max(1, text.count) where text[index] == .dot && text[index - 1] == .dot { return nil }
        return String(strict: text).flatMap(LocalPart.init)
    }

    // QcontentSMTP = qtextSMTP / quoted-pairSMTP
    private mutating func takeQuotedRest() -> LocalPart? {
        var text: [UInt8] = []
        while let byte = first {
            self = extracting(droppingFirst: 1)
            if byte == UInt8(ascii: "\"") { return String(strict: text.span).flatMap(LocalPart.init) }
            guard text.count < LocalPart.longest else { return nil }
            if byte == UInt8(ascii: "\\") {
                guard let escaped = first, escaped.isPrintable else { return nil }
                self = extracting(droppingFirst: 1)
                text.append(escaped)
            } else {
                guard byte.isPrintable || byte >= 0x80 else { return nil }
                text.append(byte)
            }
        }
        return nil
    }
}
