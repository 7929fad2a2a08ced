// SPDX-License-Identifier: ISC

import Bytes
public import Mail

/// What a ``FormatTemplate`` can speak of.
public struct FormatFields: Hashable, Sendable {
    public var sender: ReversePath
    public var recipient: Mailbox
    public var destination: Mailbox
    public var userName: String
    /// The home directory of the user.
    public var home: String
    public var delimiters: SubaddressDelimiters
    /// The expanded command that a wrapper goes around.
    public var command: String?

    public init(
        sender: ReversePath, recipient: Mailbox, destination: Mailbox, userName: String, home: String,
        delimiters: SubaddressDelimiters, command: String? = nil
    ) {
        self.sender = sender
        self.recipient = recipient
        self.destination = destination
        self.userName = userName
        self.home = home
        self.delimiters = delimiters
        self.command = command
    }
}

extension FormatTemplate {
    public func expand(_ fields: FormatFields) throws(ExpansionError) -> String {
        var output: [UInt8] = []
        // Which bytes were substituted from what a remote party may have chosen.
        var foreign: [Bool] = []
        for part in parts {
            let bytes: [UInt8]
            var isForeign = false
            switch part {
            case .literal(let text):
                bytes = Array(text.utf8)
            case .token(let token, let offsets, let modifiers):
                bytes = try value(of: token, offsets, modifiers, fields)
                isForeign = token != .home && token != .command
            }
            output += bytes
            foreign += [Bool](repeating: isForeign, count: bytes.count)
            guard output.count <= (use == .command ? Self.longestCommand : Self.longestResult) else { throw .tooLong }
        }
        if use == .path { try checkComponents(of: output, foreign: foreign) }
        guard !output.contains(0) else { throw .unsafePath }
        return String(decoding: output, as: UTF8.self)
    }

    private func value(
        of token: Token, _ offsets: Offsets?, _ modifiers: [Modifier], _ fields: FormatFields
    ) throws(ExpansionError) -> [UInt8] {
        guard let text = Self.text(of: token, fields) else { throw .noValue }
        return try rendered(text, as: token, offsets, modifiers, fields.delimiters)
    }

    /// The text where nothing but the name of the user is substituted; nil when that makes none.
    func expand(userName: String, delimiters: SubaddressDelimiters) -> String? {
        var output: [UInt8] = []
        for part in parts {
            switch part {
            case .literal(let text):
                output += text.utf8
            case .token(let token, let offsets, let modifiers):
                guard token == .userName,
                    let bytes = try? rendered(userName, as: token, offsets, modifiers, delimiters)
                else { return nil }
                output += bytes
            }
            guard output.count <= Self.longestResult else { return nil }
        }
        return output.contains(0) ? nil : String(decoding: output, as: UTF8.self)
    }

    private func rendered(
        _ text: String, as token: Token, _ offsets: Offsets?, _ modifiers: [Modifier],
        _ delimiters: SubaddressDelimiters
    ) throws(ExpansionError) -> [UInt8] {
        var bytes = Array(text.utf8)
        if let offsets {
            guard let part = offsets.part(of: bytes) else { throw .noValue }
            bytes = Array(part)
        }
        for modifier in modifiers {
            switch modifier {
            case .lowercase: bytes = bytes.map(\.lowercased)
            case .uppercase: bytes = bytes.map { $0.isLetter ? $0 & ~0x20 : $0 }
            case .strip: bytes = Self.strip(bytes, delimiters)
            case .raw: break
            }
        }
        if token == .command { return bytes }
        guard token == .home || bytes.count <= Self.longestToken else { throw .tooLong }
        return bytes.map { sanitized($0, token, modifiers) }
    }

    private static func text(of token: Token, _ fields: FormatFields) -> String? {
        switch token {
        case .sender: fields.sender.mailbox.map(text) ?? ""
        case .senderUser: fields.sender.mailbox?.localPart.text ?? ""
        case .senderDomain: fields.sender.mailbox?.domain.text ?? ""
        case .recipient: text(fields.recipient)
        case .recipientUser: fields.recipient.localPart.text
        case .recipientDomain: fields.recipient.domain.text
        case .destination: text(fields.destination)
        case .destinationUser: fields.destination.localPart.text
        case .destinationDomain: fields.destination.domain.text
        case .userName: fields.userName
        case .home: fields.home
        case .mailboxFrom: fields.sender.mailbox.map(text) ?? "MAILER-DAEMON"
        case .command: fields.command
        }
    }

    private static func text(_ mailbox: Mailbox) -> String { "\(mailbox.localPart.text)@\(mailbox.domain.text)" }

    // user [ delimiter tag ] [ "@" domain ]
    private static func strip(_ bytes: [UInt8], _ delimiters: SubaddressDelimiters) -> [UInt8] {
        let end = bytes.lastIndex(of: UInt8(ascii: "@")) ?? bytes.count
        let user = String(decoding: bytes[..<end], as: UTF8.self)
        return Array(delimiters.base(of: user).utf8) + bytes[end...]
    }

    private func sanitized(_ byte: UInt8, _ token: Token, _ modifiers: [Modifier]) -> UInt8 {
        switch use {
        case .command:
            return Self.isHarmlessInShell(byte) ? byte : .colon
        case .path, .destination:
            if token == .home { return byte }
            if use == .path, byte == UInt8(ascii: "/") { return .colon }
            if byte < 0x20 || byte == 0x7F { return .colon }
            return modifiers.contains(.raw) || !Self.isSpecial(byte) ? byte : .colon
        }
    }

    private static func isHarmlessInShell(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "@"), .dot, UInt8(ascii: "_"), UInt8(ascii: "+"), UInt8(ascii: "="), UInt8(ascii: "/"),
            UInt8(ascii: "-"):
            true
        default: byte.isAlphanumeric
        }
    }

    // What the reference replaces.
    private static func isSpecial(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "!"), UInt8(ascii: "#"), UInt8(ascii: "$"), UInt8(ascii: "%"), UInt8(ascii: "&"),
            UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "?"), UInt8(ascii: "`"), UInt8(ascii: "{"),
            UInt8(ascii: "|"), UInt8(ascii: "}"), UInt8(ascii: "~"):
            true
        default: false
        }
    }

    // A component that a token had a part in must not be one that the file system takes for another directory.
    private func checkComponents(of path: [UInt8], foreign: [Bool]) throws(ExpansionError) {
        var start = 0
        while start <= path.count {
            let end = path[start...].firstIndex(of: UInt8(ascii: "/")) ?? path.count
            let component = path[start..<end]
            if component.count <= 2, component.allSatisfy({ $0 == .dot }), foreign[start..<end].contains(true) {
                throw .unsafePath
            }
            start = end + 1
        }
    }
}
