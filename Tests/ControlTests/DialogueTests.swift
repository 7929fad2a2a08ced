// SPDX-License-Identifier: ISC

import Mail
import Testing

@testable import Control

@Suite struct SubmissionDialogueTests {
    private func message(_ recipients: [String] = ["b@example.org"], body: String = "x") throws -> MessagePreparation {
        try MessagePreparation(
            Array("From: a\nDate: x\n\n\(body)\n".utf8),
            MessagePreparation.Circumstances(
                sender: "a@example.org", login: "a", arguments: recipients, readsRecipients: false, date: "x"))
    }

    private func line(_ text: String) -> SubmissionDialogue.Action { .send(Array((text + "\r\n").utf8)) }
    private let ok = Reply(250, nil, "ok")
    private let quit = Array("QUIT\r\n".utf8)

    @Test func `a message to two recipients`() throws {
        var dialogue = SubmissionDialogue(
            try message(["b@example.org", "c"], body: "é"), notify: "SUCCESS", returned: "FULL",
            envelopeIdentifier: "a+b =c")
        #expect(dialogue.receive(Reply(220, nil, "hello")) == line("EHLO localhost"))
        let offer = Reply(250, nil, lines: ["host", "8BITMIME", "DSN", "SIZE 1000"])
        #expect(
            dialogue.receive(offer)
                == line("MAIL FROM:<a@example.org> SIZE=24 BODY=8BITMIME RET=FULL ENVID=a+2Bb+20+3Dc"))
        #expect(dialogue.receive(ok) == line("RCPT TO:<b@example.org> NOTIFY=SUCCESS"))
        #expect(dialogue.receive(ok) == line("RCPT TO:<c> NOTIFY=SUCCESS"))
        #expect(dialogue.receive(ok) == line("DATA"))
        #expect(dialogue.receive(Reply(354, nil, "go")) == .sendContent)
        #expect(dialogue.receive(ok) == .finish(.accepted, quit))
    }

    @Test func `what the server does not offer is not asked for`() throws {
        var dialogue = SubmissionDialogue(try message(), notify: "NEVER", returned: "HDRS", envelopeIdentifier: "x")
        _ = dialogue.receive(Reply(220, nil, "hello"))
        #expect(dialogue.receive(ok) == line("MAIL FROM:<a@example.org>"))
        #expect(dialogue.receive(ok) == line("RCPT TO:<b@example.org>"))
    }

    @Test(arguments: 0..<6)
    func `a refusal at any point ends it`(place: Int) throws {
        var dialogue = SubmissionDialogue(try message())
        let replies = [
            Reply(220, nil, "hello"), ok, ok, ok, Reply(354, nil, "go"), ok,
        ]
        let commands = [
            "connection", "EHLO localhost", "MAIL FROM:<a@example.org>", "RCPT TO:<b@example.org>", "DATA", "message",
        ]
        for reply in replies[..<place] { _ = dialogue.receive(reply) }
        let refusal = Reply(550, nil, "no")
        #expect(dialogue.receive(refusal) == .finish(.refused(refusal, to: commands[place]), quit))
    }

    @Test func `a server that leaves is not said goodbye to`() throws {
        var dialogue = SubmissionDialogue(try message())
        let reply = Reply(421, nil, "busy")
        #expect(dialogue.receive(reply) == .finish(.refused(reply, to: "connection"), []))
        #expect(SubmissionFailure.refused(reply, to: "").status == 69)
        #expect(SubmissionFailure.refused(Reply(451, nil, ""), to: "").status == 75)
        #expect(SubmissionFailure.refused(Reply(550, nil, ""), to: "").status == 70)
        #expect(SubmissionFailure.lost("").status == 75)
    }

    @Test func `DATA must be followed by 354`() throws {
        var dialogue = SubmissionDialogue(try message())
        for reply in [Reply(220, nil, ""), ok, ok, ok] { _ = dialogue.receive(reply) }
        #expect(dialogue.receive(ok) == .finish(.refused(ok, to: "DATA"), quit))
    }

    @Test func `a dead letter is an entry of an mbox file`() {
        let entry = DeadLetter.entry(Array("From x\nA: b\n\nFrom y".utf8), login: "ann", at: "DATE")
        #expect(String(decoding: entry, as: UTF8.self) == "From ann DATE\n>From x\nA: b\n\n>From y\n\n")
        let ended = DeadLetter.entry(Array("A: b\n\n".utf8), login: "ann", at: "DATE")
        #expect(String(decoding: ended, as: UTF8.self) == "From ann DATE\nA: b\n\n\n")
    }
}
