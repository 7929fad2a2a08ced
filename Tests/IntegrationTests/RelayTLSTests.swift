// SPDX-License-Identifier: ISC

import Foundation
import Testing

extension WholeHouse.Unprivileged {
    /// Mail to other servers under TLS.
    struct ProtectedRelays {
        static let good = ["mx.example.net", "127.0.0.1"]

        /// What the certificate of the next hop is, and whether mail comes there by each policy.
        struct Case: CustomTestStringConvertible, Sendable {
            let name: String
            var names = ProtectedRelays.good
            var days = 30
            var authority = "ca"
            var required = false
            var testDescription: String { name }
        }

        static let cases = [
            Case(name: "good", required: true), Case(name: "expired", days: -1),
            Case(name: "another name", names: ["other.example.net"]), Case(name: "of a stranger", authority: "other"),
            Case(name: "self-signed", authority: "hop"),
        ]

        // A host that has failed is asked again at once, and not after some seconds; the connection that is kept to it
        // must give way to others.
        private static let impatience =
            "mta limit session-keepalive 3600 conn-delay-route 0 reconn-delay-route 0 conn-delay-relay 0"

        private func sink(
            _ instance: Instance, _ workshop: Workshop, _ name: String, _ options: [String] = []
        ) throws -> Sink {
            try Sink(instance, options: ["--tls", workshop.certificate(name), workshop.key(name)] + options)
        }

        /// Sends one message by each action; which of them got through.
        private func house(
            _ instance: Instance, _ workshop: Workshop, _ actions: [(name: String, relay: String)], extra: String = ""
        ) -> String {
            let lines = actions.map { "action \"\($0.name)\" relay \($0.relay)" }
            let rules = actions.map { "match for domain \"\($0.name).example.com\" action \"\($0.name)\"" }
            return """
                ca own cert "\(workshop.authority)"
                \(extra)
                listen on 127.0.0.1 port \(instance.port)
                action "local" \(instance.maildirMethod)
                \(lines.joined(separator: "\n"))
                match for local action "local"
                match for domain "example.org" action "local"
                \(rules.joined(separator: "\n"))

                """
        }

        @Test(arguments: cases)
        func `a certificate matters where it is to be verified`(example: Case) throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            if example.authority == "hop" {
                try workshop.makeAuthority("hop", for: example.names)
            } else {
                try workshop.makeAuthority("other")
                try workshop.make("hop", for: example.names, days: example.days, by: example.authority)
            }
            let hop = try sink(instance, workshop, "hop")
            let immediate = try sink(instance, workshop, "hop", ["--immediate"])
            let actions = [
                ("may", "host smtp://127.0.0.1:\(hop.port) ca own"),
                ("must", "host smtp://127.0.0.1:\(hop.port) tls ca own"),
                ("scheme", "host smtp+tls://127.0.0.1:\(hop.port) ca own"),
                ("unverified", "host smtp+tls://127.0.0.1:\(hop.port) tls no-verify"),
                ("first", "host smtps://127.0.0.1:\(immediate.port) ca own"),
            ]
            try instance.start(house(instance, workshop, actions, extra: Self.impatience))
            for (name, _) in actions { try instance.submit(to: ["\(name)@\(name).example.com"]) }
            let isGood = example.required
            #expect(hop.waitForMessages(isGood ? 4 : 2, seconds: 60), "\(instance.lastWords)")
            if isGood {
                #expect(immediate.waitForMessages(1, seconds: 60))
            } else {
                // Each of the three waits, and says why.
                let hasFailed = eventually(within: 60) {
                    instance.log.lines(containing: "mta delivery").filter { $0.contains("TempFail") }.count >= 3
                }
                #expect(hasFailed, "\(instance.lastWords)")
                #expect(!instance.log.lines(containing: "certificate verify failed").isEmpty)
                #expect(immediate.messages.isEmpty)
                #expect(hop.messages.allSatisfy { $0.contains("to=may@") || $0.contains("to=unverified@") })
            }
            #expect(hop.lines(containing: "tls ").allSatisfy { $0.contains("TLSv1.3") })
            #expect(!instance.log.lines(containing: "mta tls ciphers=TLSv1.3:").isEmpty)
            try instance.stop()
        }

        @Test func `required is not opportunistic, and notls is plain whatever is offered`() throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("hop", for: Self.good)
            let plain = try Sink(instance)
            let hop = try sink(instance, workshop, "hop")
            let actions = [
                ("may", "host smtp://127.0.0.1:\(plain.port)"),
                ("must", "host smtp+tls://127.0.0.1:\(plain.port) ca own"),
                ("never", "host smtp+notls://127.0.0.1:\(hop.port)"),
                ("both", "host smtp+notls://127.0.0.1:\(hop.port) tls"),
            ]
            try instance.start(house(instance, workshop, actions))
            for (name, _) in actions { try instance.submit(to: ["\(name)@\(name).example.com"]) }
            #expect(plain.waitForMessages(1) && hop.waitForMessages(1), "\(instance.lastWords)")
            #expect(instance.log.wait(for: "TLS required but not supported by remote host") != nil)
            #expect(instance.log.wait(for: "TLS required for relaying") != nil)
            #expect(plain.messages.allSatisfy { $0.contains("to=may@") })
            #expect(hop.lines(containing: "tls ").isEmpty)
            try instance.stop()
        }

        @Test func `a host that had TLS must have it the next time too, also after a restart`() throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("hop", for: Self.good)
            let hop = try sink(instance, workshop, "hop")
            try instance.start(
                house(
                    instance, workshop, [("may", "host smtp://127.0.0.1:\(hop.port)")],
                    extra: "mta limit session-keepalive 0"))
            try instance.submit(to: ["first@may.example.com"])
            #expect(hop.waitForMessages(1), "\(instance.lastWords)")
            #expect(try instance.isQueueEmpty())
            try hop.answer("offer", "no")
            // The next process knows of it, too.
            try instance.stop()
            try instance.start()
            try instance.submit(to: ["second@may.example.com"])
            #expect(instance.log.wait(for: "TLS was there before and is not offered now") != nil)
            #expect(hop.messages.count == 1)
            try hop.answer("offer")
            try instance.control("schedule", "all")
            #expect(hop.waitForMessages(2, seconds: 60), "\(instance.lastWords)")
            try instance.stop()
        }

        @Test func `the second handshake with a host resumes the first`() throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("hop", for: Self.good)
            let hop = try sink(instance, workshop, "hop")
            try instance.start(
                house(
                    instance, workshop, [("must", "host smtp+tls://127.0.0.1:\(hop.port) ca own")],
                    extra: "mta limit session-keepalive 0"))
            for count in 1...3 {
                try instance.submit(to: ["user\(count)@must.example.com"])
                #expect(hop.waitForMessages(count), "\(instance.lastWords)")
                // What a host gives for the next handshake is kept at the end of the session, and used once.
                let isOver = eventually { instance.log.lines(containing: "mta disconnected").count == count }
                #expect(isOver, "\(instance.lastWords)")
            }
            let reused = hop.lines(containing: "tls ").map { $0.contains("reused=True") }
            #expect(reused == [false, true, true], "\(hop.lines(containing: "tls "))")
            try instance.stop()
        }

        @Test func `what a server puts behind its reply to STARTTLS is not believed`() throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("hop", for: Self.good)
            let hop = try sink(instance, workshop, "hop")
            try hop.answer("starttls", "220 go\\r\\n250-evil.example.org\\r\\n250 SIZE 1")
            try instance.start(
                house(instance, workshop, [("must", "host smtp+tls://127.0.0.1:\(hop.port) ca own")]))
            try instance.submit(to: ["bob@must.example.com"])
            #expect(instance.log.wait(for: "plain text behind the reply to STARTTLS") != nil, "\(instance.lastWords)")
            #expect(hop.messages.isEmpty)
            try hop.answer("starttls")
            try instance.control("schedule", "all")
            #expect(hop.waitForMessages(1, seconds: 60), "\(instance.lastWords)")
            try instance.stop()
        }

        @Test func `an offer that cannot be kept costs one try where TLS is only a wish`() throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("hop", for: Self.good)
            let hop = try sink(instance, workshop, "hop")
            try hop.answer("starttls", "454 4.7.0 Not now")
            try instance.start(
                house(
                    instance, workshop,
                    [
                        ("may", "host smtp://127.0.0.1:\(hop.port)"),
                        ("must", "host smtp+tls://127.0.0.1:\(hop.port) ca own"),
                    ]))
            try instance.submit(to: ["bob@may.example.com"])
            #expect(instance.log.wait(for: "mta delivery") != nil)
            #expect(hop.messages.isEmpty)
            try instance.control("schedule", "all")
            #expect(hop.waitForMessages(1, seconds: 60), "\(instance.lastWords)")
            try instance.submit(to: ["bob@must.example.com"])
            let isDeferred = eventually(within: 60) {
                instance.log.lines(containing: "to=<bob@must.example.com>").contains { $0.contains("TempFail") }
            }
            #expect(isDeferred, "\(instance.lastWords)")
            #expect(hop.messages.count == 1)
            try instance.stop()
        }

        @Test func `the certificate of an action is shown, and its key stays in Keys`() throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("hop", for: Self.good)
            try workshop.make("ours", .rsa, for: ["client.example.org"], purpose: "clientAuth")
            let hop = try sink(instance, workshop, "hop", ["--client-ca", workshop.authority])
            try instance.start(
                house(
                    instance, workshop,
                    [("must", "host smtp+tls://127.0.0.1:\(hop.port) ca own pki client.example.org")],
                    extra: workshop.statement("ours", as: "client.example.org")))
            try instance.submit(to: ["bob@must.example.com"])
            #expect(hop.waitForMessages(1), "\(instance.lastWords)")
            #expect(hop.lines(containing: "peer=client.example.org").count == 1, "\(hop.lines(containing: "tls "))")
            try instance.stop()
        }
    }
}
