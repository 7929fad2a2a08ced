// SPDX-License-Identifier: ISC

import Chance
import Routing
import Testing

@Suite struct TableDialogueTests {
    private func receive(_ line: String, _ dialogue: inout TableDialogue) throws(TableDialogue.Violation)
        -> TableDialogue.Event
    {
        let bytes = Array(line.utf8)
        return try dialogue.receive(bytes.span)
    }

    private func served() throws -> TableDialogue {
        var dialogue = TableDialogue(tableName: "t")
        #expect(try receive("register|alias", &dialogue) == .nothing)
        #expect(try receive("register|auth", &dialogue) == .nothing)
        #expect(try receive("register|ready", &dialogue) == .registered([.alias, .authentication]))
        return dialogue
    }

    private func ask(_ question: TableDialogue.Question, _ dialogue: inout TableDialogue) throws -> String {
        var output: [UInt8] = []
        _ = try dialogue.ask(question, at: 1_700_000_000_000_042, writingTo: &output)
        return String(decoding: output, as: UTF8.self)
    }

    @Test func `the server says who it is and what the table is called`() {
        let greeting = TableDialogue(tableName: "people").greeting(version: "7.8.0")
        #expect(
            greeting
                == "config|smtpd-version|7.8.0\nconfig|protocol|0.1\nconfig|tablename|people\nconfig|ready\n")
    }

    @Test func `each question is a line`() throws {
        var dialogue = try served()
        let start = "table|0.1|1700000000.000042|t|"
        #expect(try ask(.update, &dialogue) == start + "update|00000001\n")
        #expect(try ask(.check(.domain, key: "a|b"), &dialogue) == start + "check|domain|00000002|a|b\n")
        #expect(
            try ask(.check(.authentication, key: "bob:Pa|ss"), &dialogue) == start + "check|auth|00000003|bob:Pa|ss\n")
        #expect(try ask(.lookup(.mailbox, key: "@"), &dialogue) == start + "lookup|mailaddr|00000004|@\n")
        #expect(try ask(.fetch(.source), &dialogue) == start + "fetch|source|00000005\n")
    }

    @Test(arguments: ["a\nb", "a\rb", "\r\n", "a\u{0}b"])
    func `a key that would end its line is no question`(key: String) throws {
        var dialogue = try served()
        #expect(throws: TableDialogue.KeyError.controlCharacter) { try ask(.lookup(.alias, key: key), &dialogue) }
        let long = String(repeating: "k", count: 1024)
        #expect(throws: TableDialogue.KeyError.tooLong) { try ask(.lookup(.alias, key: long), &dialogue) }
    }

    nonisolated static let answers: [(TableDialogue.Question, String, TableDialogue.Answer)] = [
        (.update, "update-result|00000001|ok", .found("")),
        (.update, "update-result|00000001|error", .failed("")),
        (.update, "update-result|00000001|error|no|disk", .failed("no|disk")),
        (.check(.domain, key: "x"), "check-result|00000001|found", .found("")),
        (.check(.domain, key: "x"), "check-result|1|not-found", .absent),
        (.check(.domain, key: "x"), "check-result|00000001|error|", .failed("")),
        (.lookup(.alias, key: "x"), "lookup-result|00000001|found|a, b|c", .found("a, b|c")),
        (.lookup(.alias, key: "x"), "lookup-result|00000001|not-found", .absent),
        (.fetch(.source), "fetch-result|00000001|found|192.0.2.1", .found("192.0.2.1")),
        // As the manual of the reference shows it.
        (.fetch(.source), "lookup-result|00000001|found|192.0.2.1", .found("192.0.2.1")),
        (.fetch(.source), "fetch-result|00000001|not-found", .absent),
    ]

    @Test(arguments: answers)
    func `an answer is a line`(
        question: TableDialogue.Question, line: String, answer: TableDialogue.Answer
    ) throws {
        var dialogue = try served()
        _ = try ask(question, &dialogue)
        #expect(try receive(line, &dialogue) == .answered(1, answer))
        #expect(throws: TableDialogue.Violation.unknownQuestion) { try receive(line, &dialogue) }
    }

    @Test func `answers come in any order`() throws {
        var dialogue = try served()
        for _ in 0..<3 { _ = try ask(.lookup(.alias, key: "x"), &dialogue) }
        #expect(try receive("lookup-result|00000003|found|c", &dialogue) == .answered(3, .found("c")))
        #expect(try receive("lookup-result|00000001|found|a", &dialogue) == .answered(1, .found("a")))
        #expect(try receive("lookup-result|00000002|not-found", &dialogue) == .answered(2, .absent))
    }

    nonisolated static let nonsense: [(String, TableDialogue.Violation)] = [
        ("", .unexpectedLine), ("hello", .unexpectedLine), ("lookup-result|00000001", .unexpectedLine),
        ("register|alias", .unexpectedLine), ("lookup-result|00000001|perhaps", .unexpectedLine),
        ("lookup-result|00000001|found", .emptyValue), ("lookup-result|00000001|found|", .emptyValue),
        ("lookup-result|00000002|found|x", .unknownQuestion), ("check-result|00000001|found", .unknownQuestion),
        ("lookup-result|x|found|x", .unknownQuestion), ("lookup-result|0000000000000001|found|x", .unknownQuestion),
        ("lookup-result|00000001|not-found|x", .unexpectedLine), ("lookup-result|00000001|ok", .unexpectedLine),
        ("lookup-result|00000001|found|a\r", .notText), ("lookup-result|00000001|found|a\u{0}", .notText),
        ("lookup-result|00000001|found|" + String(repeating: "v", count: (1 << 20) + 65), .longLine),
    ]

    @Test(arguments: nonsense) func `anything else is a violation`(line: String, violation: TableDialogue.Violation)
        throws
    {
        var dialogue = try served()
        _ = try ask(.lookup(.alias, key: "x"), &dialogue)
        #expect(throws: violation) { try receive(line, &dialogue) }
        // What it said may be a password.
        #expect(!"\(violation)".contains("found"))
    }

    nonisolated static let handshakes: [(String, TableDialogue.Violation)] = [
        ("register|ready", .noService), ("register|weather", .unknownService), ("register", .unexpectedLine),
        ("config|ready", .unexpectedLine), ("", .unexpectedLine), ("\u{0}\u{1}", .notText),
    ]

    @Test(arguments: handshakes)
    func `a program registers services first`(line: String, violation: TableDialogue.Violation) {
        var dialogue = TableDialogue(tableName: "t")
        #expect(throws: violation) { try receive(line, &dialogue) }
    }

    @Test func `no line traps`() throws {
        var random = TestRandom(seed: 11)
        let alphabet = Array("|01ab-oknfudertlchigp\n\r".utf8) + [0, 0xC3]
        let starts = ["lookup-result|00000001|", "check-result|", "register|", ""]
        for turn in 0..<4000 {
            var dialogue = turn % 2 == 0 ? TableDialogue(tableName: "t") : try served()
            _ = try ask(.lookup(.alias, key: "x"), &dialogue)
            let line = Array(starts[turn % 4].utf8) + random.bytes(from: alphabet, atMost: 24)
            _ = try? dialogue.receive(line.span)
        }
    }
}
