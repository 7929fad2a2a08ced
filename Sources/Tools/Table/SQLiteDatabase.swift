// SPDX-License-Identifier: ISC

import CSQLite
import Configuration

/// A SQLite database, open for reading, and its prepared queries.
nonisolated final class SQLiteDatabase {
    private let handle: OpaquePointer
    private var statements: [String: OpaquePointer] = [:]

    // While a writer commits, a reader waits.
    private static let patienceMilliseconds: Int32 = 10_000
    // A query that runs longer is a mistake of its writer; the server gives up after 30 s.
    private static let mostSteps: Int32 = 20_000_000
    // Of all values of an answer together, which may be a list of aliases.
    private static let longestAnswer = ExpansionItem.longestValue

    init(_ path: String) throws(SourceFailure) {
        var handle: OpaquePointer?
        let result = sqlite3_open_v2(path, &handle, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nil)
        guard result == SQLITE_OK, let handle else {
            let reason = handle.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
            sqlite3_close_v2(handle)
            throw SourceFailure("\(path): \(reason)")
        }
        self.handle = handle
        sqlite3_busy_timeout(handle, Self.patienceMilliseconds)
        // The text of queries is the administrator's, but the database may be somebody else's.
        sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, 1 << 20)
        sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 0)
        // A file that is no database is found out only now.
        guard sqlite3_exec(handle, "SELECT count(*) FROM sqlite_master", nil, nil, nil) == SQLITE_OK else {
            let reason = String(cString: sqlite3_errmsg(handle))
            sqlite3_close_v2(handle)
            throw SourceFailure("\(path): \(reason)")
        }
    }

    deinit {
        for statement in statements.values { sqlite3_finalize(statement) }
        sqlite3_close_v2(handle)
    }

    /// Prepares one query, which reads and does nothing else.
    func prepare(_ query: String, as name: String) throws(SourceFailure) {
        var statement: OpaquePointer?
        var result = SQLITE_OK
        var isAlone = true
        var text = query
        text.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) { characters in
                var rest: UnsafePointer<CChar>?
                result = sqlite3_prepare_v3(
                    handle, characters.baseAddress, Int32(characters.count), UInt32(SQLITE_PREPARE_PERSISTENT),
                    &statement, &rest)
                if let rest, let start = characters.baseAddress {
                    isAlone = characters[(rest - start)...].allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x3B }
                }
            }
        }
        guard result == SQLITE_OK else { throw SourceFailure(String(cString: sqlite3_errmsg(handle))) }
        guard let statement else { throw SourceFailure("an empty query") }
        // One that yields no columns asks nothing, whatever it does.
        guard isAlone, sqlite3_stmt_readonly(statement) != 0, sqlite3_column_count(statement) > 0 else {
            sqlite3_finalize(statement)
            throw SourceFailure(isAlone ? "a query that does not only ask" : "more than one query")
        }
        if let old = statements.updateValue(statement, forKey: name) { sqlite3_finalize(old) }
    }

    /// The rows that the query `name` yields, with `key` for each of its parameters; NULL is nil.
    func rows(of name: String, for key: String?, atMost limit: Int) throws(SourceFailure) -> [[String?]] {
        guard let statement = statements[name] else { throw SourceFailure("no query \(name)") }
        defer {
            sqlite3_reset(statement)
            sqlite3_clear_bindings(statement)
        }
        if let key {
            for number in 0..<sqlite3_bind_parameter_count(statement) {
                let result = sqlite3_bind_text(statement, number + 1, key, Int32(key.utf8.count), Self.transient)
                guard result == SQLITE_OK else { throw failure }
            }
        }
        var steps: Int32 = 0
        return try withUnsafeMutablePointer(to: &steps) { (steps) throws(SourceFailure) in
            // Called every million steps.
            sqlite3_progress_handler(
                handle, 1_000_000,
                { context in
                    guard let counter = context?.assumingMemoryBound(to: Int32.self) else { return 1 }
                    counter.pointee += 1_000_000
                    return counter.pointee >= SQLiteDatabase.mostSteps ? 1 : 0
                }, steps)
            defer { sqlite3_progress_handler(handle, 0, nil, nil) }
            return try collect(statement, limit)
        }
    }

    private func collect(_ statement: OpaquePointer, _ limit: Int) throws(SourceFailure) -> [[String?]] {
        var rows: [[String?]] = []
        var length = 0
        while true {
            switch sqlite3_step(statement) {
            case SQLITE_DONE:
                return rows
            case SQLITE_ROW:
                guard rows.count < limit else { return rows }
                let row = (0..<sqlite3_column_count(statement)).map { text(of: statement, $0) }
                length += row.reduce(0) { $0 + ($1?.utf8.count ?? 0) }
                guard length <= Self.longestAnswer else { throw SourceFailure("the query yields too much") }
                rows.append(row)
            default:
                throw failure
            }
        }
    }

    private func text(of statement: OpaquePointer, _ column: Int32) -> String? {
        guard let bytes = sqlite3_column_text(statement, column) else { return nil }
        let count = Int(sqlite3_column_bytes(statement, column))
        return String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self)
    }

    private var failure: SourceFailure { SourceFailure(String(cString: sqlite3_errmsg(handle))) }

    /// SQLITE_TRANSIENT, a cast that is not imported: SQLite makes its own copy.
    private static let transient: sqlite3_destructor_type = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
}
