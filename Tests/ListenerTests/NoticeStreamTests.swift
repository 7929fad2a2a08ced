// SPDX-License-Identifier: ISC

import Bytes
import IPC
import Mail
import Testing

@testable import Listener

@MainActor
struct NoticeStreamTests {
    private func stream() throws -> NoticeStream {
        NoticeStream(
            recipient: try #require(Mailbox("sender@example.org")), priority: nil,
            content: Array("Subject: x\r\n\r\n.dot\r\n".utf8))
    }

    private func said(_ stream: NoticeStream) -> String {
        let text = stream.withInput { String(decoding: $0.array, as: UTF8.self) }
        stream.consume(stream.available)
        return text
    }

    @Test func `a notice says one command for each reply`() throws {
        let stream = try stream()
        #expect(stream.available == 0)
        stream.write(Reply(220, nil, "mx.example.org ESMTP Martlet"))
        #expect(said(stream) == "EHLO localhost\r\n")
        stream.write(Reply(250, nil, "hello"))
        #expect(said(stream) == "MAIL FROM:<>\r\n")
        stream.write(Reply(250, EnhancedStatus(2, 0, 0), "Ok"))
        #expect(said(stream) == "RCPT TO:<sender@example.org>\r\n")
        stream.write(Reply(250, EnhancedStatus(2, 1, 5), "Ok"))
        #expect(said(stream) == "DATA\r\n")
        stream.write(Reply(354, nil, "go"))
        #expect(said(stream) == "Subject: x\r\n\r\n..dot\r\n.\r\n")
        stream.write(Reply(250, EnhancedStatus(2, 0, 0), "832a2432 Message accepted for delivery"))
        #expect(said(stream) == "QUIT\r\n")
        #expect(stream.result == .accepted(try #require(MessageID("832a2432"))))
    }

    @Test(arguments: 0..<5) func `a refusal at any step keeps the content back and is the result`(step: Int) throws {
        let stream = try stream()
        let yes = [
            Reply(220, nil, "hi"), Reply(250, nil, "a"), Reply(250, nil, "b"), Reply(250, nil, "c"),
            Reply(354, nil, "d"),
        ]
        for reply in yes.prefix(step) {
            stream.write(reply)
            stream.consume(stream.available)
        }
        let no = Reply(550, EnhancedStatus(5, 1, 1), "no")
        stream.write(no)
        #expect(said(stream) == "QUIT\r\n")
        #expect(stream.result == .refused(no))
    }
}
