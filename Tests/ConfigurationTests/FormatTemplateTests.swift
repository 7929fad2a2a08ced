// SPDX-License-Identifier: ISC

import Chance
import Mail
import Testing

@testable import Configuration

@Suite struct FormatTemplateTests {
    private func fields(
        sender: String = "Al.Ice@Example.ORG", recipient: String = "bob+lists@example.org",
        destination: String = "bob@a.example.org", user: String = "bob", home: String = "/home/bob",
        command: String? = nil
    ) throws -> FormatFields {
        FormatFields(
            sender: try #require(ReversePath(sender)), recipient: try mailbox(recipient),
            destination: try mailbox(destination), userName: user, home: home, delimiters: .plus, command: command)
    }

    @Test(arguments: [
        ("plain", "plain"), ("%%", "%"), ("100%", "100%"), ("%d", "%d"), ("%{open", "%{open"), ("a%{b%%", "a%{b%%"),
        ("%{sender}", "Al.Ice@Example.ORG"), ("%{SENDER.user}", "Al.Ice"),
        ("%{sender.domain:lowercase}", "example.org"),
        ("%{rcpt}", "bob+lists@example.org"), ("%{rcpt:strip}", "bob@example.org"),
        ("%{rcpt.user:strip|uppercase}", "BOB"),
        ("%{dest.domain}", "a.example.org"), ("%{user.username}", "bob"), ("%{user.directory}", "/home/bob"),
        ("%{mbox.from}", "Al.Ice@Example.ORG"), ("~/Mail", "/home/bob/Mail"), ("x~/Mail", "x~/Mail"),
        ("%{user.username[0]}", "b"), ("%{user.username[-1]}", "b"), ("%{user.username[0:1]}", "bo"),
        ("%{user.username[1:]}", "ob"), ("%{user.username[:1]}", "bo"), ("%{user.username[0:-1]}", "bo"),
        ("%{user.username[0:99]}", "bob"), ("%{user.username[-2:]}", "ob"), ("%{rcpt.user[0:2]:uppercase}", "BOB"),
        ("%{user.username[:]}", "bob"),
    ])
    func `a template is filled in`(template: String, expected: String) throws {
        #expect(try FormatTemplate(template, for: .path).expand(fields()) == expected)
    }

    @Test(arguments: [
        "%{nothing}", "%{}", "%{sender:shout}", "%{sender:}", "%{sender[}", "%{sender[]}", "%{sender[a]}",
        "%{sender[1:b]}",
        "%{sender[+1]}", "%{sender[1]x}", "%{sender:lowercase|}", "%{sender[123456]}",
    ])
    func `an unknown specifier is refused`(template: String) {
        #expect(throws: FormatTemplate.SyntaxError.self) { try FormatTemplate(template, for: .path) }
    }

    @Test(arguments: ["%{user.username[3]}", "%{user.username[-4]}", "%{user.username[2:1]}", "%{mda}"])
    func `what has no value fails`(template: String) throws {
        let format = try FormatTemplate(template, for: .path)
        #expect(throws: FormatTemplate.ExpansionError.noValue) { try format.expand(fields()) }
    }

    @Test func `an empty sender`() throws {
        let empty = try fields(sender: "")
        #expect(try FormatTemplate("<%{sender}|%{sender.user}>", for: .path).expand(empty) == "<|>")
        #expect(try FormatTemplate("%{mbox.from}", for: .path).expand(empty) == "MAILER-DAEMON")
    }

    @Test func `raw is refused in a command`() throws {
        #expect(throws: FormatTemplate.SyntaxError.rawInCommand) { try FormatTemplate("%{sender:RAW}", for: .command) }
        #expect(
            try FormatTemplate("%{rcpt.user:raw}", for: .path).expand(fields(recipient: "a!b@example.org")) == "a!b")
        #expect(try FormatTemplate("%{rcpt.user}", for: .path).expand(fields(recipient: "a!b@example.org")) == "a:b")
    }

    @Test func `a wrapper goes around the command as it is`() throws {
        let format = try FormatTemplate("nice %{mda}", for: .command)
        #expect(try format.expand(fields(command: "run \"$x\"")) == "nice run \"$x\"")
    }

    @Test func `no byte of an address reaches the shell with a meaning`() throws {
        let format = try FormatTemplate("x '%{rcpt.user}' %{user.directory}", for: .command)
        for byte in UInt8(0x20)..<0x7F {
            let local = try #require(LocalPart(String(UnicodeScalar(byte))))
            var values = try fields(home: "/home/b;b")
            values.recipient.localPart = local
            let text = try format.expand(values)
            let isHarmless = byte.isAlphanumericASCII || Array("@._+=/-".utf8).contains(byte)
            #expect(text == "x '\(isHarmless ? local.text : ":")' /home/b:b")
        }
    }

    @Test func `whatever address is accepted, a command keeps the words that it was written with`() throws {
        var random = TestRandom(seed: 11)
        let format = try FormatTemplate("run %{sender} %{rcpt} %{dest.user} %{user.username}", for: .command)
        let alphabet = Array(" !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~aZ09".utf8)
        var accepted = 0
        for _ in 0..<10_000 {
            let user = "\"" + String(decoding: random.bytes(from: alphabet, atMost: 24), as: UTF8.self) + "\""
            guard let mailbox = Mailbox(user + "@example.org") else { continue }
            accepted += 1
            var values = try fields()
            values.sender = .mailbox(mailbox)
            values.recipient = mailbox
            values.destination = mailbox
            values.userName = mailbox.localPart.text
            let words = try format.expand(values).split(separator: " ", omittingEmptySubsequences: false)
            #expect(words.count == 5 && words[0] == "run", "\(mailbox)")
            for word in words.dropFirst() {
                #expect(word.utf8.allSatisfy { $0.isAlphanumericASCII || Array("@._+=/-:".utf8).contains($0) })
            }
        }
        #expect(accepted > 1000)
    }

    @Test(arguments: ["..", ".", "../../etc/x", "/etc", "a/../b", "...", "..a"])
    func `a token cannot climb out of a path`(user: String) throws {
        var values = try fields()
        values.recipient.localPart = try #require(LocalPart(user))
        for modifiers in ["", ":raw"] {
            let format = try FormatTemplate("/mail/%{rcpt.user\(modifiers)}/in", for: .path)
            if user == ".." || user == "." {
                #expect(throws: FormatTemplate.ExpansionError.unsafePath) { try format.expand(values) }
            } else {
                let parts = try format.expand(values).split(separator: "/")
                #expect(parts.count == 3 && parts[0] == "mail" && parts[2] == "in" && parts[1] != "..")
            }
        }
        let literal = try FormatTemplate("/a/../%{user.username}", for: .path)
        #expect(try literal.expand(values) == "/a/../bob")
        values.recipient.localPart = try #require(LocalPart("."))
        let joined = try FormatTemplate("/a/.%{rcpt.user}", for: .path)
        #expect(throws: FormatTemplate.ExpansionError.unsafePath) { try joined.expand(values) }
    }

    @Test func `lengths are bounded`() throws {
        let long = String(repeating: "a", count: 128) + "@example.org"
        #expect(throws: FormatTemplate.ExpansionError.tooLong) {
            try FormatTemplate("%{rcpt}", for: .path).expand(fields(recipient: long))
        }
        let literal = String(repeating: "x", count: 1024)
        #expect(throws: FormatTemplate.ExpansionError.tooLong) {
            try FormatTemplate(literal, for: .path).expand(fields())
        }
        #expect(try FormatTemplate(literal, for: .command).expand(fields()) == literal)
        #expect(throws: FormatTemplate.ExpansionError.tooLong) {
            try FormatTemplate(literal + literal, for: .command).expand(fields())
        }
    }

    @Test func `every prefix of a template is read or refused`() throws {
        let text = "~/a%%%{rcpt.user[0:-1]:strip|uppercase}/%{dest}"
        let values = try fields()
        for count in 0...text.count { _ = try? FormatTemplate(String(text.prefix(count)), for: .path).expand(values) }
    }

    @Test func `no template traps`() throws {
        var random = TestRandom(seed: 5)
        let alphabet = Array("%{}[]:|-0129~/ sender.rcpt.user:raw:strip:lowercase".utf8)
        let words = ["%{", "}", "sender", "rcpt.user", "[", "]", "-1", "3", ":", "|", "strip", "raw", "%%", "~/"]
        let values = try fields()
        for round in 0..<5000 {
            var text = String(decoding: random.bytes(from: alphabet, atMost: 20), as: UTF8.self)
            if round % 2 == 0 {
                text = (0..<8).map { _ in words[Int.random(in: 0..<words.count, using: &random)] }.joined()
            }
            for use in [FormatTemplate.Use.command, .path, .destination] {
                _ = try? FormatTemplate(text, for: use).expand(values)
            }
        }
    }
}

extension UInt8 {
    fileprivate var isAlphanumericASCII: Bool {
        (0x30...0x39).contains(self) || (0x41...0x5A).contains(self) || (0x61...0x7A).contains(self)
    }
}
