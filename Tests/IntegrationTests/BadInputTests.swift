// SPDX-License-Identifier: ISC

import Foundation
import Testing

extension WholeHouse.Unprivileged {
    /// What broke other servers: what is stored is told byte for byte, and a second client is served meanwhile.
    struct BadInput {
        private static let head = "EHLO client.example.org\r\nMAIL FROM:<alice@example.org>\r\n"

        /// A message of a second client, while the first one misbehaves.
        private func serveAnother(_ instance: Instance, _ person: String) throws {
            let before = instance.mailbox(person).count
            try instance.submit(to: ["\(person)@example.org"])
            #expect(instance.mailbox(person).waitForMessages(before + 1, seconds: 60), "\(instance.lastWords)")
        }

        // The end of data as other servers once took it to be, each followed by a message of the attacker's.
        private static let endings = [
            "\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\n.\r", "\r.\n", "\r.\r\n", "\r\n.\r\r\n",
            "\r\r\n.\r\r\n",
            "\r\n\0.\r\n", "\r\n.\0\r\n", "\n\n.\r\n", "\r\n\r.\r\n",
        ]

        @Test func `no doubtful end of data makes two messages, wherever segments end`() throws {
            let instance = try Instance()
            try instance.start(instance.usual())
            let (victim, other) = (instance.people[0], instance.people[1])
            for ending in Self.endings {
                let before = Self.head + "RCPT TO:<\(victim)@example.org>\r\nDATA\r\nSubject: outer\r\n\r\ntext"
                let smuggled =
                    "MAIL FROM:<evil@example.org>\r\nRCPT TO:<\(victim)@example.org>\r\nDATA\r\n"
                    + "Subject: smuggled\r\n\r\ntext\r\n.\r\nQUIT\r\n"
                let bytes = Array((before + ending + smuggled).utf8)
                // A segment ends before each byte of the doubtful place and behind it; the last client has all in one.
                // All of the first segments go before any second one, so that they are read by themselves.
                let cuts = Array(before.utf8.count - 1...(before + ending).utf8.count + 1) + [bytes.count]
                let clients = try cuts.map { cut in
                    let client = try instance.client()
                    client.send(bytes: Array(bytes[..<cut]))
                    return client
                }
                for (client, cut) in zip(clients, cuts) where cut < bytes.count {
                    client.send(bytes: Array(bytes[cut...]))
                }
                for (client, cut) in zip(clients, cuts) {
                    var replies: [String] = []
                    while let reply = client.reply(seconds: 60) { replies.append(reply) }
                    let place = "\(ending.debugDescription) at \(cut - before.utf8.count): \(replies)"
                    #expect(replies.filter { $0.hasPrefix("354") }.count == 1, "\(place)")
                    #expect(replies.contains { $0.hasPrefix("550 ") }, "\(place)")
                }
            }
            try serveAnother(instance, other)
            #expect(instance.mailbox(victim).count == 0)
            try instance.stop()
        }

        @Test func `a batch of commands and content may be broken at any byte`() throws {
            let instance = try Instance()
            try instance.start(instance.usual())
            let (person, other) = (instance.people[0], instance.people[1])
            let bodies = ["body\n..x\n.\n", "chunk\n"]
            let batch =
                Self.head + "RCPT TO:<\(person)@example.org>\r\nRCPT TO:<nobody-of-that-name@example.org>\r\nDATA\r\n"
                + "Subject: x\r\n\r\nbody\r\n...x\r\n..\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<\(person)@example.org>\r\n"
                + "BDAT 14\r\nSubject: x\r\n\r\nBDAT 7 LAST\r\nchunk\r\nNOOP\r\nQUIT\r\n"
            let bytes = Array(batch.utf8)
            let expected = ["220", "250", "250", "250", "550", "354", "250", "250", "250", "250", "250", "250", "221"]
            // Each byte by itself, and then two segments that end all over the batch.
            var sessions = [try instance.client()]
            for byte in bytes { sessions[0].send(bytes: [byte]) }
            let cuts = Array(stride(from: 3, to: bytes.count, by: 13))
            for cut in cuts {
                let client = try instance.client()
                client.send(bytes: Array(bytes[..<cut]))
                sessions.append(client)
            }
            for (client, cut) in zip(sessions.dropFirst(), cuts) { client.send(bytes: Array(bytes[cut...])) }
            for client in sessions {
                var codes: [String] = []
                while let reply = client.reply(seconds: 60) { codes.append(String(reply.prefix(3))) }
                #expect(codes == expected)
            }
            try serveAnother(instance, other)
            let mailbox = instance.mailbox(person)
            #expect(mailbox.waitForMessages(2 * sessions.count, seconds: 60), "\(instance.lastWords)")
            for body in bodies {
                #expect(mailbox.messages.count { $0.messageBody == body } == sessions.count, "\(body)")
            }
            try instance.stop()
        }

        private static let dishonest = [
            ("BDAT -1 LAST", "501"), ("BDAT", "501"), ("BDAT x LAST", "501"), ("BDAT 1 LASTLY", "501"),
            ("BDAT 99999999999999999999999 LAST", "501"), ("BDAT 9223372036854775807 LAST", "552"),
            ("BDAT 18446744073709551616", "552"), ("BDAT 10 10", "501"),
        ]

        @Test func `a chunk without an honest size ends the session, and is no command`() throws {
            let instance = try Instance()
            try instance.start(instance.usual())
            let (person, other) = (instance.people[0], instance.people[1])
            for (line, code) in Self.dishonest {
                let client = try instance.client()
                try client.greet()
                try client.say("MAIL FROM:<alice@example.org>", "250")
                try client.say("RCPT TO:<\(person)@example.org>", "250")
                let behind = "RSET\r\nMAIL FROM:<evil@example.org>\r\nSubject: x\r\n\r\nbody\r\n"
                client.send(bytes: Array("\(line)\r\n\(behind)".utf8))
                try client.expect(code)
                #expect(client.line(seconds: 60) == nil, "\(line)")
            }
            try serveAnother(instance, other)
            // The other's message is in its mailbox, and Queue may still have to hear of it.
            #expect(try instance.isQueueEmpty(within: 60))
            #expect(instance.mailbox(person).count == 0)
            try instance.stop()
        }

        @Test func `a NUL is taken in no command and in no content that has lines`() throws {
            let instance = try Instance()
            try instance.start(instance.usual())
            let (person, other) = (instance.people[0], instance.people[1])
            let client = try instance.client()
            try client.greet()
            for line in ["NO\0OP", "MAIL FROM:<a\0b@example.org>", "MAIL FROM:<a@example.org\0>", "MAIL FROM:<>\0"] {
                client.send(line)
                #expect(client.reply(seconds: 60)?.hasPrefix("5") == true, "\(line.debugDescription)")
            }
            for content in ["Sub\0ject: x\r\n\r\nbody\r\n", "Subject: x\r\n\r\nbo\0dy\r\n", "\0"] {
                try client.say("MAIL FROM:<alice@example.org>", "250")
                try client.say("RCPT TO:<\(person)@example.org>", "250")
                try client.say("DATA", "354")
                client.send(bytes: Array("\(content)\r\n.\r\n".utf8))
                try client.expect("550")
            }
            try serveAnother(instance, other)
            try client.say("NOOP", "250")
            #expect(instance.mailbox(person).count == 0)
            try instance.stop()
        }

        @Test func `a connection that is reset in the middle leaves nothing behind`() throws {
            let instance = try Instance()
            try instance.start(instance.usual())
            let pids = instance.pids()
            let (person, other) = (instance.people[0], instance.people[1])
            let beginnings = [
                Self.head, Self.head + "RCPT TO:<\(person)@example.org>\r\nDATA\r\n",
                Self.head + "RCPT TO:<\(person)@example.org>\r\nDATA\r\nSubject: x\r\n\r\nbody\r\n.\r",
                Self.head + "RCPT TO:<\(person)@example.org>\r\nBDAT 1000 LAST\r\nSubject: x\r\n",
                Self.head + "RCPT TO:<\(person)@example.org>\r\nDATA\r\nSubject: x\r\n\r\n"
                    + String(repeating: "line\r\n", count: 60_000),
            ]
            for beginning in beginnings {
                for _ in 0..<5 {
                    let client = try instance.client()
                    try client.expect("220 ")
                    client.endByReset()
                    client.send(bytes: Array(beginning.utf8))
                }
            }
            try serveAnother(instance, other)
            let isOver = try eventually(within: 60) {
                try instance.control("show", "stats").lines.contains("smtp.session=0")
            }
            #expect(isOver)
            #expect(instance.mailbox(person).count == 0)
            #expect(try instance.queueLines().isEmpty)
            #expect(instance.pids() == pids)
            try instance.stop()
        }

        @Test func `a thousand recipients are taken, one more is not`() throws {
            let instance = try Instance()
            try instance.start(instance.usual())
            let person = instance.people[0]
            let client = try instance.client()
            try client.greet()
            try client.say("MAIL FROM:<alice@example.org>", "250")
            client.send(bytes: Array(String(repeating: "RCPT TO:<\(person)@example.org>\r\n", count: 1001).utf8))
            var codes: [String: Int] = [:]
            for _ in 0..<1001 {
                let reply = try #require(client.reply(seconds: 60))
                codes[String(reply.prefix(3)), default: 0] += 1
            }
            #expect(codes == ["250": 1000, "451": 1])
            try serveAnother(instance, instance.people[1])
            try client.say("RSET", "250")
            try instance.stop()
        }

        @Test func `a header of a hundred megabytes is refused, and costs no one else`() throws {
            let instance = try Instance()
            try instance.start(instance.usual())
            let client = try instance.client()
            try client.greet()
            try client.say("MAIL FROM:<alice@example.org>", "250")
            try client.say("RCPT TO:<\(instance.people[0])@example.org>", "250")
            try client.say("DATA", "354")
            let block = Array(
                String(repeating: "X-Header: \(String(repeating: "x", count: 60))\r\n", count: 14_000).utf8)
            for part in 0..<100 {
                #expect(client.send(bytes: block, seconds: 60))
                if part == 50 { try serveAnother(instance, instance.people[1]) }
            }
            client.send(bytes: Array("\r\n.\r\n".utf8))
            try client.expect("55", seconds: 60)
            try client.say("NOOP", "250")
            #expect(instance.mailbox(instance.people[0]).count == 0)
            try instance.stop()
        }

        @Test func `a flood of commands ends or is answered`() throws {
            let instance = try Instance()
            try instance.start(instance.usual())
            for command in ["NOOP", "RSET", "VRFY a", "HELP", "EXPN a"] {
                let client = try instance.client()
                try client.greet()
                client.send(bytes: Array(String(repeating: "\(command)\r\n", count: 20_000).utf8), seconds: 30)
                try serveAnother(instance, instance.people[0])
                client.send("QUIT")
                client.finishSending()
                #expect(client.isClosed(within: 60), "\(command)")
            }
            // None of them brings a message further, so that it ends whether or not it fails.
            let last = try instance.client()
            try last.greet()
            last.send(bytes: Array(String(repeating: "NOOP\r\n", count: 300).utf8))
            for _ in 1..<200 { try last.expect("250") }
            try last.expect("421 4.7.0 Too many commands without a message")
            #expect(last.isClosed(within: 60))
            try instance.stop()
        }

        @Test func `a client that is half gone has its message, one that is gone in the middle has none`() throws {
            let instance = try Instance()
            try instance.start(instance.usual())
            let (first, second) = (instance.people[0], instance.people[1])
            let whole =
                Self.head + "RCPT TO:<\(first)@example.org>\r\nDATA\r\nSubject: half\r\n\r\nbody\r\n.\r\nQUIT\r\n"
            let half = try instance.client()
            half.send(bytes: Array(whole.utf8))
            half.finishSending()
            #expect(instance.mailbox(first).waitForMessages(1, seconds: 60), "\(instance.lastWords)")
            #expect(instance.mailbox(first).messages.first?.messageBody == "body\n")
            // Each prefix of a dialogue that does not have its end yet.
            let bytes = Array(whole.replacingOccurrences(of: first, with: second).utf8)
            let end = bytes.count - "\r\nQUIT\r\n".utf8.count
            for count in stride(from: 1, to: end, by: 7) {
                let cut = try instance.client()
                cut.send(bytes: Array(bytes[..<count]))
                if count % 2 == 0 { cut.finishSending() }
            }
            try serveAnother(instance, first)
            #expect(instance.mailbox(second).count == 0)
            try instance.stop()
        }

        @Test func `no name of a client puts a line into the header`() throws {
            let instance = try Instance()
            let port = try Host.freePort()
            try instance.start(
                """
                listen on 127.0.0.1 port \(instance.port) proxy-v2
                listen on 127.0.0.1 port \(port) xclient-from 127.0.0.1 xforward-from 127.0.0.1
                action "local" \(instance.maildirMethod)
                match from any for domain "example.org" action "local"

                """)
            let person = instance.people[0]
            let client = try SMTPClient(port: port)
            try client.expect("220 ")
            for name in ["a\u{0B}b", "a (b)", "<a>", "a\u{7F}", String(repeating: "a", count: 300), "é", "a\rX: 1"] {
                client.send("EHLO \(name)")
                let reply = try #require(client.reply())
                if name.contains("\r") {
                    #expect(reply.hasPrefix("500"))
                    #expect(client.isClosed(within: 30))
                } else {
                    #expect(reply.hasPrefix("501"), "\(name.debugDescription): \(reply)")
                }
            }
            let other = try SMTPClient(port: port)
            try other.greet()
            for line in [
                "XCLIENT NAME=a+0D+0AX-Evil:+201 ADDR=192.0.2.7", "XCLIENT ADDR=192.0.2.7+0D+0A", "XCLIENT HELO=a+0Ab",
                "XFORWARD IDENT=x+0D+0Ay", "XCLIENT ADDR=localhost",
            ] { try other.say(line, "501") }
            try other.say("XCLIENT ADDR=192.0.2.7 NAME=client.example.org HELO=client.example.org", "220")
            try other.say("MAIL FROM:<\"a\\\r\"@example.org>", "500")
            let proxy = try instance.client()
            proxy.send(bytes: Array("PROXY TCP4 192.0.2.7\rX 198.51.100.1 1 25\r\nEHLO a\r\n".utf8))
            #expect(proxy.isClosed(within: 30))
            let last = try SMTPClient(port: port)
            try last.greet()
            try last.say("XCLIENT ADDR=192.0.2.7 NAME=client.example.org", "220")
            try last.say("EHLO client.example.org", "250")
            try last.submit(from: "alice@example.org", to: ["\(person)@example.org"], "Subject: x\n\nbody")
            let mailbox = instance.mailbox(person)
            #expect(mailbox.waitForMessages(1, seconds: 60), "\(instance.lastWords)")
            let message = try #require(mailbox.messages.first)
            #expect(!message.contains("Evil"))
            #expect(message.contains("(client.example.org [192.0.2.7])"))
            try instance.stop()
        }
    }
}
