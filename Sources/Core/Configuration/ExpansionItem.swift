// SPDX-License-Identifier: ISC

import Bytes
public import Mail

/// What one item of an alias or of a ~/.forward asks for.
public enum ExpansionItem: Hashable, Sendable {
    /// Refuse the recipient with these words.
    case error(Reply)
    /// Read further items from this file.
    case include(path: String)
    /// Hand the message to a command of the shell.
    case command(String)
    /// Append the message to a file.
    case file(path: String)
    case mailbox(Mailbox)
    /// A name of this host, in lower case.
    case user(String)

    public enum SyntaxError: Error, Hashable, Sendable {
        case tooLong
        case openQuote
        case invalidItem(String)
    }

    // LINE_MAX of the reference, less the NUL; there it bounds a whole value, and large lists must be included.
    public static let longestItem = 2047
    // As much as an included file: a list of ten thousand members, however long their addresses are.
    public static let longestValue = 1 << 20
    public static let longestUser = 255

    /// The items of a comma-separated value, empty ones left out.
    ///
    /// Commas in double quotes separate nothing, nor do those in single quotes within a command; a backslash makes the
    /// next character plain.
    public static func items(in value: String) throws(SyntaxError) -> [ExpansionItem] {
        try items(in: Array(value.utf8)[...])
    }

    static func items(in line: ArraySlice<UInt8>) throws(SyntaxError) -> [ExpansionItem] {
        var items: [ExpansionItem] = []
        for text in try split(line) { items.append(try item(text)) }
        return items
    }

    /// One item, quotes and escapes already undone. The order of the tests is part of the syntax.
    static func item(_ text: String) throws(SyntaxError) -> ExpansionItem {
        if let reply = errorReply(text) { return .error(reply) }
        for prefix in [":include:", "include:"] where text.begins(with: prefix) {
            let path = trimmed(Substring(text.utf8.dropFirst(prefix.utf8.count)))
            if path.begins(with: "/") { return .include(path: path) }
        }
        if text.begins(with: "|") { return try command(Substring(text.utf8.dropFirst()), text) }
        if text.begins(with: "\"|") {
            return try command(
                Substring(text.utf8.dropFirst(2).dropLast(text.ends(with: "\"") ? 1 : 0)), text)
        }
        if text.begins(with: "\"/"), text.ends(with: "\""), text.utf8.count > 3 {
            return .file(path: String(Substring(text.utf8.dropFirst().dropLast())))
        }
        if text.begins(with: "/") { return .file(path: text) }
        if let mailbox = Mailbox(text) { return .mailbox(mailbox) }
        guard text.utf8.count <= longestUser, text.utf8.allSatisfy(belongsToUser) else { throw .invalidItem(text) }
        return .user(text.asciiLowercased)
    }

    private static func command(
        _ text: some StringProtocol, _ item: String
    ) throws(SyntaxError) -> ExpansionItem {
        let command = trimmed(text)
        guard !command.isEmpty else { throw .invalidItem(item) }
        return .command(command)
    }

    // error = [ ":" ] "error:" ( "4" / "5" ) 2DIGIT SP text
    private static func errorReply(_ text: String) -> Reply? {
        let bytes = Array(text.utf8)
        var rest = bytes.span
        _ = rest.take(byte: .colon)
        guard rest.take(keyword: "error:") else { return nil }
        rest = rest.trimmed
        let code = rest.take(while: \.isDigit)
        guard code.count == 3, let value = code.decimal, (400...599).contains(value), rest.take(byte: .space) else {
            return nil
        }
        rest = rest.trimmed
        guard rest.first?.isAlphanumeric == true else { return nil }
        let status = EnhancedStatus(prefixOf: rest).flatMap { UInt64($0.statusClass) == value / 100 ? $0 : nil }
        if status != nil { _ = rest.take(while: { !$0.isBlank }) }
        return Reply(UInt16(value), status, String(displaying: rest.trimmed))
    }

    private static func belongsToUser(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "+"): true
        default: byte.isAlphanumeric
        }
    }

    private static func trimmed(_ text: some StringProtocol) -> String {
        let bytes = Array(text.utf8)
        return String(displaying: bytes.span.trimmed)
    }

    /// The texts between commas, trimmed, escapes undone, empty ones left out.
    static func split(_ line: ArraySlice<UInt8>) throws(SyntaxError) -> [String] {
        guard line.count <= longestValue else { throw .tooLong }
        var texts: [String] = []
        var text: [UInt8] = []
        var quote: UInt8?
        var isEscaped = false
        func finish() throws(SyntaxError) {
            guard text.count <= longestItem else { throw .tooLong }
            let item = try plain(text.span.trimmed)
            if !item.isEmpty { texts.append(item) }
            text.removeAll(keepingCapacity: true)
        }
        for byte in line {
            if isEscaped {
                text.append(byte)
                isEscaped = false
                continue
            }
            switch byte {
            case UInt8(ascii: "\\"):
                isEscaped = true
                continue
            case UInt8(ascii: ",") where quote == nil:
                try finish()
                continue
            case UInt8(ascii: "\""), UInt8(ascii: "'"):
                if quote == byte {
                    quote = nil
                } else if quote == nil, byte == UInt8(ascii: "\"") || isCommand(text) {
                    quote = byte
                }
            default:
                break
            }
            text.append(byte)
        }
        guard quote == nil, !isEscaped else { throw .openQuote }
        try finish()
        return texts
    }

    // Replacing what is not UTF-8 would name another file or run another command, and a longer one.
    private static func plain(_ bytes: Span<UInt8>) throws(SyntaxError) -> String {
        let text = bytes.withUnsafeBufferPointer { String(validating: $0, as: UTF8.self) }
        guard let text else { throw .invalidItem(String(displaying: bytes)) }
        return text
    }

    // An apostrophe is a quote for the shell only; in an address it is a letter.
    private static func isCommand(_ text: [UInt8]) -> Bool {
        var rest = text.span.trimmed
        _ = rest.take(byte: UInt8(ascii: "\""))
        return rest.first == UInt8(ascii: "|")
    }
}
