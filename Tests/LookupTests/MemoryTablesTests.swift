// SPDX-License-Identifier: ISC

import Configuration
import Routing
import Testing

@testable import Lookup

@MainActor @Suite struct MemoryTablesTests {
    private static let text = """
        table aliases file:/etc/aliases
        table names file:/etc/names
        table sources { 192.0.2.1, 192.0.2.2 }
        table hosts file:/etc/hosts
        table routes file:/etc/routes
        action in mbox alias <aliases>
        action out relay host <hosts>
        action other relay domain <routes>
        match from any for domain <names> action in
        """

    private func tables() throws -> MemoryTables {
        let parsed = ServerConfiguration.parse(Array(Self.text.utf8), named: "test", options: ParseOptions(.partial))
        let configuration = try #require(parsed.configuration)
        return try MemoryTables(configuration, needs: TableNeeds(of: configuration), delimiters: .plus)
    }

    private func read(_ text: String, _ name: String, _ tables: MemoryTables) async throws {
        let table = try #require(tables.tables(inFile: name).first)
        try await tables.read(Array(text.utf8), for: table)
    }

    @Test func `a file is known by its table's name and by its path`() throws {
        let tables = try tables()
        #expect(tables.tables(inFile: "aliases").map(\.name) == ["aliases"])
        #expect(tables.tables(inFile: "/etc/names").map(\.name) == ["names"])
        #expect(tables.tables(inFile: "sources").isEmpty)
        #expect(tables.missing.map(\.name) == ["aliases", "names", "hosts", "routes"])
    }

    @Test func `a table without content is no table without entries`() async throws {
        let tables = try tables()
        await #expect(throws: TableFailure.self) { _ = try await tables.value(of: "joe", in: "aliases", for: .alias) }
        try await read("", "aliases", tables)
        #expect(try await tables.value(of: "joe", in: "aliases", for: .alias) == nil)
        #expect(tables.missing.map(\.name) == ["names", "hosts", "routes"])
    }

    nonisolated static let broken = ["joe: ann\nbob\n", "joe\nann\n", "joe: a\0b\n", "joe: ann\r\n"]

    @Test(arguments: broken)
    func `a broken file leaves the old content`(text: String) async throws {
        let tables = try tables()
        try await read("joe: ann\n", "aliases", tables)
        await #expect(throws: TableFault.self) { try await read(text, "aliases", tables) }
        #expect(try await tables.value(of: "joe", in: "aliases", for: .alias) == "ann")
    }

    @Test func `a mapping is no list of domains`() async throws {
        let tables = try tables()
        try await read("example.org\n", "names", tables)
        try await read("", "names", tables)
        await #expect(throws: TableFault.self) { try await read("example.org: joe\n", "names", tables) }
    }

    @Test func `relay URLs in a file are elements for host, and values for domain`() async throws {
        let tables = try tables()
        try await read("smtp://mx.example.org\nsmtps://isp@mx.example.net:465\n", "hosts", tables)
        var hosts: [String?] = []
        for _ in 0..<3 { hosts.append(try await tables.next(in: "hosts", for: .relayHost)) }
        let (one, other) = ("smtp://mx.example.org", "smtps://isp@mx.example.net:465")
        #expect(Set(hosts) == [one, other] && hosts.first == hosts.last)
        try await read("example.com \(one)\nexample.org: \(other)\n", "routes", tables)
        #expect(try await tables.value(of: "example.com", in: "routes", for: .relayHost) == one)
        #expect(try await tables.value(of: "example.org", in: "routes", for: .relayHost) == other)
        await #expect(throws: TableFault.self) { try await read("example.com \(one)\n", "hosts", tables) }
    }

    @Test func `sources are used in turn`() async throws {
        let tables = try tables()
        var keys: [String?] = []
        for _ in 0..<3 { keys.append(try await tables.next(in: "sources", for: .source)) }
        #expect(keys == ["192.0.2.1", "192.0.2.2", "192.0.2.1"])
        await #expect(throws: TableFailure.self) { _ = try await tables.next(in: "nowhere", for: .source) }
    }
}

@Suite struct TableNeedsTests {
    @Test func `each statement asks for its service`() throws {
        let text = """
            table a b:/x
            table b b:/x
            action in mbox alias <a> userbase <b>
            action out relay host <a> helo-src <b> src <a>
            match from src <a> for domain <b> mail-from regex <a> tag <b> action in
            match from rdns <b> auth <a> for any action out
            """
        let parsed = ServerConfiguration.parse(
            Array(text.utf8), named: "test", options: ParseOptions(.partial, unsupported: []))
        let needs = TableNeeds(of: try #require(parsed.configuration))
        func need(_ purpose: TablePurpose, _ services: TableService...) -> TableNeeds.Need {
            TableNeeds.Need(purpose, Set(services))
        }
        #expect(
            needs.needs(of: "a") == [
                need(.alias, .alias), need(.host, .relayHost), need(.source, .source), need(.from, .networkAddress),
                need(.sender, .regularExpression), need(.user, .text, .mailbox),
            ])
        #expect(
            needs.needs(of: "b") == [
                need(.userbase, .user), need(.heloSource, .nameOfAddress), need(.destination, .domain),
                need(.tag, .text), need(.from, .domain),
            ])
        #expect(["a", "b", "c", "nothing"].filter(needs.hasExpressions) == ["a"])
    }
}
