// SPDX-License-Identifier: ISC

import Foundation
import Testing

extension WholeHouse.Unprivileged {
    /// Extensions of SMTP from the client to the mailbox.
    struct Extensions {
        private func content(of mailbox: Maildir) throws -> Data {
            let folder = "\(mailbox.path)/new"
            let name = try #require(try FileManager.default.contentsOfDirectory(atPath: folder).first)
            return try #require(FileManager.default.contents(atPath: "\(folder)/\(name)"))
        }

        @Test func `binary content comes to the mailbox byte by byte`() throws {
            let instance = try Instance()
            try instance.start(instance.usual())
            let client = try instance.client()
            try client.greet()
            try client.say("MAIL FROM:<alice@example.org> BODY=BINARYMIME", "250")
            try client.say("RCPT TO:<\(instance.people[0])@example.org>", "250")
            let header = Array("Subject: x\r\nContent-Transfer-Encoding: binary\r\n\r\n".utf8)
            let body = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) } + [13, 10, 46, 13, 10, 13]
            client.send(bytes: Array("BDAT \(header.count)\r\n".utf8) + header)
            try client.expect("250 ")
            client.send(bytes: Array("BDAT \(body.count)\r\n".utf8) + body + Array("BDAT 0 LAST\r\n".utf8))
            try client.expect("250 ")
            try client.expect("250 2.0.0 ")
            let mailbox = instance.mailbox(instance.people[0])
            #expect(mailbox.waitForMessages(1), "\(instance.lastWords)")
            #expect(try content(of: mailbox).suffix(header.count + body.count) == Data(header + body))
            try instance.stop()
        }

        @Test func `a chunk that lies about its size moves no border of commands`() throws {
            let instance = try Instance()
            try instance.start(instance.usual())
            let liar = try instance.client()
            try liar.greet()
            try liar.say("MAIL FROM:<alice@example.org>", "250")
            try liar.say("RCPT TO:<\(instance.people[0])@example.org>", "250")
            // It says 1,000 and sends fewer: all that follows is content.
            liar.send("BDAT 1000 LAST")
            liar.send("Subject: x")
            liar.send("")
            liar.send("QUIT")
            try instance.submit(to: ["\(instance.people[1])@example.org"])
            #expect(instance.mailbox(instance.people[1]).waitForMessages(1))
            liar.finishSending()
            #expect(liar.isClosed(within: 30))
            // It says fewer than it sends: what is left are commands, and no message.
            let other = try instance.client()
            try other.greet()
            try other.say("MAIL FROM:<alice@example.org>", "250")
            try other.say("RCPT TO:<\(instance.people[0])@example.org>", "250")
            other.send("BDAT 14 LAST")
            other.send("Subject: x")
            other.send("")
            other.send("hidden")
            try other.expect("250 2.0.0 ")
            try other.expect("500 ")
            let mailbox = instance.mailbox(instance.people[0])
            #expect(mailbox.waitForMessages(1))
            #expect(mailbox.messages.first?.contains("hidden") == false)
            try instance.stop()
        }

        @Test func `an address beyond ASCII has its mailbox`() throws {
            let instance = try Instance()
            let person = instance.people[0]
            try instance.start(
                """
                listen on 127.0.0.1 port \(instance.port)
                table people { "δοκιμή@bücher.example" = "\(person)" }
                action "local" \(instance.maildirMethod) virtual <people>
                match for domain "xn--bcher-kva.example" action "local"

                """)
            let client = try instance.client()
            try client.greet()
            try client.say("MAIL FROM:<ü@example.org>", "553 5.6.7")
            try client.say("MAIL FROM:<ü@example.org> SMTPUTF8", "250")
            try client.say("RCPT TO:<δοκιμή@bücher.example>", "250")
            try client.say("DATA", "354")
            client.send("Subject: größer")
            client.send("")
            try client.say(".", "250")
            let mailbox = instance.mailbox(person)
            #expect(mailbox.waitForMessages(1), "\(instance.lastWords)")
            let message = try #require(mailbox.messages.first)
            #expect(message.contains("with UTF8SMTP id"))
            #expect(message.contains("for <δοκιμή@bücher.example>"))
            try instance.stop()
        }

        @Test func `LMTP has a reply for each recipient`() throws {
            let instance = try Instance()
            let people = instance.people
            try instance.start(
                """
                listen on 127.0.0.1 port \(instance.port) lmtp
                action "local" \(instance.maildirMethod)
                match for domain "example.org" action "local"

                """)
            let client = try instance.client()
            try client.expect("220 ")
            try client.say("EHLO client.example.org", "500")
            try client.say("LHLO client.example.org", "250")
            try client.say("MAIL FROM:<alice@example.org>", "250")
            try client.say("RCPT TO:<\(people[0])@example.org>", "250")
            try client.say("RCPT TO:<nobody-of-that-name@example.org>", "550")
            try client.say("RCPT TO:<\(people[1])@example.org>", "250")
            try client.say("DATA", "354")
            client.send("Subject: x")
            client.send("")
            client.send(".")
            try client.expect("250 2.0.0 ")
            try client.expect("250 2.0.0 ")
            try client.say("QUIT", "221")
            #expect(instance.mailbox(people[0]).waitForMessages(1))
            #expect(instance.mailbox(people[1]).waitForMessages(1))
            #expect(instance.mailbox(people[0]).messages.first?.contains("with LMTP id") == true)
            try instance.stop()
        }

        @Test func `LMTP is spoken on a Unix socket, which is there again after a reload and a restart`() throws {
            let instance = try Instance()
            let people = instance.people
            let path = "\(instance.directory)/lmtp"
            let configuration = """
                listen on "\(path)" lmtp tag INNER hostname inner.example.org
                action "local" \(instance.maildirMethod)
                match tag INNER from local for domain "example.org" action "local"

                """
            try instance.start(configuration)
            func deliver(_ count: Int) throws {
                let client = try SMTPClient(path: path)
                try client.expect("220 inner.example.org")
                try client.say("EHLO client.example.org", "500")
                try client.say("LHLO client.example.org", "250")
                try client.say("MAIL FROM:<alice@example.org>", "250")
                for person in people.prefix(2) { try client.say("RCPT TO:<\(person)@example.org>", "250") }
                try client.say("RCPT TO:<bob@example.com>", "550")
                try client.say("DATA", "354")
                client.send("Subject: x")
                client.send("")
                client.send(".")
                try client.expect("250 2.0.0 ")
                try client.expect("250 2.0.0 ")
                try client.say("QUIT", "221")
                #expect(instance.mailbox(people[0]).waitForMessages(count))
                #expect(instance.mailbox(people[1]).waitForMessages(count))
            }
            try deliver(1)
            let message = try #require(instance.mailbox(people[0]).messages.first)
            #expect(message.contains("[local])\n\tby inner.example.org (Martlet) with LMTP id"), "\(message)")
            #expect(try instance.control("reload").status == 0)
            try deliver(2)
            // What a crash leaves is taken over; anything else that stands there is not.
            try instance.crash()
            try instance.start()
            try deliver(3)
            try instance.stop()
            try FileManager.default.removeItem(atPath: path)
            try "precious".write(toFile: path, atomically: true, encoding: .utf8)
            let (status, lines) = try instance.startInVain()
            #expect(status == 1 && lines.contains { $0.contains("lmtp: bind: File exists") }, "\(lines)")
            #expect(try String(contentsOfFile: path, encoding: .utf8) == "precious")
        }

        @Test func `a listener has the name of the address at which a client comes in`() throws {
            let instance = try Instance()
            let files = try TableFiles(instance)
            let path = try files.write("names", "127.0.0.2 two.example.org\n127.0.0.3 not_a..name\n")
            try instance.start(
                """
                table names file:\(path)
                listen on "0.0.0.0" port \(instance.port) hostname one.example.org hostnames <names>
                action "local" \(instance.maildirMethod)
                match from any for domain "two.example.org" action "local"

                """)
            for (address, name) in [
                ("127.0.0.1", "one.example.org"), ("127.0.0.2", "two.example.org"), ("127.0.0.3", "one.example.org"),
            ] {
                let client = try SMTPClient(port: instance.port, address: address)
                try client.expect("220 \(name) ")
                try client.say("EHLO client.example.org", "250-\(name) Hello")
                try client.say("QUIT", "221")
            }
            #expect(instance.log.wait(for: "no host name: not_a..name") != nil)
            // The name is what stands behind an address that has none.
            let client = try SMTPClient(port: instance.port, address: "127.0.0.2")
            try client.greet()
            try client.submit(from: "alice", to: [instance.people[0]], "Subject: x\nFrom: alice\n\nbody")
            let mailbox = instance.mailbox(instance.people[0])
            #expect(mailbox.waitForMessages(1), "\(instance.lastWords)")
            let message = try #require(mailbox.messages.first)
            #expect(message.contains("by two.example.org (Martlet)"))
            #expect(message.headerField("From") == "alice@two.example.org")
            // A change of the table is one of the names.
            try files.write("names", "127.0.0.2 three.example.org\n")
            #expect(try instance.control("update", "table", "names").status == 0)
            try SMTPClient(port: instance.port, address: "127.0.0.2").expect("220 three.example.org ")
            try instance.stop()
        }

        @Test func `a priority is told in the header and passed on`() throws {
            let instance = try Instance()
            let sink = try Sink(instance)
            try instance.start("listen on socket priority\n" + instance.usual(relay: instance.relay(to: sink)))
            let client = try SMTPClient(path: "\(instance.directory)/run/submit")
            try client.expect("220 ")
            #expect(try client.say("EHLO localhost", "250").contains("250-MT-PRIORITY\n"))
            try client.say("MAIL FROM:<alice@example.org> MT-PRIORITY=10", "501")
            try client.say("MAIL FROM:<alice@example.org> MT-PRIORITY=4", "250")
            try client.say("RCPT TO:<bob@example.com>", "250")
            try client.say("DATA", "354")
            client.send("Subject: urgent")
            client.send("")
            try client.say(".", "250")
            #expect(sink.waitForMessages(1))
            #expect(sink.contents().first?.contains("for <bob@example.com> PRIORITY 4;") == true)
            #expect(instance.log.lines(containing: "smtp message").contains { $0.hasSuffix(" priority=4") })
            // What is to be told of it is as urgent.
            try sink.answer("rcpt.nobody", "550 5.1.1 No such user")
            try client.say("MAIL FROM:<\(instance.people[0])@example.org> MT-PRIORITY=5", "250")
            try client.say("RCPT TO:<nobody@example.com>", "250")
            try client.say("DATA", "354")
            client.send("Subject: urgent")
            client.send("")
            try client.say(".", "250")
            let mailbox = instance.mailbox(instance.people[0])
            #expect(mailbox.waitForMessages(1), "\(instance.lastWords)")
            let notice = try #require(mailbox.messages.first)
            #expect(notice.prefix(while: { $0 != ";" }).contains(" PRIORITY 5"), "\(notice)")
            let stranger = try instance.client()
            try stranger.greet()
            try stranger.say("MAIL FROM:<alice@example.org> MT-PRIORITY=4", "555")
            try instance.stop()
        }

        private func counters(_ instance: Instance) throws -> [String: Int] {
            var counters: [String: Int] = [:]
            for line in try instance.control("show", "stats").lines {
                let parts = line.split(separator: "=", maxSplits: 1)
                if parts.count == 2, parts[0].hasPrefix("smtp."), let count = Int(parts[1]) {
                    counters[String(parts[0])] = count
                }
            }
            return counters
        }

        @Test func `whoever comes too often is told to wait, a program of this host is not`() throws {
            let instance = try Instance()
            let port = try Host.freePort()
            try instance.start(
                """
                listen on 127.0.0.1 port \(instance.port)
                listen on 127.0.0.1 port \(port) proxy-v2
                smtp limit max-mail-rate 2 max-rcpt-rate 1
                action "local" \(instance.maildirMethod)
                match from any for domain "example.org" action "local"

                """)
            func replies(_ client: SMTPClient) throws -> [String] {
                try client.greet()
                var replies: [String] = []
                for _ in 0..<8 {
                    client.send("MAIL FROM:<alice@example.net>")
                    replies.append(String(try #require(client.reply()).prefix(9)))
                    client.send("RCPT TO:<\(instance.people[0])@example.org>")
                    replies.append(String(try #require(client.reply()).prefix(9)))
                    try client.say("RSET", "250")
                }
                return replies
            }
            let ours = try replies(try instance.client())
            #expect(ours.allSatisfy { $0.hasPrefix("250") }, "\(ours)")
            let stranger = try SMTPClient(port: port)
            stranger.send("PROXY TCP4 127.0.0.1 198.51.100.1 40000 25")
            let theirs = try replies(stranger)
            #expect(theirs.contains("451 4.7.0"), "\(theirs)")
            let counters = try counters(instance)
            #expect(counters["smtp.limit.max-mail-rate"] != nil && counters["smtp.limit.max-rcpt-rate"] != nil)
            try instance.stop()
        }

        @Test func `a proxy says who the client is, and nobody else can`() throws {
            let instance = try Instance()
            let port = try Host.freePort()
            try instance.start(
                """
                listen on 127.0.0.1 port \(instance.port) proxy-v2
                listen on 127.0.0.1 port \(port) proxy-from "192.0.2.0/24"
                smtp limit max-session-per-source 2
                action "local" \(instance.maildirMethod)
                match from any for domain "example.org" action "local"

                """)
            func proxied(_ source: String) throws -> SMTPClient {
                let client = try instance.client()
                client.send("PROXY TCP4 \(source) 198.51.100.1 40000 25")
                return client
            }
            let first = try proxied("192.0.2.7")
            try first.expect("220 ")
            let hello = try first.say("EHLO client.example.org", "250")
            #expect(hello.contains("[192.0.2.7]"))
            let second = try proxied("192.0.2.7")
            try second.expect("220 ")
            // Each of the two listeners counts for itself.
            var more: [SMTPClient] = []
            var refusal: String?
            while refusal == nil, more.count < 3 {
                let next = try proxied("192.0.2.7")
                let greeting = try #require(next.reply())
                guard greeting.hasPrefix("220 ") else {
                    refusal = greeting
                    #expect(next.isClosed(within: 30))
                    break
                }
                more.append(next)
            }
            #expect(refusal?.hasPrefix("421 4.7.0 ") == true, "\(more.count + 2) sessions")
            // Others are not made to pay for it.
            let other = try proxied("198.51.100.9")
            try other.expect("220 ")
            #expect(try counters(instance)["smtp.limit.max-session-per-source"] == 1)
            try first.submit(
                from: "alice@example.org", to: ["\(instance.people[0])@example.org"], "Subject: x\n\nbody")
            let mailbox = instance.mailbox(instance.people[0])
            #expect(mailbox.waitForMessages(1))
            #expect(mailbox.messages.first?.contains("[192.0.2.7])") == true)
            // A mail client where a proxy is due, and a header where none is.
            let plain = try instance.client()
            plain.send("EHLO client.example.org")
            #expect(plain.isClosed(within: 30))
            let direct = try SMTPClient(port: port)
            direct.send("PROXY TCP4 192.0.2.7 198.51.100.1 40000 25")
            try direct.expect("220 ")
            try direct.expect("500 5.5.1")
            try instance.stop()
        }

        @Test func `a message that is held is not delivered before its time`() throws {
            let instance = try Instance()
            try instance.start(instance.usual())
            let person = instance.people[0]
            let client = try SMTPClient(path: "\(instance.directory)/run/submit")
            try client.expect("220 ")
            let offer = try client.say("EHLO localhost", "250")
            #expect(offer.contains("FUTURERELEASE 2592000 "))
            try client.say("MAIL FROM:<\(person)@example.org> HOLDFOR=3600", "250")
            try client.say("RCPT TO:<\(person)@example.org>", "250")
            try client.say("DATA", "354")
            client.send("Subject: later")
            client.send("")
            try client.say(".", "250")
            // A message behind it shows that the first one had its chance.
            try instance.submit(to: ["\(person)@example.org"], "Subject: now\n\nbody")
            let mailbox = instance.mailbox(person)
            #expect(mailbox.waitForMessages(1))
            #expect(mailbox.messages.first?.headerField("Subject") == "now")
            let line = try #require(try instance.queueLines().first)
            let fields = line.split(separator: "|", omittingEmptySubsequences: false)
            let wait = try #require(fields.count > 12 ? Int(fields[12]) : nil, "\(line)")
            #expect((3000...3600).contains(wait), "\(line)")
            // The time outlives a restart.
            try instance.stop()
            try instance.start()
            let again = try #require(try instance.queueLines().first)
            let left = again.split(separator: "|", omittingEmptySubsequences: false)
            #expect((2900...3600).contains(left.count > 12 ? Int(left[12]) ?? 0 : 0), "\(again)")
            try instance.stop()
        }

        @Test func `a message whose deadline passes goes back`() throws {
            let instance = try Instance()
            // Nobody listens where the mail should go.
            let nowhere = try Host.freePort()
            try instance.start(instance.usual(relay: "host smtp://127.0.0.1:\(nowhere)"))
            let person = instance.people[0]
            let client = try SMTPClient(path: "\(instance.directory)/run/submit")
            try client.expect("220 ")
            try client.say("EHLO localhost", "250")
            try client.say("MAIL FROM:<\(person)@example.org> BY=2;R", "250")
            try client.say("RCPT TO:<bob@example.com>", "250")
            try client.say("DATA", "354")
            client.send("Subject: urgent")
            client.send("")
            try client.say(".", "250")
            let mailbox = instance.mailbox(person)
            #expect(mailbox.waitForMessages(1, seconds: 60), "\(instance.lastWords)")
            #expect(mailbox.messages.first?.contains("Status: 5.4.7") == true)
            try instance.stop()
        }
    }
}
