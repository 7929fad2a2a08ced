// SPDX-License-Identifier: ISC

import Host
import IPC
import Mail
import Testing

@testable import Control

@Suite struct ExplainTests {
    private func command(_ line: String) throws -> ControlInvocation {
        try ControlInvocation(parsing: line.split(separator: " ").map { $0 == "''" ? "" : String($0) })
    }

    private func recipient(_ change: (inout HypotheticalRecipient) -> Void = { _ in }) throws -> ControlCommand {
        var recipient = HypotheticalRecipient(
            client: nil, sender: .mailbox(try #require(Mailbox("al@example.com"))),
            recipient: try #require(Mailbox("bob@example.org")))
        change(&recipient)
        return .explain(recipient)
    }

    @Test func `options stand anywhere`() throws {
        let plain = try recipient()
        #expect(try command("explain al@example.com bob@example.org").command == plain)
        #expect(try command("exp <al@example.com> <bob@example.org>").command == plain)
        let whole = try recipient {
            $0.client = IPAddress("2001:db8::1")
            $0.greeting = "mx.example.com"
            $0.user = "al"
            $0.tag = "in"
            $0.isSecure = true
        }
        let lines = [
            "explain --from 2001:db8::1 --helo mx.example.com --auth al --tls --tag in al@example.com bob@example.org",
            "explain al@example.com --tls bob@example.org --tag in --auth al --helo mx.example.com --from 2001:db8::1",
        ]
        for line in lines { #expect(try command(line).command == whole) }
        let json = try command("--instance /a explain --json al@example.com bob@example.org")
        #expect(json.form == .json)
        #expect(json.instance == "/a")
        for empty in ["<>", "@", "''"] {
            let null = try recipient { $0.sender = .null }
            #expect(try command("explain \(empty) bob@example.org").command == null)
        }
    }

    @Test(arguments: [
        ("explain --from nowhere a@b c@d", "nowhere"), ("explain al bob@example.org", "al"),
        ("explain al@example.com bob", "bob"), ("explain --helo \u{1} a@b c@d", "\u{1}"),
        ("explain al@example.com <>", "<>"),
    ])
    func `a wrong argument is named`(line: String, word: String) {
        #expect(throws: ControlInvocation.Mistake.argument(word)) { try command(line) }
    }

    @Test(arguments: ["explain", "explain a@b", "explain a@b c@d e@f", "explain --from", "explain --what a@b c@d"])
    func `what is no question shows the form`(line: String) {
        #expect(throws: ControlInvocation.Mistake.possibilities([ExplainArguments.usage])) { try command(line) }
    }

    @Test func `encrypt takes a word or none`() throws {
        #expect(try command("encrypt").command == .encrypt(nil))
        #expect(try command("enc --secret").command == .encrypt("--secret"))
        #expect(throws: ControlInvocation.Mistake.possibilities(["encrypt [string]"])) { try command("encrypt a b") }
        #expect(try command("e a").command == .encrypt("a"))
        #expect(try command("spf walk").command == .walkSPF)
    }

    @Test func `a hash has a salt of its own and a method of this host`() throws {
        let password = Array("correct horse".utf8)
        let hashes = try (0..<2).map { _ in try PasswordHash.make(of: password) }
        #expect(hashes[0] != hashes[1])
        #expect(hashes.allSatisfy { $0.hasPrefix("$") && $0.utf8.count > 40 && !$0.contains("correct") })
        let refused: [[UInt8]] = [[], [0x61, 0], [0x61, 10], [UInt8](repeating: 0x61, count: 512)]
        for bytes in refused { #expect(throws: (any Error).self) { try PasswordHash.make(of: bytes) } }
        #expect(try !PasswordHash.make(of: [UInt8](repeating: 0x61, count: 511)).isEmpty)
    }

    @Test func `a step is one line`() {
        let step = [
            ControlField(name: "step", value: .text("match")), ControlField(name: "at", value: .text("m.conf:3:1")),
            ControlField(name: "text", value: .text("match for any reject")),
            ControlField(name: "finding", value: .text("holds\nX")),
        ]
        #expect(Rows.explanationLine(step) == "m.conf:3:1: match for any reject: holds\\012X\n")
        let user = [
            ControlField(name: "step", value: .text("user")), ControlField(name: "at", value: .absent),
            ControlField(name: "text", value: .text("bob")), ControlField(name: "finding", value: .absent),
        ]
        #expect(Rows.explanationLine(user) == "user bob\n")
    }
}
