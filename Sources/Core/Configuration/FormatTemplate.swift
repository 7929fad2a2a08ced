// SPDX-License-Identifier: ISC

import Bytes

/// Text of the configuration, an alias or a ~/.forward in which `%{token[offsets]:modifiers}` stands for a part of the
/// envelope (smtpd.conf(5), format specifiers).
///
/// What is substituted was chosen by remote parties. In a command every byte of it that a shell could give a meaning
/// becomes `:`; in a path it can neither begin a component nor climb.
public struct FormatTemplate: Hashable, Sendable {
    public enum Use: Hashable, Sendable {
        /// Handed to a shell.
        case command
        /// A maildir or a file.
        case path
        /// The address of an LMTP server.
        case destination
    }

    public enum SyntaxError: Error, Hashable, Sendable, CustomStringConvertible {
        case unknownToken(String)
        case unknownModifier(String)
        case invalidOffsets(String)
        case rawInCommand

        public var description: String {
            switch self {
            case .unknownToken(let name): "unknown format specifier: \(name)"
            case .unknownModifier(let name): "unknown format modifier: \(name)"
            case .invalidOffsets(let text): "invalid format offsets: \(text)"
            case .rawInCommand: "the modifier raw may not be used in a command"
            }
        }
    }

    public enum ExpansionError: Error, Hashable, Sendable {
        /// The token has no value here: `mda` outside a wrapper, or offsets behind the end.
        case noValue
        case tooLong
        /// A component of the path would be `.` or `..`, or the text would carry a NUL.
        case unsafePath
    }

    // Of the reference, without its NULs.
    static let longestToken = 127
    static let longestResult = 1023
    static let longestCommand = 2047

    enum Token: String, CaseIterable, Hashable, Sendable {
        case sender
        case senderUser = "sender.user"
        case senderDomain = "sender.domain"
        case recipient = "rcpt"
        case recipientUser = "rcpt.user"
        case recipientDomain = "rcpt.domain"
        case destination = "dest"
        case destinationUser = "dest.user"
        case destinationDomain = "dest.domain"
        case userName = "user.username"
        case home = "user.directory"
        case mailboxFrom = "mbox.from"
        case command = "mda"
    }

    enum Modifier: String, Hashable, Sendable {
        case lowercase
        case uppercase
        case strip
        case raw
    }

    /// Both ends count from the end of the text when negative; the upper one is included.
    enum Offsets: Hashable, Sendable {
        case index(Int)
        case range(Int, Int?)
    }

    enum Part: Hashable, Sendable {
        case literal(String)
        case token(Token, Offsets?, [Modifier])
    }

    let parts: [Part]
    let use: Use

    /// A text whose `%{` is never closed is taken as it is, as the reference does.
    public init(_ text: String, for use: Use) throws(SyntaxError) {
        self.use = use
        parts = try Self.parts(of: Array(text.utf8)[...], for: use) ?? [.literal(text)]
    }

    var tokens: [Token] {
        parts.compactMap { part in
            if case .token(let token, _, _) = part { token } else { nil }
        }
    }

    /// Whether it is the same for every envelope.
    public var isConstant: Bool { tokens.isEmpty }

    /// Whether it speaks of the home directory of the recipient.
    public var namesHome: Bool { tokens.contains(.home) }

    private static func parts(of text: ArraySlice<UInt8>, for use: Use) throws(SyntaxError) -> [Part]? {
        var rest = text
        var parts: [Part] = []
        var literal: [UInt8] = []
        func flush() {
            if !literal.isEmpty { parts.append(.literal(String(decoding: literal, as: UTF8.self))) }
            literal.removeAll()
        }
        if use != .destination, rest.starts(with: "~/".utf8) {
            parts.append(.token(.home, nil, []))
            rest = rest.dropFirst()
        }
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%"), let next = rest.first else {
                literal.append(byte)
                continue
            }
            if next == UInt8(ascii: "%") {
                rest = rest.dropFirst()
                literal.append(byte)
            } else if next == UInt8(ascii: "{") {
                guard let close = rest.firstIndex(of: UInt8(ascii: "}")) else { return nil }
                flush()
                let specifier = String(decoding: rest[(rest.startIndex + 1)..<close], as: UTF8.self)
                parts.append(try part(specifier, for: use))
                rest = rest[(close + 1)...]
            } else {
                literal.append(byte)
            }
        }
        flush()
        return parts
    }

    // specifier = token [ "[" offsets "]" ] [ ":" modifier *( "|" modifier ) ]
    private static func part(_ specifier: String, for use: Use) throws(SyntaxError) -> Part {
        let name = specifier.prefix { $0 != "[" && $0 != ":" }
        guard let token = Token(rawValue: String(name).asciiLowercased) else { throw .unknownToken(String(name)) }
        var rest = specifier[name.endIndex...]
        var offsets: Offsets?
        if rest.hasPrefix("[") {
            guard let close = rest.firstIndex(of: "]"),
                let parsed = Offsets(rest[rest.index(after: rest.startIndex)..<close])
            else { throw .invalidOffsets(String(rest)) }
            offsets = parsed
            rest = rest[rest.index(after: close)...]
        }
        if rest.isEmpty { return .token(token, offsets, []) }
        guard rest.hasPrefix(":") else { throw .unknownModifier(String(rest)) }
        var modifiers: [Modifier] = []
        for word in rest.dropFirst().split(separator: "|", omittingEmptySubsequences: false) {
            guard let modifier = Modifier(rawValue: String(word).asciiLowercased) else {
                throw .unknownModifier(String(word))
            }
            if modifier == .raw, use == .command { throw .rawInCommand }
            modifiers.append(modifier)
        }
        return .token(token, offsets, modifiers)
    }
}

extension FormatTemplate.Offsets {
    private static let longestNumber = 5

    // offsets = index / [ index ] ":" [ index ]; index = [ "-" ] 1*4DIGIT
    init?(_ text: Substring) {
        let ends = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        func number(_ text: Substring) -> Int? {
            guard text.utf8.count <= Self.longestNumber, !text.hasPrefix("+") else { return nil }
            return Int(text)
        }
        guard let first = ends.first else { return nil }
        if ends.count == 1 {
            guard let index = number(first) else { return nil }
            self = .index(index)
            return
        }
        guard let lower = first.isEmpty ? 0 : number(first) else { return nil }
        if ends[1].isEmpty {
            self = .range(lower, nil)
        } else {
            guard let upper = number(ends[1]) else { return nil }
            self = .range(lower, upper)
        }
    }

    /// The part of `text` that is meant; nil when it begins outside. An end behind the text is the last byte.
    func part(of text: [UInt8]) -> ArraySlice<UInt8>? {
        let count = text.count
        var lower: Int
        var upper: Int
        switch self {
        case .index(let index):
            lower = index < 0 ? index + count : index
            upper = lower
        case .range(let first, let last):
            lower = first < 0 ? first + count : first
            upper = last ?? count - 1
            if upper < 0 { upper += count - 1 }
        }
        upper = min(upper, count - 1)
        guard lower >= 0, lower < count, upper >= lower else { return nil }
        return text[lower...upper]
    }
}
