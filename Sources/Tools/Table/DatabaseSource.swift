// SPDX-License-Identifier: ISC

import Bytes
import Configuration
import Host
import MapFile
import Routing

/// A table in a database file of makemap, opened again when another file is in its place.
final class DatabaseSource: TableSource {
    private let path: String
    private let delimiters: SubaddressDelimiters
    private var reader: MapReader
    private var mark: [Int64]
    // Found by going through all keys once, when the first question asks for them.
    private var patterns: KeyPatterns?
    private var expressions: KeyPatterns?
    private var last: [UInt8]?

    init(_ path: String, _ delimiters: SubaddressDelimiters) throws(SourceFailure) {
        self.path = path
        self.delimiters = delimiters
        (reader, mark) = try Self.open(path)
    }

    private static func open(_ path: String) throws(SourceFailure) -> (MapReader, [Int64]) {
        // Asked first: what is put there meanwhile is then opened with the next question.
        let mark = FileFacts(at: path)?.mark ?? []
        do {
            return (try MapReader(path), mark)
        } catch {
            let text = "\(error)"
            throw SourceFailure(text.hasPrefix(path) ? text : "\(path): \(text)")
        }
    }

    /// Of the services, one wants a password checked, which no such file can.
    let services = TableService.allCases.filter { $0 != .authentication }

    func update() throws(SourceFailure) {
        (reader, mark) = try Self.open(path)
        patterns = nil
        expressions = nil
        last = nil
    }

    private func refresh() throws(SourceFailure) {
        guard let facts = FileFacts(at: path), facts.mark != mark else { return }
        try update()
    }

    func contains(_ key: String, for service: TableService) throws(SourceFailure) -> Bool {
        try refresh()
        return try index(for: service).matches(key, for: service, delimiters: delimiters) {
            (name) throws(SourceFailure) in try exactValue(of: name) != nil
        }
    }

    func value(of key: String, for service: TableService) throws(SourceFailure) -> String? {
        try refresh()
        let found = try index(for: service).firstKey(matching: key, for: service, delimiters: delimiters) {
            (name) throws(SourceFailure) in try exactValue(of: name) != nil
        }
        guard let found else { return nil }
        return try exactValue(of: found)
    }

    /// The keys in ascending order, round and round.
    func next(for service: TableService) throws(SourceFailure) -> String? {
        try refresh()
        do throws(MapError) {
            var entry = try reader.entry(after: last)
            if entry == nil, last != nil { entry = try reader.entry(after: nil) }
            last = entry?.key
            return entry.map { String(displaying: $0.key.span) }
        } catch {
            throw SourceFailure("\(path): \(error)")
        }
    }

    private func exactValue(of key: String) throws(SourceFailure) -> String? {
        do throws(MapError) {
            guard let value = try reader.value(of: Array(key.utf8)) else { return nil }
            guard let text = String(validating: value, as: UTF8.self) else {
                throw MapError.database("a value that is not UTF-8")
            }
            return text
        } catch {
            throw SourceFailure("\(path): \(error)")
        }
    }

    private func index(for service: TableService) throws(SourceFailure) -> KeyPatterns {
        switch service {
        case .domain, .networkAddress, .mailbox, .nameOfAddress:
            if let patterns { return patterns }
            var found = KeyPatterns()
            try forEachKey { found.insert($0.span) }
            patterns = found
            return found
        case .regularExpression:
            if let expressions { return expressions }
            var keys: [String] = []
            try forEachKey { keys.append(String(displaying: $0.span)) }
            var found = KeyPatterns()
            if let invalid = found.compile(keys).first {
                throw SourceFailure("\(path): invalid regular expression \(VisibleText(invalid))")
            }
            expressions = found
            return found
        case .alias, .credentials, .authentication, .user, .source, .senders, .relayHost, .text:
            return KeyPatterns()
        }
    }

    private func forEachKey(_ body: ([UInt8]) -> Void) throws(SourceFailure) {
        do {
            try reader.forEach { key, _ in body(key) }
        } catch {
            throw SourceFailure("\(path): \(error)")
        }
    }
}
