// SPDX-License-Identifier: ISC

import Configuration
import IPC
import Mail
import Testing

@testable import Delivery

struct SenderRewritingTests {
    // A macro takes the name of the module for a value.
    private func mailbox(_ text: String) -> Mail.Mailbox? { Mail.Mailbox(text) }

    private func forwarded(
        _ action: RelayAction, _ sender: String, to recipient: String, then destination: String
    ) throws -> ForwardedSender? {
        let work = RecipientWork(
            id: EnvelopeID(MessageID(1), number: 1), sender: try #require(ReversePath(sender)),
            recipient: try #require(mailbox(recipient)), destination: try #require(mailbox(destination)),
            dispatch: .relay(action: "out"), report: ReportRequest(), created: Timestamp(seconds: 1_795_478_400))
        return ForwardedSender(work, by: "out", action)
    }

    @Test func `only what was addressed to this host and goes on gets a sender of this host`() throws {
        var action = RelayAction()
        action.senderRewriting = .srs
        let (sender, here, there) = ("alice@example.com", "bob@example.org", "bob@example.net")
        let question = try #require(try forwarded(action, sender, to: here, then: there)?.question)
        let alice = try #require(mailbox(sender))
        let domain = try #require(Domain("example.org"))
        #expect(question == .forwarded(action: "out", sender: alice, recipient: domain))
        #expect(try forwarded(action, sender, to: there, then: there) == nil)
        #expect(try forwarded(action, "", to: here, then: there) == nil)
        var fixed = action
        fixed.mailFrom = "@example.net"
        #expect(try forwarded(fixed, sender, to: here, then: there) == nil)
        #expect(try forwarded(RelayAction(), sender, to: here, then: there) == nil)
    }
}
