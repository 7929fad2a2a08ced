// SPDX-License-Identifier: ISC

import Foundation
import Testing

extension WholeHouse.Private {
    /// What others take from us.
    @Suite(.enabled(if: Host.hasPostfix, "\(Host.withoutPostfix)"))
    struct NextHops {
        // A dot at the start of a line, a line of dots, a long line, a line that looks like a boundary.
        private static let content =
            "Subject: test\nX-Number: 1\n\n.dot\n..\n.\n" + String(repeating: "a", count: 990) + "\n--x\nend"

        private static func check(_ messages: [String]) {
            #expect(!messages.isEmpty)
            for message in messages {
                #expect(message.contains("\n.dot\n..\n.\n" + String(repeating: "a", count: 990) + "\n--x\nend"))
            }
        }

        @Test func `Postfix takes what we relay, pipelined and over one connection`() throws {
            let instance = try Instance()
            let peer = try PostfixPeer(instance)
            try instance.start(instance.usual(relay: "host smtp+notls://127.0.0.1:\(peer.port)"))
            for _ in 1...5 { try instance.submit(to: ["bob@example.com", "carol@example.com"], Self.content) }
            #expect(peer.waitForMessages(10), "\(instance.lastWords) \(peer.log)")
            #expect(try instance.isQueueEmpty(), "\(instance.queueText)")
            Self.check(peer.messages)
            #expect(!peer.log.contains("improper command pipelining"), "\(peer.log)")
            try instance.stop()
        }

        @Test func `Postfix without 8BITMIME gets seven bits that say the same`() throws {
            let instance = try Instance()
            let peer = try PostfixPeer(
                instance, ["smtpd_discard_ehlo_keywords = 8bitmime", "disable_mime_output_conversion = yes"])
            try instance.start(instance.usual(relay: "host smtp+notls://127.0.0.1:\(peer.port)"))
            let content =
                "Subject: test\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
                + "Content-Transfer-Encoding: 8bit\n\ngr\u{fc}n = green\n.dot"
            try instance.submit(to: ["bob@example.com"], content)
            #expect(peer.waitForMessages(1), "\(instance.lastWords) \(peer.log)")
            let message = try #require(peer.messages.first)
            #expect(message.utf8.allSatisfy { $0 < 0x80 })
            #expect(message.contains("Content-Transfer-Encoding: quoted-printable"))
            #expect(message.contains("gr=C3=BCn =3D green\n.dot"), "\(message)")
            try instance.stop()
        }

        @Test(.enabled(if: EximPeer.isThere, "\(EximPeer.why)"))
        func `Exim takes what we relay`() throws {
            let instance = try Instance()
            let peer = try EximPeer(instance)
            try instance.start(instance.usual(relay: "host smtp+notls://127.0.0.1:\(peer.port)"))
            for _ in 1...5 { try instance.submit(to: ["bob@example.com"], Self.content) }
            #expect(peer.waitForMessages(5), "\(instance.lastWords) \(peer.log)")
            #expect(try instance.isQueueEmpty(), "\(instance.queueText)")
            Self.check(peer.messages)
            try instance.stop()
        }
    }
}
