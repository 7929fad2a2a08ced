// SPDX-License-Identifier: ISC

import Chance
import Mail
import Testing

@testable import Configuration

@Suite struct ExpansionItemTests {
    @Test(
        arguments: [
            ("bob", [.user("bob")]), ("Bob, carol-x.y+z_", [.user("bob"), .user("carol-x.y+z_")]), ("", []),
            (" , ,", []),
            ("\\bob", [.user("bob")]), ("|cat > /x, y", [.command("cat > /x"), .user("y")]),
            ("\"|cat a, b\", bob", [.command("cat a, b"), .user("bob")]),
            ("|sh -c 'a, b'", [.command("sh -c 'a, b'")]), ("|echo \"a, b\"", [.command("echo \"a, b\"")]),
            ("/var/mail/x", [.file(path: "/var/mail/x")]), ("\"/var/a b\"", [.file(path: "/var/a b")]),
            (":include:/etc/l", [.include(path: "/etc/l")]), ("include:/etc/l", [.include(path: "/etc/l")]),
            (":include: /etc/l", [.include(path: "/etc/l")]), ("\"|a \\\"b\\\"\"", [.command("a \"b\"")]),
            ("error:550 gone away", [.error(Reply(550, nil, "gone away"))]),
            (":error:450 4.2.1 later", [.error(Reply(450, EnhancedStatus(4, 2, 1), "later"))]),
            ("/\u{301}x", [.file(path: "/\u{301}x")]), ("|\u{301}x", [.command("\u{301}x")]),
            ("error:550 4.2.1 odd", [.error(Reply(550, nil, "4.2.1 odd"))]),
        ] as [(String, [ExpansionItem])])
    func `a value is split into items`(text: String, expected: [ExpansionItem]) throws {
        #expect(try ExpansionItem.items(in: text) == expected)
    }

    @Test func `addresses are items`() throws {
        #expect(
            try ExpansionItem.items(in: "bob@example.org, o'brien@example.org,/x@example.org")
                == [
                    .mailbox(mailbox("bob@example.org")), .mailbox(mailbox("o'brien@example.org")),
                    .file(path: "/x@example.org"),
                ])
        #expect(try ExpansionItem.items(in: "\"a, b\"@example.org") == [.mailbox(mailbox("\"a, b\"@example.org"))])
    }

    @Test(arguments: [
        "bob smith", "\"open", "bob\\", "|", "\"|\"", "a@b@c", "error:250 fine", "error:550", "b\u{e9}", "|a 'b",
    ])
    func `what is no item is refused`(text: String) {
        #expect(throws: ExpansionItem.SyntaxError.self) { try ExpansionItem.items(in: text) }
    }

    @Test func `items and values are bounded`() throws {
        #expect(try ExpansionItem.items(in: "|" + String(repeating: "a", count: 2046)).count == 1)
        #expect(throws: ExpansionItem.SyntaxError.tooLong) {
            try ExpansionItem.items(in: "|" + String(repeating: "a", count: 2047))
        }
        #expect(try ExpansionItem.items(in: String(repeating: "bob,", count: 262_144)).count == 262_144)
        #expect(throws: ExpansionItem.SyntaxError.tooLong) {
            try ExpansionItem.items(in: String(repeating: "bob,", count: 262_145))
        }
    }

    @Test func `items of a forward file have ordinals and lines`() throws {
        let text = "# my mail\nbob, |cmd # comment\n\n:include:/x\ncarol@example.org, \\\n  /file\n"
        let entries = try ForwardText(Array(text.utf8)).entries
        #expect(entries.map(\.ordinal) == [0, 1, 2, 3, 4])
        #expect(entries.map(\.line) == [2, 2, 4, 5, 5])
        #expect(entries[1].item == .command("cmd"))
        #expect(entries[4].item == .file(path: "/file"))
    }

    @Test func `a forward file is bounded`() throws {
        #expect(try ForwardText(Array(String(repeating: "a\n", count: 100).utf8)).entries.count == 100)
        #expect(throws: ForwardText.SyntaxError(line: 101, reason: .tooManyItems)) {
            try ForwardText(Array(String(repeating: "a\n", count: 101).utf8))
        }
        #expect(throws: ForwardText.SyntaxError(line: 2, reason: .nulByte)) { try ForwardText(Array("a\nb\0".utf8)) }
        #expect(throws: ForwardText.SyntaxError.self) { try ForwardText(Array("a\n\"|open".utf8)) }
        #expect(throws: ForwardText.SyntaxError(line: 2, reason: .item(.invalidItem("/caf\u{fffd}")))) {
            try ForwardText(Array("bob\n/caf".utf8) + [0xe9])
        }
        #expect(try ForwardText([]).entries.isEmpty)
    }

    @Test func `every prefix of a forward file is read or refused`() {
        let text = Array("\"|cmd \\\"x\\\" 'y'\", bob\\\n, a@example.org # c\n:error:550 5.1.1 no\n/f\n".utf8)
        for count in 0...text.count { _ = try? ForwardText(Array(text[..<count])) }
    }

    @Test func `no text traps`() {
        var random = TestRandom(seed: 4)
        let alphabet = Array("ab,\\\"'|/#@.:\n error:550 include: ".utf8) + [0, 0xFF]
        for _ in 0..<5000 {
            let text = random.bytes(from: alphabet, atMost: 40)
            _ = try? ForwardText(text)
            _ = try? ExpansionItem.items(in: String(decoding: text, as: UTF8.self))
        }
    }
}
