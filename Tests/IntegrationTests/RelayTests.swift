// SPDX-License-Identifier: ISC

import Foundation
import Testing

extension WholeHouse.Unprivileged {
    struct Relays {
        /// The same server for mail that is relayed and for mail by LMTP.
        private func farAndNear(_ instance: Instance, _ sink: Sink) -> String {
            """
            listen on 127.0.0.1 port \(instance.port)
            action "far" relay host "smtp://127.0.0.1:\(sink.port)"
            action "near" lmtp "127.0.0.1:\(sink.port)"
            match for domain "example.com" action "far"
            match for domain "example.org" action "near"

            """
        }

        @Test func `recipients of one message and domain go in one transaction`() throws {
            let instance = try Instance()
            let sink = try Sink(instance)
            try instance.start(instance.usual(relay: instance.relay(to: sink)))
            let recipients = (1...20).map { "user\($0)@example.com" }
            try instance.submit(to: recipients)
            #expect(try instance.isQueueEmpty())
            #expect(sink.connections == 1, "\(sink.messages)")
            let arrived = sink.messages.flatMap { $0.split(separator: " to=").last?.split(separator: ",") ?? [] }
            #expect(arrived.map(String.init).sorted() == recipients.sorted())
            #expect(sink.messages.count == 1)
            try instance.stop()
        }

        @Test func `a server that takes few recipients at a time gets all of them at once`() throws {
            let instance = try Instance()
            let sink = try Sink(instance)
            try sink.answer("limit", "3")
            try instance.start(farAndNear(instance, sink))
            try instance.submit(
                to: (1...10).map { "user\($0)@example.com" } + instance.people.prefix(4).map { "\($0)@example.org" })
            #expect(try instance.isQueueEmpty(), "\(instance.queueText)")
            #expect(instance.log.lines(containing: "TempFail").isEmpty)
            #expect(sink.connections == 2 && sink.messages.count == 6, "\(sink.messages)")
            let arrived = sink.messages.flatMap { $0.split(separator: " to=").last?.split(separator: ",") ?? [] }
            #expect(arrived.count == 14 && Set(arrived).count == 14, "\(arrived)")
            try instance.stop()
        }

        @Test func `a refusal in the middle of the content is heard`() throws {
            let instance = try Instance()
            let sink = try Sink(instance)
            try sink.answer("early", "552 5.3.4 Message too big")
            try instance.start(farAndNear(instance, sink))
            // More than the buffers between take.
            let line = String(repeating: "x", count: 70) + "\n"
            try instance.submit(
                from: "", to: ["bob@example.com", "\(instance.people[0])@example.org"],
                "Subject: large\n\n" + String(repeating: line, count: 60_000))
            #expect(instance.log.wait(for: 2, containing: " delivery "), "\(instance.lastWords)")
            #expect(try instance.isQueueEmpty(), "\(instance.queueText)")
            let outcomes = instance.log.lines(containing: " delivery ")
            #expect(outcomes.count == 2 && sink.connections == 2, "\(outcomes)")
            #expect(outcomes.allSatisfy { $0.contains("PermFail") && $0.contains("Message too big") }, "\(outcomes)")
            try instance.stop()
        }

        @Test func `many messages share few connections`() throws {
            let instance = try Instance()
            let sink = try Sink(instance)
            try instance.start(instance.usual(relay: instance.relay(to: sink)))
            try instance.control("pause", "mta")
            for _ in 1...30 { try instance.submit(to: ["bob@example.com"]) }
            try instance.control("resume", "mta")
            #expect(sink.waitForMessages(30))
            #expect(try instance.isQueueEmpty())
            #expect(sink.connections <= 10, "\(sink.connections) connections for 30 messages")
            try instance.stop()
        }

        @Test func `a recipient that is refused does not harm the others`() throws {
            let instance = try Instance()
            let sink = try Sink(instance)
            try instance.start(instance.usual(relay: instance.relay(to: sink)))
            try sink.answer("rcpt.bob", "550 5.1.1 Nobody of that name")
            try instance.submit(
                from: "\(instance.people[0])@example.org",
                to: ["alice@example.com", "bob@example.com", "carol@example.com"])
            #expect(sink.waitForMessages(1))
            #expect(instance.mailbox(instance.people[0]).waitForMessages(1))
            #expect(try instance.isQueueEmpty())
            let line = try #require(sink.messages.first)
            #expect(line.contains("alice@example.com") && line.contains("carol@example.com") && !line.contains("bob@"))
            let notice = try #require(instance.mailbox(instance.people[0]).messages.first)
            #expect(notice.contains("bob@example.com") && !notice.contains("Final-Recipient: rfc822; alice@"))
            #expect(notice.contains("\nRemote-MTA: dns; [127.0.0.1]\n"), "\(notice)")
            #expect(notice.contains("\nDiagnostic-Code: smtp; 550 5.1.1 Nobody of that name\n"), "\(notice)")
            try instance.stop()
        }
    }
}

extension WholeHouse.Private {
    struct Routes {
        // Addresses that are reached on this host, but are none of its own: mail by MX never goes to those.
        private func makeReachable(_ network: String) throws {
            let result = try Program.run(["ip", "route", "replace", "local", network, "dev", "lo"])
            #expect(result.status == 0, "\(result.errors)")
        }

        private func nameServer(_ records: String...) throws -> Program {
            let server = try Program(["python3", Host.support("names.py"), "127.0.0.1", "53"] + records)
            try #require(server.output.wait(for: "ready") != nil, "\(server.errors.text)")
            return server
        }

        @Test func `the second host of a domain takes the mail when the first refuses connections`() throws {
            try makeReachable("192.0.2.0/24")
            let server = try nameServer(
                "example.com MX 10 first.example.com", "example.com MX 20 second.example.com",
                "first.example.com A 192.0.2.10", "second.example.com A 192.0.2.11")
            let instance = try Instance()
            let sink = try Sink(instance, address: "192.0.2.11", port: 25)
            try instance.start(instance.usual())
            try instance.submit(to: ["bob@example.com"])
            #expect(sink.waitForMessages(1), "\(instance.lastWords)")
            #expect(try instance.isQueueEmpty())
            #expect(!server.output.lines(containing: "asked example.com 15").isEmpty)
            let line = try #require(instance.log.wait(for: "mta delivery"))
            #expect(line.contains("192.0.2.11"))
            try instance.stop()
        }

        @Test func `an address that connects and refuses is only one of its host's`() throws {
            try makeReachable("192.0.2.0/24")
            let server = try nameServer(
                "example.com MX 10 mx.example.com", "mx.example.com A 192.0.2.10", "mx.example.com A 192.0.2.11",
                "mx.example.com A 192.0.2.13")
            defer { server.kill(9) }
            let instance = try Instance()
            let refusing = try ["192.0.2.10", "192.0.2.11"].map { try Sink(instance, address: $0, port: 25) }
            for (sink, reply) in zip(refusing, ["554 5.3.2 not here", "421 4.3.2 not now"]) {
                try sink.answer("connect", reply)
            }
            let sink = try Sink(instance, address: "192.0.2.13", port: 25)
            try instance.start(instance.usual())
            try instance.submit(to: ["bob@example.com"])
            #expect(sink.waitForMessages(1), "\(instance.lastWords)")
            #expect(try instance.isQueueEmpty())
            // Whichever came first, each was tried at most once.
            let tried = instance.log.lines(containing: "mta connecting")
            #expect((1...3).contains(tried.count), "\(tried)")
            try instance.stop()
        }

        @Test func `mail waits only when each address of its host has refused`() throws {
            try makeReachable("192.0.2.0/24")
            let server = try nameServer("example.com A 192.0.2.10", "example.com A 192.0.2.11")
            defer { server.kill(9) }
            let instance = try Instance()
            let refusing = try ["192.0.2.10", "192.0.2.11"].map { try Sink(instance, address: $0, port: 25) }
            for sink in refusing { try sink.answer("connect", "554 5.3.2 not here") }
            try instance.start(instance.usual())
            try instance.submit(to: ["bob@example.com"])
            #expect(instance.log.wait(for: "result=\"TempFail\"") != nil, "\(instance.lastWords)")
            let tried = instance.log.lines(containing: "mta connecting")
            for address in ["192.0.2.10", "192.0.2.11"] {
                #expect(tried.count { $0.contains(address) } == 1, "\(tried)")
            }
            try instance.stop()
        }

        @Test func `a domain without MX is its own host, one with a null MX takes nothing`() throws {
            try makeReachable("192.0.2.0/24")
            let server = try nameServer(
                "example.net A 192.0.2.12", "mail.home.arpa A 192.0.2.12", "mail.test A 192.0.2.12",
                "nothing.example.com MX 0 .")
            defer { server.kill(9) }
            let instance = try Instance()
            let sink = try Sink(instance, address: "192.0.2.12", port: 25)
            try instance.start(instance.usual())
            let sender = instance.people[0]
            try instance.submit(
                from: "\(sender)@example.org",
                to: [
                    // Names of private networks are asked for like all others.
                    "bob@example.net", "bob@mail.home.arpa", "bob@mail.test", "bob@nothing.example.com",
                    "bob@not-there.example.com",
                ])
            #expect(sink.waitForMessages(3), "\(instance.lastWords)")
            let hasNotices = eventually {
                let text = instance.mailbox(sender).messages.joined()
                return text.contains("bob@nothing.example.com") && text.contains("bob@not-there.example.com")
            }
            #expect(hasNotices, "\(instance.lastWords)")
            let notices = instance.mailbox(sender).messages.joined()
            #expect(notices.contains("5.1.10"))
            #expect(notices.contains("5.1.2"))
            #expect(try instance.isQueueEmpty())
            try instance.stop()
        }

        @Test func `mail by MX never goes to this host itself`() throws {
            let server = try nameServer("example.com MX 10 trap.example.com", "trap.example.com A 127.0.0.1")
            defer { server.kill(9) }
            let instance = try Instance()
            let sink = try Sink(instance, port: 25)
            try instance.start(instance.usual())
            try instance.submit(from: "\(instance.people[0])@example.org", to: ["bob@example.com"])
            #expect(instance.log.wait(for: "mta delivery") != nil, "\(instance.lastWords)")
            #expect(sink.connections == 0)
            try instance.stop()
        }
    }
}
