// SPDX-License-Identifier: ISC

import Host
import Mail
import Posix
import Routing

/// A table in a SQLite database: a query for each service, prepared once, with the key as its bound parameter and never as
/// part of its text.
final class SQLiteSource: TableSource {
    private let file: String
    private var settings: SQLiteSettings
    private var database: SQLiteDatabase
    private var mark: [Int64]
    private var sources: [String] = []
    private var position = 0
    private var fetches = 0
    private var listed: Int64?

    // More than any host has addresses.
    private static let mostSources = 65_536

    init(_ file: String) throws(SourceFailure) {
        self.file = file
        (settings, database, mark) = try Self.open(file)
    }

    private static func open(_ file: String) throws(SourceFailure) -> (SQLiteSettings, SQLiteDatabase, [Int64]) {
        let settings = try SQLiteSettings(file: file)
        let mark = identity(of: settings.path)
        let database = try SQLiteDatabase(settings.path)
        for (service, query) in settings.queries {
            do {
                try database.prepare(query, as: service.rawValue)
            } catch {
                throw SourceFailure("\(file): query_\(service.rawValue): \(error)")
            }
        }
        if let query = settings.sources {
            do {
                try database.prepare(query, as: fetchName)
            } catch {
                throw SourceFailure("\(file): fetch_source: \(error)")
            }
        }
        return (settings, database, mark)
    }

    private static let fetchName = "fetch_source"

    // Which file it is; its content changes all the time, and SQLite sees that itself.
    private static func identity(of path: String) -> [Int64] { Array((FileFacts(at: path)?.mark ?? []).prefix(2)) }

    var services: [TableService] {
        TableService.allCases.filter { settings.queries[$0] != nil || ($0 == .source && settings.sources != nil) }
    }

    func update() throws(SourceFailure) {
        (settings, database, mark) = try Self.open(file)
        listed = nil
    }

    private func refresh() throws(SourceFailure) {
        let now = Self.identity(of: settings.path)
        if !now.isEmpty, now != mark { try update() }
    }

    func contains(_ key: String, for service: TableService) throws(SourceFailure) -> Bool {
        try refresh()
        guard settings.queries[service] != nil else { throw SourceFailure("no query_\(service.rawValue)") }
        return try !database.rows(of: service.rawValue, for: key, atMost: 1).isEmpty
    }

    func value(of key: String, for service: TableService) throws(SourceFailure) -> String? {
        try refresh()
        guard settings.queries[service] != nil else { throw SourceFailure("no query_\(service.rawValue)") }
        let rows = try database.rows(of: service.rawValue, for: key, atMost: Self.mostRows(service))
        guard let first = rows.first else { return nil }
        switch service {
        case .alias, .senders:
            return try rows.map { (row) throws(SourceFailure) in try Self.column(0, of: row) }.joined(separator: ", ")
        case .credentials:
            return "\(try Self.column(0, of: first)):\(try Self.column(1, of: first))"
        case .user:
            return "\(try Self.column(0, of: first)):\(try Self.column(1, of: first)):\(try Self.column(2, of: first))"
        case .domain, .authentication, .networkAddress, .source, .mailbox, .nameOfAddress, .relayHost, .text,
            .regularExpression:
            return try Self.column(0, of: first)
        }
    }

    // An alias may have as many members as rows.
    private static func mostRows(_ service: TableService) -> Int {
        switch service {
        case .alias, .senders: 10_000
        case .domain, .credentials, .authentication, .networkAddress, .user, .source, .mailbox, .nameOfAddress,
            .relayHost, .text, .regularExpression:
            1
        }
    }

    private static func column(_ number: Int, of row: [String?]) throws(SourceFailure) -> String {
        guard row.indices.contains(number), let value = row[number] else {
            throw SourceFailure("the query yields too few columns, or NULL")
        }
        return value
    }

    func next(for service: TableService) throws(SourceFailure) -> String? {
        try refresh()
        guard service == .source, settings.sources != nil else {
            throw SourceFailure("only sources can be fetched, by fetch_source")
        }
        let now = SystemClock.now().seconds
        let isFresh = listed.map { now >= $0 && now - $0 < settings.sourceExpiry } ?? false
        if !isFresh || fetches >= settings.sourceRefresh {
            sources = try database.rows(of: Self.fetchName, for: nil, atMost: Self.mostSources)
                .map { (row) throws(SourceFailure) in try Self.column(0, of: row) }
            listed = now
            fetches = 0
        }
        fetches += 1
        guard !sources.isEmpty else { return nil }
        position = (position + 1) % sources.count
        return sources[position]
    }
}
