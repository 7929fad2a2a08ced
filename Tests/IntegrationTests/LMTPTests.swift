// SPDX-License-Identifier: ISC

import Foundation
import Glibc
import Testing

extension WholeHouse.Unprivileged {
    /// An LMTP server of our own that does as it is told.
    struct LMTPServers {
        private func configuration(_ instance: Instance, _ destination: String, extra: String = "") -> String {
            """
            listen on 127.0.0.1 port \(instance.port)
            table names { "staff" = "\(instance.people[1]), \(instance.people[2]), \(instance.people[3])" }
            action "box" lmtp \(destination) alias <names>
            action "notices" \(instance.maildirMethod)
            \(extra)
            match for domain "example.org" action "box"
            match for domain "example.net" action "notices"

            """
        }

        @Test func `every recipient has a reply of its own`() throws {
            let instance = try Instance()
            let server = try Sink(instance)
            let (one, two, three) = (instance.people[1], instance.people[2], instance.people[3])
            try instance.start(configuration(instance, "\"127.0.0.1:\(server.port)\""))
            try server.answer("rcpt.\(one)", "550 5.1.1 Nobody of that name")
            try server.answer("end.\(two)", "552 5.2.2 The mailbox is full for ever")
            let sender = instance.people[0]
            try instance.submit(from: "\(sender)@example.net", to: ["staff@example.org"])
            #expect(server.waitForMessages(1), "\(instance.lastWords)")
            #expect(instance.mailbox(sender).waitForMessages(1), "\(instance.lastWords)")
            #expect(try instance.isQueueEmpty(), "\(instance.queueText)")
            #expect(server.messages.count == 1)
            // By the names of users, in one transaction.
            let line = try #require(server.messages.first)
            #expect(line.contains(three) && !line.contains(two) && !line.contains(one))
            #expect(!line.split(separator: "to=")[1].contains("@"))
            let notice = instance.mailbox(sender).messages.joined()
            #expect(notice.contains("Nobody of that name") && notice.contains("full for ever"))
            let content = try #require(server.contents().first)
            #expect(content.hasPrefix("Return-Path: <\(sender)@example.net>\r\nDelivered-To: staff@example.org\r\n"))
            try instance.stop()
        }

        @Test func `the connection is kept for further messages, and what is refused for now is tried again`() throws {
            let instance = try Instance()
            let server = try Sink(instance)
            try instance.start(configuration(instance, "\"127.0.0.1:\(server.port)\" rcpt-to"))
            for number in 1...5 {
                try instance.submit(to: ["\(instance.people[1])@example.org"], "Subject: \(number)\n\nbody")
                #expect(server.waitForMessages(number), "\(instance.lastWords)")
            }
            #expect(try instance.isQueueEmpty())
            #expect(server.connections == 1)
            #expect(server.messages.allSatisfy { $0.contains("to=\(instance.people[1])@example.org") })
            try server.answer("end.\(instance.people[1])", "451 4.3.0 Later")
            try instance.submit(to: ["\(instance.people[1])@example.org"])
            #expect(instance.log.wait(for: "result=TempFail", seconds: 60) != nil)
            try server.answer("end.\(instance.people[1])")
            try instance.control("schedule", "all")
            #expect(try instance.isQueueEmpty(within: 60), "\(instance.queueText)")
            try instance.stop()
        }

        @Test func `a server that closes a kept connection, or is away for a while, loses nothing`() throws {
            let instance = try Instance()
            let port = try Sink.closed(instance)
            try instance.start(configuration(instance, "\"127.0.0.1:\(port)\""))
            try instance.submit(to: ["\(instance.people[1])@example.org"])
            #expect(instance.log.wait(for: "result=TempFail", seconds: 60) != nil, "\(instance.lastWords)")
            let server = try Sink(instance, port: port)
            try instance.control("schedule", "all")
            #expect(server.waitForMessages(1), "\(instance.lastWords)")
            #expect(try instance.isQueueEmpty())
            server.stop()
            let next = try Sink(instance, port: port)
            try instance.submit(to: ["\(instance.people[1])@example.org"])
            #expect(next.waitForMessages(1), "\(instance.lastWords)")
            #expect(try instance.isQueueEmpty())
            try instance.stop()
        }

        @Test(arguments: [
            ("connect", "hang"), ("connect", "554 no"), ("connect", "nonsense"), ("hello", "500 what"),
            ("mail", "550 no"), ("data", "451 no"), ("end", "999 what"),
        ])
        func `a server that does not speak LMTP gets no message, and holds up no other mail`(
            phase: String, reply: String
        ) throws {
            let instance = try Instance()
            let server = try Sink(instance)
            try server.answer(phase, reply)
            try instance.start(configuration(instance, "\"127.0.0.1:\(server.port)\""))
            let sender = instance.people[0]
            try instance.submit(from: "\(sender)@example.net", to: ["\(instance.people[1])@example.org"])
            #expect(server.waitForConnection(after: 0))
            try instance.submit(from: "\(sender)@example.net", to: ["\(instance.people[4])@example.net"])
            #expect(instance.mailbox(instance.people[4]).waitForMessages(1), "\(instance.lastWords)")
            if reply == "550 no" {
                #expect(instance.mailbox(sender).waitForMessages(1), "\(instance.lastWords)")
            } else if reply != "hang" {
                #expect(instance.log.wait(for: "result=TempFail", seconds: 60) != nil, "\(instance.lastWords)")
            }
            let left = reply == "550 no" ? 0 : 1
            #expect(try eventually(within: 30) { try instance.queueLines().count == left }, "\(instance.queueText)")
            // As usual again: the message arrives once.
            try server.answer(phase)
            try instance.control("schedule", "all")
            #expect(try instance.isQueueEmpty(within: 60), "\(instance.queueText)")
            #expect(server.messages.count == left)
            try instance.stop()
        }

        @Test func `a message for many is handed over in few transactions, each recipient once`() throws {
            let instance = try Instance()
            let path = "\(instance.directory)/lmtp"
            let server = try Sink(instance, path: path)
            try instance.start(configuration(instance, "\"\(path)\""))
            let recipients = instance.people.prefix(100).map { "\($0)@example.org" }
            try instance.submit(to: Array(recipients))
            #expect(try instance.isQueueEmpty(within: 60), "\(instance.queueText) \(instance.lastWords)")
            let arrived = server.messages.flatMap {
                $0.components(separatedBy: " to=").last?.split(separator: ",") ?? []
            }
            #expect(arrived.map { "\($0)@example.org" }.sorted() == recipients.sorted())
            #expect(server.messages.count < max(10, recipients.count / 2), "\(server.messages.count)")
            // They were addressed each for himself, and do not learn of each other.
            if recipients.count > 1 {
                #expect(server.contents().allSatisfy { $0.components(separatedBy: "Delivered-To").count <= 2 })
            }
            try instance.stop()
        }
    }
}

extension WholeHouse.Private {
    /// Dovecot takes what we send, and reads what we wrote.
    @Suite(.enabled(if: Host.hasDovecot, "\(Host.withoutDovecot)"))
    struct Dovecots {
        @Test func `Dovecot takes mail by LMTP, over TCP by name and over a socket`() throws {
            let instance = try Instance()
            let dovecot = try Dovecot(instance)
            try instance.start(
                """
                listen on 127.0.0.1 port \(instance.port)
                action "tcp" lmtp "localhost:\(dovecot.port)"
                action "unix" lmtp "\(dovecot.socket)" rcpt-to
                match for domain "example.org" action "tcp"
                match for domain "example.net" action "unix"

                """)
            let (one, two) = ("user021", "user022")
            try instance.submit(
                to: ["\(one)@example.org", "\(two)@example.org", "\(one)@example.net"], "Subject: by LMTP\n\n.\n..\nend"
            )
            #expect(try instance.isQueueEmpty(within: 60), "\(instance.queueText) \(instance.lastWords) \(dovecot.log)")
            #expect(try dovecot.count(of: one) == 2, "\(dovecot.log)")
            #expect(try dovecot.count(of: two) == 1)
            let text = try dovecot.fetch("body", of: two)
            #expect(text.contains(".\n..\nend"))
            #expect(try dovecot.fetch("hdr", of: one).contains("Return-Path: <alice@example.org>"))
            try instance.stop()
        }

        @Test func `Dovecot reads the Maildir that we wrote, its folders too`() throws {
            let instance = try Instance()
            let person = "user023"
            let account = try #require(Host.account(person))
            let dovecot = try Dovecot(instance)
            try instance.start(
                """
                listen on 127.0.0.1 port \(instance.port)
                action "local" maildir junk
                match for domain "example.org" action "local"

                """)
            try instance.submit(to: ["\(person)@example.org"], "Subject: one\n\nfirst")
            #expect(instance.mailbox(person).waitForMessages(1))
            try FileManager.default.createDirectory(
                atPath: "\(account.home)/Maildir/.lists", withIntermediateDirectories: true)
            chown("\(account.home)/Maildir/.lists", account.uid, account.gid)
            try instance.submit(to: ["\(person)+lists@example.org"], "Subject: two\n\nsecond")
            try instance.submit(to: ["\(person)@example.org"], "X-Spam: yes\nSubject: three\n\nthird")
            #expect(try instance.isQueueEmpty(within: 60), "\(instance.lastWords)")
            #expect(try dovecot.fetch("body", of: person).contains("first"), "\(dovecot.log)")
            #expect(try dovecot.fetch("body", of: person, in: "lists").contains("second"), "\(dovecot.log)")
            #expect(try dovecot.fetch("body", of: person, in: "Junk").contains("third"), "\(dovecot.log)")
            try instance.stop()
        }

        @Test func `Dovecot reads the mbox that we write at the same time, and neither loses a message`() throws {
            let instance = try Instance()
            let person = "user024"
            let dovecot = try Dovecot(instance, location: "mbox:~/mail:INBOX=/var/mail/%u")
            try instance.start(
                """
                listen on 127.0.0.1 port \(instance.port)
                action "local" mbox
                match for domain "example.org" action "local"

                """)
            let count = 30
            for number in 1...count {
                try instance.submit(to: ["\(person)@example.org"], "Subject: \(number)\n\nFrom here\nbody \(number)")
                if number % 6 == 0 { _ = try dovecot.count(of: person) }
            }
            #expect(try instance.isQueueEmpty(within: 90), "\(instance.queueText) \(instance.lastWords)")
            #expect(try dovecot.count(of: person) == count, "\(dovecot.log)")
            let text = try dovecot.fetch("body", of: person)
            for number in 1...count { #expect(text.contains(">From here\nbody \(number)\n")) }
            #expect(access("/var/mail/\(person).lock", F_OK) != 0)
            var status = stat()
            #expect(stat("/var/mail/\(person)", &status) == 0 && status.st_mode & 0o777 == 0o600)
            #expect(status.st_uid == Host.account(person)?.uid)
            try instance.stop()
        }
    }
}
