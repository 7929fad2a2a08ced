// SPDX-License-Identifier: ISC

import Bytes
import Mail

/// Why the text of a table was refused; the whole table is, never a part.
public struct TableTextError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Reason: String, Hashable, Sendable {
        case malformedEntry = "invalid map entry"
        case nulByte = "NUL byte"
        case carriageReturn = "carriage return (lines must end with a line feed alone)"
        case longLine = "line too long"
        case longKey = "key too long"
        case notText = "not valid UTF-8"
    }

    public let file: String
    /// Counted from 1.
    public let line: Int
    public let reason: Reason

    public var description: String { "\(file):\(line) \(reason.rawValue)" }
}

/// The text form of tables: one entry per line, `key value` or `key: value`, or keys alone.
public struct TableText {
    public enum Dialect: Hashable, Sendable {
        case plain
        /// In a file of aliases, a line that begins with a blank continues the value above, as sendmail has it, unless it
        /// is an entry of its own (`name: value`) and the value above does not end with a comma.
        case aliases
    }

    public static let longestLine = 64 << 10

    private let file: String
    private let dialect: Dialect
    private let capacity: Int
    private var isForcedList = false
    private var content: TableContent?
    // Of the entry above, for lines that continue it.
    private var lastKey = ""
    private var endsWithComma = false

    /// The content that `bytes` spell. The first entry decides between list and mapping; a comment `# @list` before it
    /// forces a list; nothing at all is an empty mapping. `file` is named in errors.
    public static func content(
        of bytes: [UInt8], file: String, dialect: Dialect = .plain
    ) throws(TableTextError) -> TableContent {
        // Half of the usual length of a line: a table that grows is copied.
        var text = TableText(file: file, dialect: dialect, capacity: bytes.count / 32)
        var start = 0
        var number = 1
        while start < bytes.count {
            var end = start
            while end < bytes.count, bytes[end] != .lineFeed {
                if bytes[end] == 0 { throw text.error(.nulByte, number) }
                if bytes[end] == .carriageReturn { throw text.error(.carriageReturn, number) }
                end += 1
            }
            guard end - start <= longestLine else { throw text.error(.longLine, number) }
            try text.read(bytes[start..<end], number)
            start = end + 1
            number += 1
        }
        var content = text.content ?? TableContent(text.isForcedList ? .list : .mapping, capacity: 0)
        content.sortPatterns()
        return content
    }

    private init(file: String, dialect: Dialect, capacity: Int) {
        self.file = file
        self.dialect = dialect
        self.capacity = capacity
    }

    private func error(_ reason: TableTextError.Reason, _ line: Int) -> TableTextError {
        TableTextError(file: file, line: line, reason: reason)
    }

    private mutating func read(_ line: ArraySlice<UInt8>, _ number: Int) throws(TableTextError) {
        let entry = Self.trimmed(line)
        guard let first = entry.first else { return }
        if first == UInt8(ascii: "#") {
            if content == nil, Self.trimmed(entry.dropFirst()).elementsEqual("@list".utf8) { isForcedList = true }
            return
        }
        if line.first?.isBlank == true, continues(entry) {
            let addition = try string(entry, number)
            let length = content?.extend(lastKey, by: addition) ?? 0
            guard length <= Self.longestLine else { throw error(.longLine, number) }
        } else {
            try insert(entry, number)
        }
        endsWithComma = entry.last == UInt8(ascii: ",")
    }

    private mutating func insert(_ entry: ArraySlice<UInt8>, _ number: Int) throws(TableTextError) {
        let (key, value) = Self.split(entry)
        let isList = content.map { $0.shape == .list } ?? (isForcedList || value.isEmpty)
        guard (isList ? entry : key).count <= TableContent.longestKey else { throw error(.longKey, number) }
        guard isList || !(key.isEmpty || value.isEmpty) else { throw error(.malformedEntry, number) }
        lastKey = try string(isList ? entry : key, number)
        let text = isList ? "" : try string(value, number)
        if content == nil { content = TableContent(isList ? .list : .mapping, capacity: capacity) }
        content?.insert(lastKey, text)
    }

    private func continues(_ entry: ArraySlice<UInt8>) -> Bool {
        guard dialect == .aliases, content?.shape == .mapping else { return false }
        if endsWithComma { return true }
        let end = entry.firstIndex { !Self.belongsToName($0) } ?? entry.endIndex
        let isEntry = end > entry.startIndex && end < entry.endIndex && entry[end] == .colon
        return !isEntry
    }

    private static func belongsToName(_ byte: UInt8) -> Bool {
        byte.isAtomText || byte == .dot || byte == UInt8(ascii: "@")
    }

    // entry = ( "[" *VCHAR "]" / 1*VCHAR ) ( SP / HTAB / ":" ) *WSP value
    private static func split(_ entry: ArraySlice<UInt8>) -> (key: ArraySlice<UInt8>, value: ArraySlice<UInt8>) {
        var end = entry.startIndex
        if entry.first == UInt8(ascii: "["), let bracket = entry.firstIndex(of: UInt8(ascii: "]")) {
            end = bracket + 1
        }
        while end < entry.endIndex, !entry[end].isBlank, entry[end] != .colon { end += 1 }
        let value = entry[min(end + 1, entry.endIndex)...]
        return (entry[..<end], trimmed(value))
    }

    private static func trimmed(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        guard let end = line.lastIndex(where: { !$0.isBlank }) else { return [] }
        return line[...end].drop { $0.isBlank }
    }

    private func string(_ bytes: ArraySlice<UInt8>, _ line: Int) throws(TableTextError) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw error(.notText, line) }
        return text
    }
}
