// SPDX-License-Identifier: ISC

import Bytes
import Chance
import Mail
import Testing

@Suite struct ReplyTests {
    private func wire(_ reply: Reply) -> String {
        var output: [UInt8] = []
        reply.write(to: &output)
        return String(decoding: output, as: UTF8.self)
    }

    @Test func `each line has the code, the separator, the status and CRLF`() {
        #expect(wire(Reply(250, nil, "Ok")) == "250 Ok\r\n")
        #expect(wire(Reply(550, EnhancedStatus(5, 1, 1), "No such user")) == "550 5.1.1 No such user\r\n")
        #expect(wire(Reply(250, lines: ["one", "two", "three"])) == "250-one\r\n250-two\r\n250 three\r\n")
        #expect(wire(Reply(250, EnhancedStatus(2, 0, 0), lines: ["a", "b"])) == "250-2.0.0 a\r\n250 2.0.0 b\r\n")
        #expect(wire(Reply(250, lines: [])) == "250 \r\n")
    }

    @Test func `nothing that was put into a reply breaks out of its line`() {
        #expect(Reply(550, nil, "a\r\n250 b\0\u{7F}ä").lines == ["a??250 b????"])
    }

    @Test(arguments: [nil, EnhancedStatus(5, 7, 1), EnhancedStatus(5, 999, 999)])
    func `no line is longer than RFC 5321 allows`(status: EnhancedStatus?) {
        for count in [490, 496, 500, 506, 507, 600, 10_000] {
            let text = wire(Reply(550, status, String(repeating: "a", count: count)))
            #expect(text.utf8.count <= 512)
            if count > 506 { #expect(text.utf8.count == 512) }
        }
    }

    @Test func `a reply is one line in the log`() {
        #expect(Reply(550, EnhancedStatus(5, 1, 1), lines: ["No", "user"]).description == "550 5.1.1 No user")
        #expect(Reply(354, nil, "go").description == "354 go")
    }

    @Test func `the first digit says how it went`() {
        #expect(Reply(250, nil, "").isPositive && Reply(354, nil, "").isIntermediate)
        #expect(Reply(421, nil, "").isTemporary && Reply(550, nil, "").isPermanent)
        #expect(!Reply(550, nil, "").isTemporary && !Reply(450, nil, "").isPositive)
    }

    @Test(arguments: [
        ("2.0.0", "2.0.0"), ("5.1.1 No such user", "5.1.1"), ("4.999.999\tx", "4.999.999"), ("2.01.1", "2.1.1"),
    ])
    func `a status is found at the front of a text`(text: String, status: String) {
        #expect(EnhancedStatus(prefixOf: Array(text.utf8).span)?.description == status)
    }

    @Test(arguments: [
        "", "5", "5.", "5.1", "5.1.", "5.1.1.", "5.1.1.1", "5.1.1x", "3.1.1", "1.1.1", "6.0.0", "5.1000.1", "5.1.1000",
        " 5.1.1", "5..1", ".5.1.1", "x5.1.1", "25.1.1", "5.99999999999999999999.1", "5.1.1-", "-5.1.1",
    ])
    func `what is no status is text`(text: String) {
        #expect(EnhancedStatus(prefixOf: Array(text.utf8).span) == nil)
    }

    @Test func `random text is a status that prints and parses, or none`() {
        var random = TestRandom(seed: 7)
        let alphabet = Array("245019.. ".utf8)
        for _ in 0..<10_000 {
            let count = Int.random(in: 0...10, using: &random)
            let bytes = (0..<count).compactMap { _ in alphabet.randomElement(using: &random) }
            guard let status = EnhancedStatus(prefixOf: bytes.span) else { continue }
            #expect(EnhancedStatus(prefixOf: Array(status.description.utf8).span) == status)
        }
    }

    @Test func `an outcome has the reply that decided it`() {
        let reply = Reply(250, nil, "Ok")
        #expect(DeliveryOutcome.delivered(reply, reportsItself: true).reply == reply)
        #expect(DeliveryOutcome.deferred(reply).reply == reply)
        #expect(DeliveryOutcome.failed(reply).reply == reply)
    }
}
