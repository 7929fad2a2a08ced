// SPDX-License-Identifier: ISC

import Bytes
public import Configuration
import Mail

/// Why the text of a table was refused; the whole table is, never a part.
public struct TableTextError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Reason: String, Hashable, Sendable {
        case malformedEntry = "invalid map entry"
        case nulByte = "NUL byte"
        case carriageReturn = "carriage return (lines must end with a line feed alone)"
        case longLine = "line longer than 64 KiB"
        case longListLine = "line longer than 64 KiB: a list goes on in the next line, behind a blank"
        case longList = "list longer than 1 MiB: it can stand in a file, and :include:/path here"
        case longKey = "key too long"
        case notText = "not valid UTF-8"
        case duplicateKey = "duplicate entry"
    }

    public let file: String
    /// Counted from 1.
    public let line: Int
    public let reason: Reason
    /// The key that stands twice.
    public var key: String?

    public var description: String {
        "\(file):\(line) \(reason.rawValue)" + (key.map { " for \(VisibleText($0))" } ?? "")
    }
}

/// The text form of tables: one entry per line, `key value` or `key: value`, or keys alone.
///
/// It can be read in parts: a table may be long, and whoever reads it has others waiting.
public struct TableText {
    public enum Dialect: Hashable, Sendable {
        case plain
        /// In a file of aliases, a line that begins with a blank continues the value above, as sendmail has it, unless it
        /// is an entry of its own (`name: value`) and the value above does not end with a comma.
        case aliases
        /// In a table whose every use is a list, a first entry without a blank is an element whatever it holds: the colon
        /// of a relay URL, or of an IPv6 address, ends no key.
        case elements
    }

    /// What a second entry of the same key is.
    public enum Duplicates: Hashable, Sendable {
        /// It counts, the first does not.
        case replace
        case refuse
    }

    public enum Progress: Hashable, Sendable {
        case unfinished
        case finished
    }

    public static let longestLine = 64 << 10
    /// Of a value with all lines that continue it.
    public static let longestValue = ExpansionItem.longestValue
    // Room that is made at once: the first line says how long lines usually are, but may be wrong.
    private static let mostExpectedEntries = 4 << 20

    private let bytes: [UInt8]
    private let file: String
    private let dialect: Dialect
    private let duplicates: Duplicates
    private let folding: KeyFolding
    private var position = 0
    private var number = 0
    private var isForcedList = false
    private var content: TableContent?
    // The entry above, for lines that continue it.
    private var last: EntryStore.Index?
    private var endsWithComma = false
    // Room for a key, used again for each.
    private var key: [UInt8] = []

    /// The content that `bytes` spell. The first entry decides between list and mapping; a comment `# @list` before it
    /// forces a list; nothing at all is an empty mapping. `file` is named in errors, with lines from `firstLine` on.
    public static func content(
        of bytes: [UInt8], file: String, dialect: Dialect = .plain, duplicates: Duplicates = .replace,
        firstLine: Int = 1
    ) throws(TableTextError) -> TableContent {
        var text = TableText(bytes, file: file, dialect: dialect, duplicates: duplicates)
        text.number = firstLine - 1
        while try text.readLines(atMost: .max) == .unfinished {}
        return text.finished()
    }

    public init(
        _ bytes: [UInt8], file: String, dialect: Dialect = .plain, duplicates: Duplicates = .replace,
        folding: KeyFolding = .whole
    ) {
        self.duplicates = duplicates
        self.folding = folding
        self.bytes = bytes
        self.file = file
        self.dialect = dialect
    }

    /// Reads on: so many lines, or some more than so many bytes.
    public mutating func readLines(atMost count: Int, bytes most: Int = .max) throws(TableTextError) -> Progress {
        // Shares the storage, so that a line can be looked at while the content grows.
        let bytes = bytes
        let text = bytes.span
        var left = count
        let limit = most < text.count - position ? position + most : text.count
        while position < limit, left > 0 {
            number += 1
            let start = position
            var end = start
            var isPlain = true
            while end < text.count {
                let byte = text[end]
                if byte == .lineFeed { break }
                if byte == 0 { throw error(.nulByte) }
                if byte == .carriageReturn { throw error(.carriageReturn) }
                if byte >= 0x80 { isPlain = false }
                end += 1
                guard end - start <= Self.longestLine else {
                    throw error(dialect == .aliases ? .longListLine : .longLine)
                }
            }
            let line = text.extracting(start..<end)
            guard isPlain || Self.isText(line) else { throw error(.notText) }
            try read(line)
            position = end + 1
            left -= 1
        }
        return position < text.count ? .unfinished : .finished
    }

    /// What was read. To be asked for when all of it is.
    public consuming func finished() -> TableContent {
        content ?? TableContent(isForcedList ? .list : .mapping)
    }

    private static func isText(_ line: Span<UInt8>) -> Bool {
        line.withUnsafeBufferPointer { String(validating: $0, as: UTF8.self) != nil }
    }

    private func error(_ reason: TableTextError.Reason) -> TableTextError {
        TableTextError(file: file, line: number, reason: reason)
    }

    private mutating func read(_ line: Span<UInt8>) throws(TableTextError) {
        let entry = line.trimmed
        guard let first = entry.first else { return }
        if first == UInt8(ascii: "#") {
            let comment = entry.extracting(droppingFirst: 1).trimmed
            if content == nil, comment.array == Array("@list".utf8) { isForcedList = true }
            return
        }
        if line.first?.isBlank == true, let last, continues(entry) {
            let length = content?.extend(last, by: entry) ?? 0
            guard length <= Self.longestValue else { throw error(.longList) }
        } else {
            try insert(entry)
        }
        endsWithComma = entry[entry.count - 1] == UInt8(ascii: ",")
    }

    private mutating func insert(_ entry: Span<UInt8>) throws(TableTextError) {
        var value = entry
        let name = Self.takeKey(from: &value)
        let isList = content.map { $0.shape == .list } ?? (isForcedList || value.isEmpty || isElement(entry))
        let whole = isList ? entry : name
        guard whole.count <= TableContent.longestKey else { throw error(.longKey) }
        guard isList || !(name.isEmpty || value.isEmpty) else { throw error(.malformedEntry) }
        // Taken out, so that it can be read while the content grows.
        var key: [UInt8] = []
        swap(&key, &self.key)
        defer { self.key = key }
        key.removeAll(keepingCapacity: true)
        folding.fold(whole, into: &key)
        if content == nil {
            var first = TableContent(isList ? .list : .mapping)
            // All lines together are hardly longer than the file; a table that grows is copied.
            first.reserve(
                min(bytes.count / max(16, entry.count + 1), Self.mostExpectedEntries), bytes: bytes.count - position)
            content = first
        }
        if duplicates == .refuse, content?.hasKey(key.span) == true {
            throw TableTextError(
                file: file, line: number, reason: .duplicateKey, key: String(displaying: key.span))
        }
        last = content?.insert(key.span, isList ? entry.extracting(0..<0) : value)
    }

    private func isElement(_ entry: Span<UInt8>) -> Bool {
        guard dialect == .elements else { return false }
        for index in entry.indices where entry[index].isBlank { return false }
        return true
    }

    private func continues(_ entry: Span<UInt8>) -> Bool {
        guard dialect == .aliases, content?.shape == .mapping else { return false }
        if endsWithComma { return true }
        var rest = entry
        let name = rest.take(while: Self.belongsToName)
        let isEntry = !name.isEmpty && rest.first == .colon
        return !isEntry
    }

    private static func belongsToName(_ byte: UInt8) -> Bool {
        byte.isAtomText || byte == .dot || byte == UInt8(ascii: "@")
    }

    // entry = ( "[" *VCHAR "]" / 1*VCHAR ) ( SP / HTAB / ":" ) *WSP value
    /// The key at the front of `entry`, which becomes the value.
    @_lifetime(copy entry)
    @_lifetime(entry: copy entry)
    private static func takeKey(from entry: inout Span<UInt8>) -> Span<UInt8> {
        var end = 0
        if entry.first == UInt8(ascii: "["), let bracket = entry.firstIndex(of: UInt8(ascii: "]")) {
            end = bracket + 1
        }
        while end < entry.count, !entry[end].isBlank, entry[end] != .colon { end += 1 }
        let key = entry.extracting(first: end)
        entry = entry.extracting(droppingFirst: min(end + 1, entry.count)).trimmed
        return key
    }
}
