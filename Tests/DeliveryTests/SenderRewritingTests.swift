// SPDX-License-Identifier: ISC

import Configuration
import IPC
import Mail
import Testing

@testable import Delivery

struct SenderRewritingTests {
    private let now = Timestamp(seconds: 1_795_478_400)
    private let signed = "SRS0=8gnb=JN=example.com=alice@example.org"

    // A macro takes the name of the module for a value.
    private func mailbox(_ text: String) -> Mail.Mailbox? { Mail.Mailbox(text) }

    private func sender(
        of action: RelayAction, _ sender: String, to recipient: String, then destination: String,
        key: String? = "correct horse"
    ) throws -> String {
        let work = RecipientWork(
            id: EnvelopeID(MessageID(1), number: 1), sender: try #require(ReversePath(sender)),
            recipient: try #require(mailbox(recipient)), destination: try #require(mailbox(destination)),
            dispatch: .relay(action: "out"), report: ReportRequest(), created: now)
        var settings = SRSSettings()
        settings.key = key
        return action.forwarded(work, by: settings, on: now).description
    }

    @Test func `only what was addressed to this host and goes on gets a sender of this host`() throws {
        var action = RelayAction()
        action.senderRewriting = .srs
        let forwarded = ("bob@example.org", "bob@example.net")
        #expect(try sender(of: action, "alice@example.com", to: forwarded.0, then: forwarded.1) == signed)
        #expect(
            try sender(of: action, "alice@example.com", to: "bob@example.net", then: "bob@example.net")
                == "alice@example.com")
        #expect(try sender(of: action, "", to: forwarded.0, then: forwarded.1) == "")
        #expect(
            try sender(of: action, "alice@example.com", to: forwarded.0, then: forwarded.1, key: nil)
                == "alice@example.com")
        // Too long for another address around it.
        let long = String(repeating: "a", count: 250) + "@example.com"
        #expect(try sender(of: action, long, to: forwarded.0, then: forwarded.1) == long)
        var fixed = action
        fixed.mailFrom = "@example.net"
        #expect(try sender(of: fixed, "alice@example.com", to: forwarded.0, then: forwarded.1) == "alice@example.com")
        #expect(
            try sender(of: RelayAction(), "alice@example.com", to: forwarded.0, then: forwarded.1)
                == "alice@example.com")
    }
}
