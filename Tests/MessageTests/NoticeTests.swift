// SPDX-License-Identifier: ISC

import Bytes
import Mail
import Message
import Testing

@Suite struct NoticeTests {
    static let joe = Mailbox("joe@example.org") ?? Mailbox(.postmaster, at: TraceFieldTests.server)

    static func notice(_ kind: Notice.Kind, _ reply: Reply, _ returned: Notice.Returned = .headers(.sevenBit)) -> Notice
    {
        var said = reply
        said.host = Domain("mail.example.org")
        return Notice(
            kind: kind, reportingHost: TraceFieldTests.server, recipient: joe, date: TraceFieldTests.date,
            messageID: "<1@mx.example.org>", boundary: "0123abcd", envelopeIdentifier: "QQ314159",
            arrival: TraceFieldTests.date,
            recipients: [
                .init(
                    originalRecipient: "rfc822;old@example.org", finalRecipient: joe, reply: said,
                    lastAttempt: TraceFieldTests.date, retriesUntil: TraceFieldTests.date),
                .init(finalRecipient: joe, reply: reply),
            ], retention: .days(4), returned: returned)
    }

    static func text(_ notice: Notice, returning content: String = "A: b\r\n") -> String {
        var output: [UInt8] = []
        notice.write(returning: Array(content.utf8).span, to: &output)
        return String(decoding: output, as: UTF8.self)
    }

    @Test func `a failure is told in full`() {
        let text = Self.text(Self.notice(.failed, Reply(550, EnhancedStatus(5, 1, 1), lines: ["no such", "user"])))
        #expect(
            text == """
                Subject: Delivery status notification: failed\r
                From: Mailer Daemon <MAILER-DAEMON@mx.example.org>\r
                To: joe@example.org\r
                Date: Mon, 2 Jan 2006 15:04:05 +0100 (CET)\r
                Message-ID: <1@mx.example.org>\r
                Auto-Submitted: auto-replied\r
                MIME-Version: 1.0\r
                Content-Type: multipart/report; report-type=delivery-status;\r
                \tboundary="0123abcd"\r
                \r
                --0123abcd\r
                Content-Type: text/plain; charset=us-ascii\r
                \r
                Hello,\r
                \r
                this is the MAILER-DAEMON of mx.example.org. No person reads replies to it,\r
                so please do not answer this message.\r
                \r
                Your message could not be delivered to the recipients below,\r
                and no further attempt will be made:\r
                \r
                joe@example.org: 550 5.1.1 no such\r
                    user\r
                joe@example.org: 550 5.1.1 no such\r
                    user\r
                \r
                --0123abcd\r
                Content-Type: message/delivery-status\r
                \r
                Original-Envelope-Id: QQ314159\r
                Reporting-MTA: dns; mx.example.org\r
                Arrival-Date: Mon, 2 Jan 2006 15:04:05 +0100 (CET)\r
                \r
                Original-Recipient: rfc822;old@example.org\r
                Final-Recipient: rfc822; joe@example.org\r
                Action: failed\r
                Status: 5.1.1\r
                Remote-MTA: dns; mail.example.org\r
                Diagnostic-Code: smtp; 550 5.1.1 no such\r
                    user\r
                Last-Attempt-Date: Mon, 2 Jan 2006 15:04:05 +0100 (CET)\r
                \r
                Final-Recipient: rfc822; joe@example.org\r
                Action: failed\r
                Status: 5.1.1\r
                \r
                --0123abcd\r
                Content-Type: text/rfc822-headers\r
                \r
                A: b\r
                \r
                --0123abcd--\r\n
                """)
    }

    @Test(arguments: [
        (Notice.Kind.failed, UInt16(550), "5.0.0"), (.failed, 451, "4.0.0"), (.delayed, 421, "4.0.0"),
        (.delivered, 250, "2.0.0"),
        (.relayed, 250, "2.0.0"),
    ]) func `a reply without a status gets one of the kind`(kind: Notice.Kind, code: UInt16, status: String) {
        let text = Self.text(Self.notice(kind, Reply(code, nil, "x")))
        #expect(text.contains("Action: \(kind.rawValue)\r\nStatus: \(status)\r\n"))
        #expect(text.contains("Subject: Delivery status notification: \(kind.rawValue)\r\n"))
        #expect(text.contains("for 4d in all") == (kind == .delayed))
    }

    @Test func `a message returned in full says its type and its encoding`() {
        let seven = Self.text(Self.notice(.failed, Reply(550, nil, "x"), .full(.sevenBit)))
        #expect(seven.contains("--0123abcd\r\nContent-Type: message/rfc822\r\n\r\nA: b"))
        #expect(!seven.contains("8bit"))
        let eight = Self.text(Self.notice(.failed, Reply(550, nil, "x"), .full(.eightBit)), returning: "A: \u{e9}\r\n")
        #expect(eight.contains("message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nA: \u{e9}"))
        #expect(eight.contains("boundary=\"0123abcd\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"))
    }

    @Test func `who said what is told where a server said it, and how long a delay may last`() {
        var last = Reply(451, EnhancedStatus(4, 7, 1), lines: ["not now", "come (back) later"])
        last.host = Domain("mx.example.net")
        var notice = Self.notice(.failed, Reply(554, EnhancedStatus(5, 4, 7), "Envelope expired"))
        notice.recipients = [.init(finalRecipient: Self.joe, reply: notice.recipients[1].reply, diagnostic: last)]
        let expired = Self.text(notice)
        #expect(
            expired.contains(
                "Status: 5.4.7\r\nRemote-MTA: dns; mx.example.net\r\n"
                    + "Diagnostic-Code: smtp; 451 4.7.1 not now\r\n    come (back) later\r\n"))
        notice.recipients[0].diagnostic?.host = nil
        #expect(!Self.text(notice).contains("Remote-MTA") && !Self.text(notice).contains("Diagnostic-Code"))
        let delayed = Self.text(Self.notice(.delayed, Reply(451, nil, "x")))
        #expect(delayed.contains("\r\nWill-Retry-Until: \(TraceFieldTests.date)\r\n"))
        #expect(!Self.text(Self.notice(.failed, Reply(550, nil, "x"))).contains("Will-Retry-Until"))
    }

    @Test func `no text of another's choosing makes a line of its own`() {
        var notice = Self.notice(.failed, Reply(550, nil, lines: ["", "a\r\nStatus: 2.0.0", "", " "]))
        notice.envelopeIdentifier = "x\r\nAction: delivered"
        notice.recipients[0].originalRecipient = "rfc822;a\r\nAction: delivered"
        let lines = Self.text(notice).split(separator: "\r\n", omittingEmptySubsequences: false)
        #expect(!lines.contains("Action: delivered") && !lines.contains("Status: 2.0.0"))
        #expect(lines.allSatisfy { !$0.utf8.contains(13) && !$0.utf8.contains(10) })
        #expect(!lines.contains { !$0.isEmpty && $0.allSatisfy { $0 == " " } })
    }
}
