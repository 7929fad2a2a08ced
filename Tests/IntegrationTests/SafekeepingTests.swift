// SPDX-License-Identifier: ISC

import Foundation
import Glibc
import Testing

extension WholeHouse.Unprivileged {
    struct Safekeeping {
        @Test func `a session in the middle of its message outlives Queue, and only that message is put off`() throws {
            let instance = try Instance()
            try instance.start(instance.usual())
            let person = instance.people[0]
            let listeners = Set(instance.daemons().filter { $0.role == "listener" }.map(\.pid))
            let client = try instance.client()
            try client.greet()
            try client.say("MAIL FROM:<alice@example.org>", "250")
            try client.say("RCPT TO:<\(person)@example.org>", "250")
            try client.say("DATA", "354")
            let bystander = try instance.client()
            try bystander.greet()
            try bystander.say("MAIL FROM:<alice@example.org>", "250")

            let queue = try #require(instance.daemons().first { $0.role == "queue" })
            kill(queue.pid, SIGKILL)
            let isReplaced = eventually(within: 60) {
                instance.daemons().contains { $0.role == "queue" && $0.pid != queue.pid }
            }
            #expect(isReplaced)
            try instance.submit(to: ["\(person)@example.org"], "Subject: new\n\nbody")
            client.send("Subject: old\r\n\r\nbody\r\n.")
            #expect(client.reply()?.hasPrefix("4") == true)
            try bystander.say("RSET", "250")
            try bystander.say("QUIT", "221")
            #expect(instance.mailbox(person).waitForMessages(1))
            #expect(Set(instance.daemons().filter { $0.role == "listener" }.map(\.pid)) == listeners)
            try instance.stop()
        }

        @Test func `what hangs at the end is left behind, and what was delivered before is not repeated`() throws {
            let instance = try Instance()
            let sink = try Sink(instance)
            let configuration = instance.usual(relay: instance.relay(to: sink))
            try instance.start(configuration)
            try instance.submit(to: ["carol@example.com"])
            #expect(sink.waitForMessages(1))
            // A reply that does not come to its end.
            try sink.answer("mail", "250-wait")
            try instance.submit(to: ["dave@example.com"])
            #expect(sink.waitForConnection(after: 0))
            try instance.submit(to: ["\(instance.people[0])@example.org"])
            #expect(instance.mailbox(instance.people[0]).waitForMessages(1))
            #expect(try instance.queueLines().count == 1)
            try instance.stop()
            #expect(instance.log.lines.allSatisfy { !$0.contains("queue did not leave in time") })
            try sink.answer("mail")
            try instance.start(configuration)
            #expect(instance.log.wait(for: " 1 envelopes found in the spool") != nil)
            try instance.control("schedule", "all")
            #expect(sink.waitForMessages(2))
            #expect(try instance.isQueueEmpty())
            try instance.stop()
        }

        @Test func `the sender of a message that the disk has spoilt is told, while it is known who that is`() throws {
            let instance = try Instance()
            try instance.start(instance.usual(relay: "host smtp://127.0.0.1:\(try Host.freePort())"))
            let sender = instance.people[0]
            let text = "what the disk spoils"
            try instance.submit(from: "\(sender)@example.org", to: ["bob@example.com"], "Subject: x\n\n\(text)")
            try instance.stop()
            #expect(try spoil(text, in: "\(instance.spool)/journal"))
            try instance.start()
            // Its index still knows the message; only its content is wrong.
            #expect(instance.log.wait(for: " 1 envelopes found in the spool") != nil, "\(instance.lastWords)")
            try instance.control("schedule", "all")
            #expect(instance.mailbox(sender).waitForMessages(1), "\(instance.lastWords)")
            let notice = try #require(instance.mailbox(sender).messages.first)
            #expect(notice.contains("bob@example.com") && notice.contains("damaged while it waited"))
            #expect(try instance.isQueueEmpty())
            #expect(instance.log.wait(for: "is damaged in the spool") != nil)
            try instance.stop()
        }

        /// Changes a byte of `text` where it stands in a file of `directory`; false when it is in none.
        private func spoil(_ text: String, in directory: String) throws -> Bool {
            for name in try FileManager.default.contentsOfDirectory(atPath: directory) {
                let path = "\(directory)/\(name)"
                guard var content = FileManager.default.contents(atPath: path),
                    let place = content.range(of: Data(text.utf8))
                else { continue }
                content[place.lowerBound] ^= 1
                let file = try #require(FileHandle(forWritingAtPath: path))
                try file.write(contentsOf: content)
                try file.close()
                return true
            }
            return false
        }

        @Test func `a sender who asked to be told of the delivery is told once`() throws {
            let instance = try Instance()
            try instance.start(instance.usual())
            let people = Array(instance.people.prefix(4))
            let client = try instance.client()
            try client.greet()
            try client.say("MAIL FROM:<\(people[0])@example.org>", "250")
            for person in people.dropFirst() {
                try client.say("RCPT TO:<\(person)@example.org> NOTIFY=SUCCESS", "250")
            }
            try client.say("DATA", "354")
            client.send("Subject: tell me\r\n\r\nbody\r\n.")
            #expect(client.reply()?.hasPrefix("250") == true)
            try client.say("QUIT", "221")
            #expect(instance.mailbox(people[0]).waitForMessages(1))
            #expect(try instance.isQueueEmpty())
            try instance.stop()
            try instance.start(instance.usual())
            try instance.submit(to: ["\(people[1])@example.org"])
            #expect(instance.mailbox(people[1]).waitForMessages(2))
            try instance.stop()
            #expect(instance.log.lines.allSatisfy { !$0.contains("found in the spool") }, "\(instance.lastWords)")
            #expect(instance.mailbox(people[0]).messages.count == 1)
        }
    }
}
