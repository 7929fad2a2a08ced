// SPDX-License-Identifier: ISC

import Bytes
import Host
import Posix
import Routing

/// The file of a `sqlite:` table, in the format of table-sqlite(5): which database, and a query for each service.
nonisolated struct SQLiteSettings: Hashable, Sendable {
    struct SyntaxError: Error, Hashable, Sendable, CustomStringConvertible {
        enum Reason: Hashable, Sendable {
            case missingValue(String)
            case unknownName(String)
            case duplicate(String)
            case badNumber(String)
            case noDatabase
            case notText
        }

        let line: Int
        let reason: Reason

        var description: String {
            switch reason {
            case .missingValue(let name): "\(line): no value for \(VisibleText(name))"
            case .unknownName(let name): "\(line): unknown name \(VisibleText(name))"
            case .duplicate(let name): "\(line): \(name) stands twice"
            case .badNumber(let name): "\(line): \(name) is no number of seconds or fetches"
            case .noDatabase: "\(line): no dbpath, or one that is not absolute"
            case .notText: "\(line): not valid UTF-8, or a NUL"
            }
        }
    }

    var path = ""
    var queries: [TableService: String] = [:]
    /// The query that lists source addresses.
    var sources: String?
    /// After so many seconds, or so many fetches, sources are listed again.
    var sourceExpiry: Int64 = 60
    var sourceRefresh = 1000

    private static let longestFile = 1 << 20
    private static let mostSeconds: UInt64 = 1 << 31

    init(file: String) throws(SourceFailure) {
        let content: [UInt8]?
        do {
            content = try FileDescriptor.content(of: file, limit: Self.longestFile)
        } catch {
            throw SourceFailure("\(file): \(error)")
        }
        guard let content else { throw SourceFailure("\(file): too long") }
        do {
            try self.init(parsing: content)
        } catch {
            throw SourceFailure("\(file):\(error)")
        }
    }

    // line = [ name ( SP / HTAB / ":" ) *( SP / HTAB / ":" WSP ) value ] ; "#" begins a comment line
    init(parsing content: [UInt8]) throws(SyntaxError) {
        var seen: Set<String> = []
        var number = 0
        for line in content.split(separator: .lineFeed, omittingEmptySubsequences: false) {
            number += 1
            guard let text = String(validating: line, as: UTF8.self), !text.utf8.contains(0) else {
                throw SyntaxError(line: number, reason: .notText)
            }
            let entry = Self.trimmed(text[...])
            guard let first = entry.utf8.first, first != UInt8(ascii: "#") else { continue }
            let end = entry.utf8.firstIndex { $0.isBlank || $0 == .colon } ?? entry.endIndex
            let name = String(entry[..<end])
            var value = entry[end...]
            while let byte = value.utf8.first, byte.isBlank || byte == .colon { value = value.dropFirst() }
            guard !value.isEmpty else { throw SyntaxError(line: number, reason: .missingValue(name)) }
            guard seen.insert(name).inserted else { throw SyntaxError(line: number, reason: .duplicate(name)) }
            guard try take(name, String(value), number) else {
                throw SyntaxError(line: number, reason: .unknownName(name))
            }
        }
        guard path.hasPrefix("/") else { throw SyntaxError(line: number, reason: .noDatabase) }
    }

    private mutating func take(_ name: String, _ value: String, _ line: Int) throws(SyntaxError) -> Bool {
        switch name {
        case "dbpath": path = value
        case "fetch_source": sources = value
        case "fetch_source_expire": sourceExpiry = Int64(try Self.count(name, value, line))
        case "fetch_source_refresh": sourceRefresh = try Self.count(name, value, line)
        default:
            guard name.hasPrefix("query_"), let service = TableService(rawValue: String(name.dropFirst(6))),
                service != .authentication, service != .regularExpression
            else { return false }
            queries[service] = value
        }
        return true
    }

    private static func count(_ name: String, _ value: String, _ line: Int) throws(SyntaxError) -> Int {
        guard let number = value.utf8.span.decimal, number <= mostSeconds else {
            throw SyntaxError(line: line, reason: .badNumber(name))
        }
        return Int(number)
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text
        while let byte = text.utf8.first, byte.isBlank || byte == .carriageReturn { text = text.dropFirst() }
        while let byte = text.utf8.last, byte.isBlank || byte == .carriageReturn { text = text.dropLast() }
        return text
    }
}
