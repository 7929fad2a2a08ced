// SPDX-License-Identifier: ISC

import Testing

extension WholeHouse.Unprivileged {
    /// What becomes of mail that the next hop does not take.
    struct Failures {
        private func start() throws -> (instance: Instance, sink: Sink, sender: String) {
            let instance = try Instance()
            let sink = try Sink(instance)
            try instance.start(instance.usual(relay: instance.relay(to: sink)))
            return (instance, sink, "\(instance.people[0])@example.org")
        }

        private func hasError(_ text: String, _ instance: Instance, count: Int = 1) -> Bool {
            eventually { ((try? instance.queueLines()) ?? []).filter { $0.contains(text) }.count == count }
        }

        // A host that refuses the connection itself is left alone for a while, but not when a try is asked for.
        @Test(arguments: ["connect", "mail", "rcpt", "data", "end"])
        func `a temporary failure waits, and is tried at once on demand`(phase: String) throws {
            let (instance, sink, sender) = try start()
            try sink.answer(phase, "451 4.7.1 Come back later")
            try instance.submit(from: sender, to: ["bob@example.com"])
            #expect(hasError("Come back later", instance), "\(instance.queueText)")
            let line = try #require(try instance.queueLines().first)
            #expect(line.split(separator: "|", omittingEmptySubsequences: false)[11] == "pending")
            try sink.answer(phase)
            #expect(try instance.control("schedule", "all").output.contains("1 envelope"))
            #expect(sink.waitForMessages(1))
            #expect(try instance.isQueueEmpty())
            #expect(instance.mailbox(instance.people[0]).count == 0)
            try instance.stop()
        }

        @Test(arguments: ["mail", "rcpt", "data", "end"])
        func `a permanent failure comes back as a notice`(phase: String) throws {
            let (instance, sink, sender) = try start()
            try sink.answer(phase, "550 5.7.1 We want none of this")
            try instance.submit(from: sender, to: ["bob@example.com"], "Subject: unwanted\n\nthe text")
            let mailbox = instance.mailbox(instance.people[0])
            #expect(mailbox.waitForMessages(1), "\(instance.lastWords)")
            let notice = try #require(mailbox.messages.first)
            #expect(notice.hasPrefix("Delivered-To: \(sender)\n"))
            let type = try #require(notice.headerField("Content-Type"))
            #expect(type.contains("multipart/report") && type.contains("delivery-status"))
            for part in [
                "Final-Recipient: rfc822; bob@example.com", "Action: failed", "Status: 5.7.1",
                "We want none of this", "Subject: unwanted",
            ] { #expect(notice.lowercased().contains(part.lowercased()), "\(part) is not in \(notice)") }
            #expect(try instance.isQueueEmpty())
            try instance.stop()
        }

        @Test func `a notice that cannot be delivered makes no other`() throws {
            let (instance, sink, _) = try start()
            try sink.answer("rcpt", "550 5.1.1 Nobody of that name")
            try instance.submit(from: "", to: ["bob@example.com"])
            #expect(try instance.isQueueEmpty())
            // Its notice goes to the sink as well, and is refused there, too.
            try instance.submit(from: "alice@example.com", to: ["bob@example.com"])
            #expect(try instance.isQueueEmpty())
            let failures = instance.log.wait(for: 3, containing: "result=\"PermFail\"")
            #expect(failures, "\(instance.lastWords)")
            #expect(try instance.isQueueEmpty())
            #expect(instance.log.lines(containing: "result=\"PermFail\"").count == 3)
            #expect(sink.messages.isEmpty)
            #expect(instance.deliveredCount == 0)
            try instance.stop()
        }

        @Test func `one recipient of three fails, the others have their mail`() throws {
            let (instance, sink, sender) = try start()
            let person = instance.people[1]
            try sink.answer("rcpt", "550 5.1.1 Nobody of that name")
            try instance.submit(from: sender, to: ["bob@example.com", "\(person)@example.org"])
            #expect(instance.mailbox(person).waitForMessages(1))
            #expect(instance.mailbox(instance.people[0]).waitForMessages(1))
            #expect(try instance.isQueueEmpty())
            #expect(instance.deliveredCount == 2)
            try instance.stop()
        }

        @Test func `a next hop that closes the connection is a temporary failure`() throws {
            let (instance, sink, sender) = try start()
            try sink.answer("drop", "end")
            try instance.submit(from: sender, to: ["bob@example.com"])
            #expect(sink.waitForConnection(after: 0))
            let isPending = eventually {
                let fields = instance.queueText.split(separator: "|", omittingEmptySubsequences: false)
                return fields.count == 14 && fields[11] == "pending" && fields[10] != "0"
            }
            #expect(isPending, "\(instance.queueText)")
            try sink.answer("end")
            try instance.control("schedule", "all")
            #expect(try instance.isQueueEmpty())
            try instance.stop()
        }
    }
}
