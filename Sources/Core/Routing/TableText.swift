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
    private var shape: TableContent.Shape?
    private var list: [String] = []
    private var mapping: [(String, String)] = []

    /// The content that `bytes` spell. The first entry decides between list and mapping; a comment `# @list` before it
    /// forces a list; nothing at all is an empty mapping. `file` is named in errors.
    public static func content(
        of bytes: [UInt8], file: String, dialect: Dialect = .plain
    ) throws(TableTextError) -> TableContent {
        var text = TableText(file: file, dialect: dialect)
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
        return text.shape == .list ? TableContent(list: text.list) : TableContent(mapping: text.mapping)
    }

    private init(file: String, dialect: Dialect) {
        self.file = file
        self.dialect = dialect
    }

    private func error(_ reason: TableTextError.Reason, _ line: Int) -> TableTextError {
        TableTextError(file: file, line: line, reason: reason)
    }

    private mutating func read(_ line: ArraySlice<UInt8>, _ number: Int) throws(TableTextError) {
        let entry = Self.trimmed(line)
        guard let first = entry.first else { return }
        if first == UInt8(ascii: "#") {
            if shape == nil, Self.trimmed(entry.dropFirst()).elementsEqual("@list".utf8) { shape = .list }
            return
        }
        if line.first?.isBlank == true, continues(entry) {
            let value = try string(entry, number)
            let last = mapping.count - 1
            guard mapping[last].1.utf8.count + value.utf8.count < Self.longestLine else {
                throw error(.longLine, number)
            }
            mapping[last].1 += " " + value
            return
        }
        let (key, value) = Self.split(entry)
        let isList = shape.map { $0 == .list } ?? value.isEmpty
        shape = isList ? .list : .mapping
        guard (isList ? entry : key).count <= TableContent.longestKey else { throw error(.longKey, number) }
        if isList {
            list.append(try string(entry, number))
        } else {
            guard !key.isEmpty, !value.isEmpty else { throw error(.malformedEntry, number) }
            mapping.append((try string(key, number), try string(value, number)))
        }
    }

    private func continues(_ entry: ArraySlice<UInt8>) -> Bool {
        guard dialect == .aliases, shape == .mapping, let above = mapping.last else { return false }
        if above.1.utf8.last == UInt8(ascii: ",") { return true }
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
