// SPDX-License-Identifier: ISC

import Foundation
import Glibc
import Testing

extension WholeHouse.Private {
    /// From domains to addresses, by a real name server.
    @Suite(.enabled(if: NameServer.isThere, "\(NameServer.why)"))
    struct Exchangers {
        /// Addresses that are reached on this host but are none of its own.
        private func makeReachable(_ network: String) throws {
            let words = network.contains(":") ? ["ip", "-6"] : ["ip"]
            let result = try Program.run(words + ["route", "replace", "local", network, "dev", "lo"])
            #expect(result.status == 0, "\(result.errors)")
        }

        private static let exchangers = (1...1000).map { "many MX \($0) h\($0).m" }.joined(separator: "\n")

        private static let zone = """
            good A 192.0.2.13
            also A 192.0.2.13
            alias CNAME good
            nothing TXT "no address"
            \(exchangers)
            *.m A 192.0.2.13
            implicit A 192.0.2.13
            null MX 0 .
            round1 CNAME round2
            round2 CNAME round1
            noaddress MX 10 nothing
            nohost MX 10 not-there
            tolocal MX 10 localhost.
            best MX 10 mail.example.org.
            best MX 20 good
            better MX 10 good
            better MX 20 mail.example.org.
            better MX 30 worse
            worse A 192.0.2.99
            byalias MX 10 alias
            equal MX 10 good
            equal MX 10 also
            """

        @Test func `every kind of MX set leads where it should, or is told of`() throws {
            try makeReachable("192.0.2.0/24")
            let instance = try Instance()
            let server = try NameServer(instance, ["example.com": Self.zone, "broken.example": ""])
            defer { withExtendedLifetime(server) {} }
            let sink = try Sink(instance, address: "192.0.2.13", port: 25)
            try instance.start(instance.usual())
            let sender = instance.people[0]
            let delivered = [
                "many.example.com", "implicit.example.com", "better.example.com", "byalias.example.com",
                "equal.example.com", "[192.0.2.13]",
            ]
            let failed = [
                ("null.example.com", "5.1.10"), ("tolocal.example.com", "5.1.10"), ("best.example.com", "5.4.6"),
                ("never.example.com", "5.1.2"),
            ]
            let deferred = [
                ("noaddress.example.com", "4.4."), ("nohost.example.com", "4.4."), ("round1.example.com", "4.4.3"),
                ("broken.example", "4.4.3"),
            ]
            for domain in delivered + failed.map(\.0) + deferred.map(\.0) {
                try instance.submit(from: "\(sender)@example.org", to: ["bob@\(domain)"])
            }
            #expect(sink.waitForMessages(delivered.count, seconds: 60), "\(instance.lastWords)")
            for domain in delivered {
                #expect(sink.messages.contains { $0.hasSuffix("to=bob@\(domain)") }, "\(domain)")
            }
            #expect(instance.mailbox(sender).waitForMessages(failed.count, seconds: 60), "\(instance.lastWords)")
            let notices = instance.mailbox(sender).messages
            for (domain, status) in failed {
                #expect(
                    notices.contains { $0.contains("bob@\(domain)") && $0.contains(status) }, "\(domain): \(notices)")
            }
            let isWaiting = try eventually(within: 60) {
                let lines = try instance.queueLines()
                return deferred.allSatisfy { domain, status in
                    lines.contains { $0.contains("bob@\(domain)") && $0.contains("451 \(status)") }
                }
            }
            #expect(isWaiting, "\(instance.queueText)")
            #expect(try instance.queueLines().count == deferred.count, "\(instance.queueText)")
            try instance.stop()
        }

        @Test func `a backup sends to better hosts only`() throws {
            try makeReachable("192.0.2.0/24")
            let instance = try Instance()
            let zone = """
                primary MX 10 first
                primary MX 20 me
                primary MX 30 last
                stranger MX 10 first
                first A 192.0.2.13
                me A 192.0.2.14
                last A 192.0.2.15
                """
            let server = try NameServer(instance, ["example.com": zone])
            defer { withExtendedLifetime(server) {} }
            let sink = try Sink(instance, address: "192.0.2.13", port: 25)
            try instance.start(instance.usual(relay: "backup mx \"me.example.com\""))
            try instance.submit(to: ["bob@primary.example.com"])
            #expect(sink.waitForMessages(1), "\(instance.lastWords)")
            // Not listed: an ordinary relay, and the administrator is told.
            try instance.submit(to: ["bob@stranger.example.com"])
            #expect(sink.waitForMessages(2), "\(instance.lastWords)")
            #expect(instance.log.wait(for: "me.example.com is no MX of stranger.example.com") != nil)
            sink.stop()
            try instance.submit(to: ["bob@primary.example.com"])
            #expect(instance.log.wait(for: "result=\"TempFail\"") != nil, "\(instance.lastWords)")
            #expect(instance.log.lines(containing: "192.0.2.15").isEmpty)
            #expect(instance.log.lines(containing: "192.0.2.14").isEmpty)
            try instance.stop()
        }

        @Test func `an IPv6 address that does not answer is overtaken, and remembered`() throws {
            try makeReachable("192.0.2.0/24")
            // Packets to it go nowhere, and nobody says so.
            for text in [
                "link add nowhere0 type veth peer name nowhere1", "link set nowhere0 up", "link set nowhere1 up",
                "-6 address add 2001:db8:1::1/64 dev nowhere0 nodad", "-6 route replace 2001:db8:2::/64 dev nowhere0",
                "-6 neigh replace 2001:db8:2::13 lladdr 02:00:00:00:00:13 dev nowhere0 nud permanent",
                "-6 neigh replace 2001:db8:2::14 lladdr 02:00:00:00:00:14 dev nowhere0 nud permanent",
            ] {
                let result = try Program.run(["ip"] + text.split(separator: " ").map(String.init))
                #expect(result.status == 0, "\(text): \(result.errors)")
            }
            defer { _ = try? Program.run(["ip", "link", "del", "nowhere0"]) }
            let instance = try Instance()
            let zone = """
                both MX 10 first
                first A 192.0.2.13
                first AAAA 2001:db8:2::13
                other MX 10 second
                second A 192.0.2.13
                second AAAA 2001:db8:2::14
                """
            let server = try NameServer(instance, ["example.com": zone])
            defer { withExtendedLifetime(server) {} }
            let sink = try Sink(instance, address: "192.0.2.13", port: 25)
            try instance.start(
                instance.usual(extra: "mta limit session-mail-max 1"))
            // The attempt by IPv6 alone would take thirty seconds: whoever arrives while it has not ended has overtaken it.
            try instance.submit(to: ["bob@both.example.com"])
            #expect(sink.waitForMessages(1), "\(instance.lastWords)")
            let tried = instance.log.lines(containing: "mta connecting")
            #expect(
                tried.count == 2 && tried[0].contains("[2001:db8:2::13]") && tried[1].contains("192.0.2.13"), "\(tried)"
            )
            #expect(instance.log.lines(containing: "mta error").isEmpty, "\(instance.lastWords)")
            // The next connections, even those to other hosts, begin with what works.
            try instance.submit(to: ["bob@both.example.com"])
            #expect(sink.waitForMessages(2), "\(instance.lastWords)")
            try instance.submit(to: ["bob@other.example.com"])
            #expect(sink.waitForMessages(3), "\(instance.lastWords)")
            let later = instance.log.lines(containing: "mta connecting").dropFirst(2)
            #expect(later.count == 2 && later.allSatisfy { $0.contains("192.0.2.13") }, "\(later)")
            try instance.stop()
        }
    }
}

extension WholeHouse.Unprivileged {
    struct Loops {
        @Test func `three servers that send to each other end it with one notice`() throws {
            let instances = try (0..<3).map { _ in try Instance() }
            for (number, instance) in instances.enumerated() {
                let next = instances[(number + 1) % 3]
                try instance.start(instance.usual(relay: "host smtp://127.0.0.1:\(next.port)"))
            }
            let sender = instances[0].people[0]
            try instances[0].submit(from: "\(sender)@example.org", to: ["bob@round.example.com"])
            let maildirs = Set(instances.map { $0.maildir(sender) })
            func notices() -> [String] {
                maildirs.flatMap { path in
                    instances.first { $0.maildir(sender) == path }?.mailbox(sender).messages ?? []
                }
            }
            #expect(eventually(within: 90) { !notices().isEmpty }, "\(instances.map(\.lastWords))")
            for instance in instances { #expect(try instance.isQueueEmpty(), "\(instance.queueText)") }
            let all = notices()
            #expect(all.count == 1 && all[0].contains("bob@round.example.com"), "\(all)")
            for instance in instances { try instance.stop() }
        }
    }
}

extension WholeHouse.Private {
    /// What the system's files say of names.
    struct SystemFiles {
        @Test func `a host whose line in the hosts file has changed is found without a restart`() throws {
            let path = "/etc/hosts"
            let before = try String(contentsOfFile: path, encoding: .utf8)
            defer { try? before.write(toFile: path, atomically: false, encoding: .utf8) }
            // Nobody listens there.
            try (before + "127.0.0.9 moved.example.net\n").write(toFile: path, atomically: false, encoding: .utf8)
            let instance = try Instance()
            let sink = try Sink(instance)
            try instance.start(instance.usual(relay: "host smtp://moved.example.net:\(sink.port)"))
            try instance.submit(to: ["bob@example.com"])
            #expect(instance.log.wait(for: "result=\"TempFail\"") != nil, "\(instance.lastWords)")
            try (before + "127.0.0.1 moved.example.net\n").write(toFile: path, atomically: false, encoding: .utf8)
            let isDelivered = try eventually {
                try instance.control("schedule", "all")
                return sink.messages.count == 1
            }
            #expect(isDelivered, "\(instance.lastWords)")
            #expect(try instance.isQueueEmpty())
            try instance.stop()
        }

        @Test func `a name server that never answers holds the greeting up for five seconds`() throws {
            let script = """
                import socket, sys
                server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                server.bind(("127.0.0.1", 53))
                print("bound", flush=True)
                while server.recv(4096): print("asked", flush=True)
                """
            let server = try Program(["python3", "-c", script])
            defer { server.kill(SIGKILL) }
            try #require(server.output.wait(for: "bound") != nil, "\(server.errors.text)")
            let address = "192.0.2.77"
            try #require(try Program.run(["ip", "address", "add", "\(address)/32", "dev", "lo"]).status == 0)
            defer { _ = try? Program.run(["ip", "address", "del", "\(address)/32", "dev", "lo"]) }
            let instance = try Instance()
            try instance.start(instance.usual(extra: "listen on \(address) port \(instance.port)"))
            let start = Deadline.now
            let client = try SMTPClient(port: instance.port, address: address, from: address)
            try client.greet()
            let waited = Deadline.now - start
            try client.say("QUIT", "221")
            #expect(server.output.wait(for: "asked") != nil)
            #expect(
                instance.log.wait(for: "smtp connected address=\(address) host=<unknown>") != nil,
                "\(instance.lastWords)")
            // The bound and not an answer has ended it; a loaded host may be late.
            #expect((4_900...30_000).contains(waited), "\(waited) ms")
            try instance.stop()
        }
    }
}
