// SPDX-License-Identifier: ISC

import Bytes

/// The items of a ~/.forward or of an included file.
///
/// `#` begins a comment, a backslash at the end of a line continues it, commas separate items of a line. An item is named
/// elsewhere by its ordinal alone, so both readers of a ~/.forward (the one that decides and the one that executes) must use
/// this type.
public struct ForwardText: Hashable, Sendable {
    public struct Entry: Hashable, Sendable {
        public let item: ExpansionItem
        /// The place among all items of the file, from 0.
        public let ordinal: UInt16
        /// Where the item's line begins, from 1.
        public let line: Int
    }

    public struct SyntaxError: Error, Hashable, Sendable {
        public enum Reason: Hashable, Sendable {
            case item(ExpansionItem.SyntaxError)
            case tooManyItems
            case nulByte
        }
        public let line: Int
        public let reason: Reason
    }

    /// Of a ~/.forward; the reference has the same for all nodes of a recipient.
    public static let mostForwardItems = 100
    /// Of a ~/.forward in bytes; the reference reads less than this.
    public static let longestForward = 4096
    /// Of a file that an alias includes.
    public static let mostIncludedItems = 65_000

    public let entries: [Entry]

    public init(_ bytes: [UInt8], atMost limit: Int = mostForwardItems) throws(SyntaxError) {
        let limit = min(limit, Int(UInt16.max))
        var entries: [Entry] = []
        var start = 0
        var number = 1
        while start < bytes.count {
            let first = number
            let line = Self.logicalLine(of: bytes, from: &start, number: &number)
            if line.contains(0) { throw SyntaxError(line: first, reason: .nulByte) }
            for item in try Self.items(in: line, first) {
                guard entries.count < limit else { throw SyntaxError(line: first, reason: .tooManyItems) }
                entries.append(Entry(item: item, ordinal: UInt16(entries.count), line: first))
            }
        }
        self.entries = entries
    }

    private static func items(in line: [UInt8], _ number: Int) throws(SyntaxError) -> [ExpansionItem] {
        do throws(ExpansionItem.SyntaxError) {
            return try ExpansionItem.items(in: line[...])
        } catch {
            throw SyntaxError(line: number, reason: .item(error))
        }
    }

    // Lines joined by a backslash before the line feed, comments left out; escapes stay for the items.
    private static func logicalLine(of bytes: [UInt8], from start: inout Int, number: inout Int) -> [UInt8] {
        var line: [UInt8] = []
        var isEscaped = false
        var isComment = false
        while start < bytes.count {
            let byte = bytes[start]
            start += 1
            if byte == .lineFeed {
                number += 1
                guard isEscaped else { break }
                line.removeLast()
                isEscaped = false
                isComment = false
                continue
            }
            if isComment { continue }
            if byte == UInt8(ascii: "#"), !isEscaped {
                isComment = true
                continue
            }
            isEscaped = byte == UInt8(ascii: "\\") && !isEscaped
            line.append(byte)
        }
        return line
    }
}
