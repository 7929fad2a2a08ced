// SPDX-License-Identifier: ISC

import Chance
import Configuration
import Mail
@testable import Routing
import Testing

@Suite struct TableTests {
    private func content(_ text: String, _ dialect: TableText.Dialect = .plain) throws -> TableContent {
        try TableText.content(of: Array(text.utf8), file: "t", dialect: dialect)
    }

    @Test func `the first entry decides between list and mapping`() throws {
        #expect(try content("a\nb c\n").shape == .list)
        #expect(try content("a\nb c\n").keys == ["a", "b c"])
        #expect(try content("a b\nc d e\n").value(of: "c", for: .alias) == "d e")
        #expect(try content("").shape == .mapping)
        #expect(try content("# only\n\n \t\n").count == 0)
        #expect(try content("# @list\na b\n").keys == ["a b"])
        #expect(try content("#@list\na: b\n").shape == .list)
        #expect(try content("x y\n# @list\na b").shape == .mapping)
    }

    @Test(arguments: [
        "smtp://mx.example.org\nmx.example.net:26\nlmtp://[::1]:24\n", "2001:db8::1\n192.0.2.1\n", "::1\n",
    ])
    func `where only lists are asked for a colon is part of an element`(text: String) throws {
        let table = try content(text, .elements)
        #expect(table.shape == .list)
        #expect(table.keys == text.split(separator: "\n").map(String.init).sorted())
        #expect(try content("a b\n", .elements).shape == .mapping)
        #expect(try content("a: b\n", .elements).shape == .mapping)
    }

    @Test(arguments: [
        ("a b", "a", "b"), ("a: b", "a", "b"), ("a:b", "a", "b"), ("a\tb", "a", "b"), ("  a   b c  ", "a", "b c"),
        ("a : b", "a", ": b"), ("A: B", "a", "B"), ("[::1] name", "[::1]", "name"), ("[::1]: name", "[::1]", "name"),
        ("::1 x", "", ""), ("a:: b", "a", ": b"),
        ("bob@example.org al, # no comment", "bob@example.org", "al, # no comment"),
    ])
    func `an entry is split`(line: String, key: String, value: String) throws {
        if key.isEmpty {
            #expect(throws: TableTextError(file: "t", line: 1, reason: .malformedEntry)) { try content(line) }
        } else {
            let table = try content(line)
            #expect(table.keys == [key])
            #expect(table.value(of: key, for: .alias) == value)
        }
    }

    @Test(arguments: [
        ("a b\n\nc\n", "t:3 invalid map entry"), ("a b\nc:\n", "t:2 invalid map entry"),
        ("a b\r\n", "t:1 carriage return"),
        ("a\nb\0", "t:2 NUL byte"), (String(repeating: "x", count: 65537), "t:1 line longer than 64 KiB"),
        (String(repeating: "x", count: 1024), "t:1 key too long"),
    ])
    func `a mistake refuses the whole table`(text: String, message: String) {
        let error = #expect(throws: TableTextError.self) { try content(text) }
        #expect(error?.description.hasPrefix(message) == true)
    }

    @Test func `bytes that are no text are refused`() {
        #expect(throws: TableTextError(file: "t", line: 1, reason: .notText)) {
            try TableText.content(of: [0x61, 0x20, 0xFF], file: "t")
        }
    }

    @Test func `later entries replace earlier ones`() throws {
        #expect(try content("a: 1\nA: 2\n").value(of: "a", for: .alias) == "2")
    }

    @Test func `aliases may continue over lines`() throws {
        let text = "team: alice,\n\tbob: x,\n  carol\n  dave: eve\nlist: a\n  , b\n  :include:/x\n  |cmd a:b\n"
        let table = try content(text, .aliases)
        #expect(table.keys == ["dave", "list", "team"])
        #expect(table.value(of: "team", for: .alias) == "alice, bob: x, carol")
        #expect(table.value(of: "list", for: .alias) == "a , b :include:/x |cmd a:b")
        #expect(try content("  a: b\n  c: d\n").keys == ["a", "c"])
        #expect(throws: TableTextError.self) { try content("a: b,\n  c\n") }
    }

    @Test func `a million names cost no scan`() {
        let content = TableContent(
            list: (0..<100_000).lazy.map { "host\($0).example.org" } + ["*.example.com", "192.0.2.0/24"])
        #expect(content.contains("HOST99999.example.org", for: .domain))
        #expect(content.contains("a.example.com", for: .domain))
        var found = 0
        for number in 0..<20_000 where content.contains("no\(number).example.org", for: .domain) { found += 1 }
        #expect(found == 0)
        #expect(content.contains("192.0.2.9", for: .networkAddress))
    }

    @Test func `a table is read in parts as it is at once`() throws {
        let bytes = Array((0..<1000).map { "Key\($0): value \($0),\n  more\n" }.joined().utf8)
        var text = TableText(bytes, file: "t", dialect: .aliases)
        var parts = 1
        while try text.readLines(atMost: 7) == .unfinished { parts += 1 }
        let content = text.finished()
        #expect(parts == 286)
        #expect(content.count == 1000)
        #expect(content.value(of: "KEY999", for: .alias) == "value 999, more")
    }

    @Test func `a long part ends with the line in which it is full`() throws {
        let bytes = Array("a 1\nbb 22\n".utf8)
        var text = TableText(bytes, file: "t")
        #expect(try text.readLines(atMost: .max, bytes: 1) == .unfinished)
        #expect(try text.readLines(atMost: .max, bytes: 1) == .finished)
        #expect(text.finished().keys == ["a", "bb"])
    }

    @Test func `the contrary of words and spaces is not folded in expressions`() throws {
        let text = "# @list\n^\\S+ \\W$\n^A\\\\S\n^[[:ALPHA:]]\\.X$\n"
        var reading = TableText(Array(text.utf8), file: "t", folding: .expressions)
        _ = try reading.readLines(atMost: .max)
        var table = reading.finished()
        #expect(table.keys == ["^[[:alpha:]]\\.x$", "^\\S+ \\W$", "^a\\\\s"])
        #expect(table.compileRegularExpressions().isEmpty)
        for (asked, isThere) in [("ab !", true), ("ab c", false), ("A\\S", true), ("q.x", true), (" !", false)] {
            #expect(table.contains(asked, for: .regularExpression) == isThere, "\(asked)")
        }
        #expect(table.value(of: "ab !", for: .regularExpression) == "")
        #expect(TableContent(list: ["\\W"], folding: .whole).keys == ["\\w"])
    }

    @Test func `makemap wants each key once`() {
        #expect(throws: TableTextError(file: "t", line: 3, reason: .duplicateKey, key: "a")) {
            try TableText.content(of: Array("a 1\nb 2\nA 3\n".utf8), file: "t", duplicates: .refuse)
        }
        let error = TableTextError(file: "t", line: 3, reason: .duplicateKey, key: "a")
        #expect("\(error)" == "t:3 duplicate entry for a")
    }

    @Test func `a line of a megabyte is refused, and so is a list of one alias that long`() {
        let long = String(repeating: "x", count: 1 << 20)
        for text in ["a: \(long)\n", long, "# \(long)\n"] {
            #expect(throws: TableTextError(file: "t", line: 1, reason: .longLine)) { try content(text) }
            #expect(throws: TableTextError(file: "t", line: 1, reason: .longListLine)) { try content(text, .aliases) }
        }
        let continued = "a: b,\n" + String(repeating: "  member@example.org,\n", count: 60_000)
        let error = #expect(throws: TableTextError.self) { try content(continued, .aliases) }
        #expect(error?.reason == .longList)
        #expect(error?.description.contains(":include:/path") == true)
    }

    @Test func `an alias may have ten thousand members`() throws {
        let members = (0..<10_000).map { "member.number.\($0)@lists.example.org" }
        let text = "first: x\nall: \(members.joined(separator: ",\n  "))\nlast: y\n"
        let table = try content(text, .aliases)
        #expect(table.value(of: "all", for: .alias) == members.joined(separator: ", "))
        #expect(table.value(of: "last", for: .alias) == "y")
        #expect(try ExpansionItem.items(in: table.value(of: "all", for: .alias) ?? "").count == 10_000)
    }

    @Test(
        arguments: [
            [0x7F, 0x45, 0x4C, 0x46, 2, 1, 1, 0, 0, 0], [0xEF, 0xBB, 0xBF, 0xFE, 0x0A], [0xFF, 0xFE, 0x61, 0x00],
            [0x50, 0x4B, 0x03, 0x04, 0x0A, 0x00],
        ] as [[UInt8]])
    func `a binary file is no table`(bytes: [UInt8]) {
        #expect(throws: TableTextError.self) { try TableText.content(of: bytes, file: "t") }
    }

    @Test func `an address is found however it is written`() {
        let table = TableContent(list: [
            "2001:db8:0:0::1", "[2001:db8::2]", "2001:db8::3", "IPv6:2001:db8::4", "192.0.2.1",
        ])
        for number in 1...4 {
            #expect(table.contains("[2001:db8::\(number)]", for: .networkAddress), "\(number)")
            #expect(table.contains("2001:db8::\(number)", for: .networkAddress), "\(number)")
        }
        #expect(table.contains("192.0.2.1", for: .networkAddress))
        #expect(!table.contains("192.0.2.10", for: .networkAddress))
        #expect(!table.contains("[2001:db8::5]", for: .networkAddress))
    }

    @Test func `values are found by pattern in the order of keys`() {
        let table = TableContent(mapping: [
            ("*.example.org", "1"), ("a*", "2"), ("192.0.2.0/24", "3"), ("[::1]", "4"), ("@*.org", "5"),
        ])
        #expect(table.value(of: "a.example.org", for: .domain) == "1")
        #expect(table.value(of: "abc", for: .domain) == "2")
        #expect(table.value(of: "192.0.2.8", for: .networkAddress) == "3")
        #expect(table.value(of: "::1", for: .nameOfAddress) == "4")
        #expect(table.value(of: "x@example.org", for: .mailbox) == "5")
        #expect(table.value(of: "x@example.com", for: .mailbox) == nil)
    }

    @Test func `regular expressions are compiled once`() {
        var table = TableContent(list: ["^dyn-", "(bad"])
        #expect(table.contains("dyn-1.example.org", for: .regularExpression))
        #expect(table.compileRegularExpressions() == ["(bad"])
        #expect(table.contains("DYN-1.example.org", for: .regularExpression))
        #expect(!table.contains("(bad", for: .regularExpression))
    }

    @Test func `keys are used in turn`() {
        var rotation = TableRotation(TableContent(list: ["b", "a", "c"]))
        #expect((0..<5).map { _ in rotation.next() } == ["a", "b", "c", "a", "b"])
        var empty = TableRotation(TableContent(list: []))
        #expect(empty.next() == nil)
    }

    @Test func `a table may stand in the configuration`() {
        #expect(TableContent(.list(["b", "a"]))?.keys == ["a", "b"])
        let entries = [TableDefinition.Entry(key: "A", value: "1"), .init(key: "a", value: "2")]
        #expect(TableContent(.mapping(entries))?.value(of: "a", for: .alias) == "2")
        #expect(TableContent(.file(path: "/x"))?.count == nil)
    }

    @Test func `every prefix of a table is read or refused`() {
        let text = Array("# c\nteam: alice,\n  bob\n[::1] x\n\nroot:\tteam\n".utf8)
        for count in 0...text.count {
            _ = try? TableText.content(of: Array(text[..<count]), file: "t", dialect: .aliases)
        }
    }

    @Test func `no text traps`() {
        var random = TestRandom(seed: 3)
        let alphabet = Array("ab :#[]@*/\t\n\n,\\\"|1.".utf8) + [0xC3]
        for _ in 0..<4000 {
            let text = random.bytes(from: alphabet, atMost: 40)
            for dialect in [TableText.Dialect.plain, .aliases] {
                guard let table = try? TableText.content(of: text, file: "t", dialect: dialect) else { continue }
                for service in TableService.allCases { _ = table.value(of: "a@b", for: service) }
            }
        }
    }
}
