// SPDX-License-Identifier: ISC

import Configuration
import IPC
import Mail
import Testing

@testable import Delivery

@Suite @MainActor struct DeliveryLineTests {
    private func mailbox(_ text: String) throws -> Mailbox {
        let mailbox = Mailbox(text)
        return try #require(mailbox)
    }

    private func work(to destination: String) throws -> RecipientWork {
        RecipientWork(
            id: EnvelopeID(MessageID(1), number: 2), sender: .mailbox(try mailbox("alice@example.org")),
            recipient: try mailbox("bob@example.org"), destination: try mailbox(destination),
            dispatch: .relay(action: "out"), report: ReportRequest(), created: Timestamp(seconds: 100))
    }

    @Test func `a local delivery's line has the reference's keys`() throws {
        let outcome = DeliveryOutcome.deferred(Reply(451, nil, "no \"room\""))
        let line = DeliveryLine.local(
            SessionID(255), try work(to: "carol@example.org"), user: "carol", outcome, now: Timestamp(seconds: 3765))
        #expect(
            line == "00000000000000ff mda delivery evpid=0000000100000002 from=<alice@example.org> "
                + "to=<carol@example.org> rcpt=<bob@example.org> user=carol delay=1h1m5s result=TempFail "
                + "stat=Error (\"no \\\"room\\\"\")")
    }

    @Test func `a relay's line has the reference's keys`() throws {
        let outcome = DeliveryOutcome.delivered(Reply(250, EnhancedStatus(2, 0, 0), "ok"), reportsItself: false)
        let line = DeliveryLine.relay(
            SessionID(255), try work(to: "bob@example.org"), source: "192.0.2.1", relay: "192.0.2.2 (mx.example.org)",
            outcome, now: Timestamp(seconds: 100))
        #expect(
            line == "00000000000000ff mta delivery evpid=0000000100000002 from=<alice@example.org> "
                + "to=<bob@example.org> rcpt=<-> source=\"192.0.2.1\" relay=\"192.0.2.2 (mx.example.org)\" delay=0s "
                + "result=\"Ok\" stat=\"250 2.0.0 ok\"")
    }

    @Test func `a message that was here before is known by its header`() throws {
        let bob = try mailbox("bob@example.org")
        func visited(_ header: String) -> Bool { LoopCheck.hasVisited(bob, Array(header.utf8)) }
        #expect(visited("Subject: a\r\nDelivered-To: BOB@example.ORG\r\n\r\n"))
        #expect(!visited("Delivered-To: carol@example.org\r\n\r\n"))
        #expect(!visited("Subject: a\r\n\r\nDelivered-To: bob@example.org\r\n"))
        #expect(!visited(""))
    }

    @Test func `mail-from replaces the parts that it has`() throws {
        var action = RelayAction()
        let sender = ReversePath.mailbox(try mailbox("alice@example.org"))
        #expect(action.rewritten(sender) == sender)
        action.mailFrom = "@relay.example.org"
        #expect("\(action.rewritten(sender))" == "alice@relay.example.org")
        action.mailFrom = "all@example.org"
        #expect("\(action.rewritten(sender))" == "all@example.org")
        #expect(action.rewritten(.null) == .null)
    }
}
