// SPDX-License-Identifier: ISC

import CSQLite
import Configuration
import Glibc
import Routing
import Testing

@testable import Table

@MainActor @Suite struct SQLiteTests {
    private final class Folder {
        let path: String
        init() {
            var template = Array("/tmp/martlet-table.XXXXXX".utf8CString)
            mkdtemp(&template)
            path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        deinit {
            for name in ["db", "db-journal", "db-wal", "db-shm", "conf"] { unlink("\(path)/\(name)") }
            rmdir(path)
        }
        func execute(_ statements: String) {
            var handle: OpaquePointer?
            sqlite3_open("\(path)/db", &handle)
            let result = sqlite3_exec(handle, statements, nil, nil, nil)
            sqlite3_close(handle)
            #expect(result == SQLITE_OK)
        }
        func configure(_ text: String) {
            let file = fopen("\(path)/conf", "w")
            fputs("dbpath \(path)/db\n\(text)", file)
            fclose(file)
        }
    }

    nonisolated static let schema = """
        CREATE TABLE aliases (name TEXT, target TEXT);
        INSERT INTO aliases VALUES ('team', 'ann'), ('team', 'bob'), ('evil', 'a' || char(10) || 'b');
        CREATE TABLE users (name TEXT, password TEXT, uid INT, gid INT, home TEXT);
        INSERT INTO users VALUES ('ann', '$6$x', 1000, 100, '/home/ann');
        CREATE TABLE sources (address TEXT);
        INSERT INTO sources VALUES ('192.0.2.1'), ('192.0.2.2');
        """

    nonisolated static let settings = """
        # what is asked
        query_alias\tSELECT target FROM aliases WHERE name=? ORDER BY target;
        query_credentials: SELECT name, password FROM users WHERE name = ?
        query_userinfo  SELECT uid, gid, home FROM users WHERE name = ?
        query_domain SELECT 1 WHERE ?='example.org' OR ?1 = 'example.com'
        fetch_source SELECT address FROM sources ORDER BY address
        fetch_source_refresh 3

        """

    private func source(_ folder: Folder) throws -> SQLiteSource {
        folder.execute(Self.schema)
        folder.configure(Self.settings)
        return try SQLiteSource("\(folder.path)/conf")
    }

    @Test func `each service has its query and its form of value`() throws {
        let folder = Folder()
        let source = try source(folder)
        #expect(source.services == [.alias, .domain, .credentials, .user, .source])
        #expect(try source.value(of: "team", for: .alias) == "ann, bob")
        #expect(try source.value(of: "nobody", for: .alias) == nil)
        #expect(try source.value(of: "ann", for: .credentials) == "ann:$6$x")
        #expect(try source.value(of: "ann", for: .user) == "1000:100:/home/ann")
        #expect(try source.contains("example.com", for: .domain))
        #expect(try !source.contains("example.net", for: .domain))
        #expect(throws: SourceFailure.self) { try source.value(of: "x", for: .relayHost) }
    }

    @Test(arguments: [
        "' OR '1'='1", "team' --", "'; DROP TABLE aliases; --", "\" OR 1=1", "?1", "%", "_", "\\", "a\u{0}b", "🦅",
    ])
    func `a key is a value and never a part of the query`(key: String) throws {
        let folder = Folder()
        let source = try source(folder)
        #expect(try source.value(of: key, for: .alias) == nil)
        #expect(try source.value(of: "team", for: .alias) == "ann, bob")
    }

    @Test func `sources are used in turn, and listed again after a while`() throws {
        let folder = Folder()
        let source = try source(folder)
        var seen = try (0..<3).compactMap { _ in try source.next(for: .source) }
        #expect(Set(seen) == ["192.0.2.1", "192.0.2.2"] && seen[0] == seen[2])
        folder.execute("DELETE FROM sources; INSERT INTO sources VALUES ('192.0.2.9')")
        seen = try (0..<2).compactMap { _ in try source.next(for: .source) }
        #expect(seen.last == "192.0.2.9")
    }

    @Test func `what is written is seen at once, and a new file with the next question`() throws {
        let folder = Folder()
        let source = try source(folder)
        folder.execute("INSERT INTO aliases VALUES ('crew', 'carol')")
        #expect(try source.value(of: "crew", for: .alias) == "carol")
        unlink("\(folder.path)/db")
        folder.execute(Self.schema + "INSERT INTO aliases VALUES ('new', 'dave')")
        #expect(try source.value(of: "new", for: .alias) == "dave")
    }

    @Test func `a broken update leaves what was there`() throws {
        let folder = Folder()
        let source = try source(folder)
        folder.configure("query_alias SELECT nonsense FROM nowhere\n")
        #expect(throws: SourceFailure.self) { try source.update() }
        #expect(try source.value(of: "team", for: .alias) == "ann, bob")
    }

    @Test(arguments: [
        "query_alias DELETE FROM aliases WHERE name = ?", "query_alias SELECT 1; SELECT 2", "query_alias ;",
        "query_alias SELEC 1", "query_alias ATTACH '/etc/passwd' AS x", "query_weather SELECT 1", "query_auth SELECT 1",
        "query_alias", "query_alias SELECT 1\nquery_alias SELECT 2", "fetch_source_expire soon",
    ])
    func `a query that does more than ask is refused`(line: String) {
        let folder = Folder()
        folder.execute(Self.schema)
        folder.configure(line + "\n")
        #expect(throws: SourceFailure.self) { try SQLiteSource("\(folder.path)/conf") }
    }

    @Test func `what is no database is refused`() {
        let folder = Folder()
        folder.configure("query_alias SELECT 1\n")
        #expect(throws: SourceFailure.self) { try SQLiteSource("\(folder.path)/conf") }
        let file = fopen("\(folder.path)/db", "w")
        fputs(String(repeating: "no database ", count: 1000), file)
        fclose(file)
        #expect(throws: SourceFailure.self) { try SQLiteSource("\(folder.path)/conf") }
    }

    @Test func `a query without end is ended`() throws {
        let folder = Folder()
        folder.execute(Self.schema)
        folder.configure(
            "query_alias WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT n FROM t WHERE n < 0\n")
        let source = try SQLiteSource("\(folder.path)/conf")
        #expect(throws: SourceFailure.self) { try source.value(of: "x", for: .alias) }
    }

    @Test func `every beginning of a file of settings is read or refused`() {
        let text = Array(Self.settings.utf8)
        for count in 0...text.count { _ = try? SQLiteSettings(parsing: Array(text[..<count])) }
        #expect(throws: SQLiteSettings.SyntaxError(line: 1, reason: .notText)) {
            try SQLiteSettings(parsing: [0x64, 0xFF])
        }
    }
}
