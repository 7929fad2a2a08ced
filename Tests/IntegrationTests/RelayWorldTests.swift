// SPDX-License-Identifier: ISC

import Foundation
import Testing

extension WholeHouse.Unprivileged {
    /// Many destinations, many recipients, much content.
    struct RelayWorld {
        private func configuration(_ instance: Instance, _ hosts: [(String, Int)], _ extra: String = "") -> String {
            let entries = hosts.map { "\"\($0.0)\" = \"smtp://127.0.0.1:\($0.1)\"" }
            return """
                listen on 127.0.0.1 port \(instance.port)
                \(extra)
                table hosts { \(entries.joined(separator: ", ")) }
                action "out" relay domain <hosts>
                match for any action "out"

                """
        }

        @Test func `of fifty destinations three are bad, and the others do not wait for them`() throws {
            let instance = try Instance()
            let sink = try Sink(instance)
            let servers = try HostileServers(["silent", "slow"])
            let closed = try Sink.closed(instance)
            let good = (1...47).map { "d\($0).example.com" }
            let bad = [
                ("hangs.example.com", servers.ports["silent"] ?? 0), ("slow.example.com", servers.ports["slow"] ?? 0),
                ("refuses.example.com", closed),
            ]
            try instance.start(
                configuration(instance, good.map { ($0, sink.port) } + bad, "smtp limit max-mails 1000"))
            let client = try instance.client()
            try client.greet()
            // More for the bad ones than any of them may have in hand, and all of that first.
            for (domain, _) in bad {
                for _ in 1...10 {
                    try client.submit(from: "alice@example.org", to: ["bob@\(domain)"], "Subject: a\n\nb")
                }
            }
            #expect(servers.waitForConnection("silent"), "\(instance.lastWords)")
            for _ in 1...3 {
                for domain in good {
                    try client.submit(from: "alice@example.org", to: ["bob@\(domain)"], "Subject: a\n\nb")
                }
            }
            try client.say("QUIT", "221")
            #expect(sink.waitForMessages(3 * 47, seconds: 90), "\(sink.messages.count) \(instance.lastWords)")
            // The one that hangs still has what it had when the others began, and nothing has left it.
            #expect(servers.messages("silent") == 0)
            let waiting = try instance.queueLines().filter { $0.contains("hangs.example.com") }
            #expect(waiting.count == 10)
            #expect(waiting.filter { $0.contains("|inflight|") }.count <= 5, "\(waiting)")
            let shown = try instance.control("show", "destinations")
            let line = try #require(shown.lines.first { $0.hasPrefix("hangs.example.com (out) recipients=10") })
            #expect(line.contains("next="), "\(shown.lines)")
            #expect(shown.lines.contains { $0.contains("refuses.example.com") })
            #expect(shown.lines.contains { $0.contains("last: 451 4.4.1") }, "\(shown.lines)")
            let document = try instance.control("--json", "show", "destinations")
            let rows = try JSONSerialization.jsonObject(with: Data(document.output.utf8)) as? [[String: Any]]
            #expect(rows?.contains { $0["domain"] as? String == "hangs.example.com" } ?? false, "\(document.output)")
            try instance.stop()
        }

        @Test func `a thousand recipients of one domain go a hundred at a time`() throws {
            let instance = try Instance()
            let sink = try Sink(instance)
            try instance.start(configuration(instance, [("example.com", sink.port)]))
            let recipients = (1...1000).map { "user\($0)@example.com" }
            try instance.submit(to: recipients)
            #expect(try instance.isQueueEmpty(within: 60), "\(instance.lastWords)")
            let arrived = sink.messages.flatMap { $0.split(separator: " to=").last?.split(separator: ",") ?? [] }
            #expect(arrived.map(String.init).sorted() == recipients.sorted())
            #expect(sink.messages.count == 10)
            try instance.stop()
        }

        @Test func `a thousand recipients of fifty domains go once to each domain`() throws {
            let instance = try Instance()
            let sink = try Sink(instance)
            let domains = (1...50).map { "d\($0).example.com" }
            try instance.start(configuration(instance, domains.map { ($0, sink.port) }))
            let recipients = (0..<1000).map { "user\($0)@\(domains[$0 % 50])" }
            try instance.submit(to: recipients)
            #expect(try instance.isQueueEmpty(within: 60), "\(instance.lastWords)")
            let arrived = sink.messages.flatMap { $0.split(separator: " to=").last?.split(separator: ",") ?? [] }
            #expect(arrived.map(String.init).sorted() == recipients.sorted())
            #expect(sink.messages.count == 50)
            try instance.stop()
        }

        @Test func `a message of 50 MB passes, and no process holds it`() throws {
            let instance = try Instance()
            let sink = try Sink(instance)
            try instance.start(
                configuration(instance, [("example.com", sink.port)], "smtp max-message-size 60M"))
            let line = String(repeating: "0123456789abcdef", count: 4) + "\n"
            let count = (50 << 20) / line.utf8.count
            let path = "\(instance.directory)/large"
            let content = "Subject: large\n\n" + String(repeating: line, count: count)
            try content.write(toFile: path, atomically: true, encoding: .utf8)
            let sent = try Program.run(
                [
                    "curl", "--silent", "--show-error", "--crlf", "--max-time", "120",
                    "smtp://127.0.0.1:\(instance.port)/client.example.org", "--mail-from", "alice@example.org",
                    "--mail-rcpt", "bob@example.com", "--upload-file", path,
                ])
            #expect(sent.status == 0, "\(sent.errors)")
            #expect(sink.waitForMessages(1, seconds: 90), "\(instance.lastWords)")
            for process in instance.daemons() {
                let peak = try #require(process.peakMemory())
                #expect(peak < HouseProcess.memoryLimit, "\(process.role): \(peak >> 10) KB")
            }
            let arrived = try #require(sink.contents().first)
            #expect(arrived.hasSuffix(line.replacingOccurrences(of: "\n", with: "\r\n")))
            #expect(arrived.utf8.count > 50 << 20)
            try instance.stop()
        }

        @Test func `what one domain or sender may send in a minute is spread, others go at once`() throws {
            let instance = try Instance()
            let sink = try Sink(instance)
            let limits = """
                mta limit for domain "slow.example.com" max-mails-per-minute 1
                mta limit for sender "many@example.org" max-mails-per-hour 1
                """
            let domains = ["slow.example.com", "example.com"]
            try instance.start(configuration(instance, domains.map { ($0, sink.port) }, limits))
            for _ in 1...3 { try instance.submit(to: ["bob@slow.example.com"]) }
            for _ in 1...3 { try instance.submit(from: "Many@Example.org", to: ["bob@example.com"]) }
            for _ in 1...3 { try instance.submit(from: "few@example.org", to: ["bob@example.com"]) }
            #expect(sink.waitForMessages(5), "\(sink.messages) \(instance.lastWords)")
            #expect(sink.messages.filter { $0.contains("to=bob@slow") }.count == 1)
            #expect(sink.messages.filter { $0.contains("<Many@") }.count == 1)
            #expect(sink.messages.filter { $0.contains("<few@") }.count == 3)
            #expect(try instance.queueLines().count == 4)
            // An administrator goes before any rate.
            try instance.control("schedule", "all")
            #expect(sink.waitForMessages(9), "\(sink.messages)")
            #expect(try instance.isQueueEmpty())
            try instance.stop()
        }

        @Test func `a host that has had enough is given less, and says why it is slow`() throws {
            let instance = try Instance()
            let sink = try Sink(instance)
            try instance.start(configuration(instance, [("example.com", sink.port)]))
            try sink.answer("mail", "421 4.7.0 Slow down")
            try instance.submit(to: ["bob@example.com"])
            #expect(instance.log.wait(for: "result=\"TempFail\"") != nil, "\(instance.lastWords)")
            let shown = try instance.control("show", "destinations").lines.joined(separator: "\n")
            #expect(shown.contains("last: 421 4.7.0 Slow down"), "\(shown)")
            let statistics = try instance.control("show", "hoststats")
            #expect(statistics.lines.contains { $0.hasPrefix("example.com|") && $0.hasSuffix("|421 4.7.0 Slow down") })
            try sink.answer("mail")
            try instance.control("schedule", "all")
            #expect(sink.waitForMessages(1), "\(instance.lastWords)")
            let hosts = try instance.control("show", "hosts")
            #expect(hosts.lines.contains { $0.hasPrefix("127.0.0.1 ") && $0.contains("nconn=") }, "\(hosts.output)")
            let relays = try instance.control("show", "relays")
            #expect(relays.lines.contains { $0.hasPrefix("[relay:example.com] ") }, "\(relays.output)")
            #expect(try instance.control("show", "routes").lines.contains { $0.hasPrefix("1. [] <-> 127.0.0.1 ") })
            try instance.stop()
        }

        @Test func `smarthosts take turns, and the next takes over when one is down`() throws {
            let instance = try Instance()
            let first = try Sink(instance, address: "127.0.0.1")
            let second = try Sink(instance, address: "127.0.0.2")
            let closed = try Sink.closed(instance)
            try instance.start(
                """
                listen on 127.0.0.1 port \(instance.port)
                mta limit session-mail-max 1
                action "turns" relay host { \
                    "smtp://127.0.0.1:\(first.port)", "smtp://127.0.0.2:\(second.port)" }
                action "failover" relay host { "smtp://127.0.0.1:\(closed)", "smtp://127.0.0.2:\(second.port)" }
                match for domain "turns.example.com" action "turns"
                match for any action "failover"

                """)
            for _ in 1...4 {
                try instance.submit(to: ["bob@turns.example.com"])
                #expect(try instance.isQueueEmpty(), "\(instance.lastWords)")
            }
            #expect(first.messages.count == 2 && second.messages.count == 2, "\(first.messages) \(second.messages)")
            try instance.submit(to: ["bob@other.example.com"])
            #expect(second.waitForMessages(3), "\(instance.lastWords)")
            try instance.stop()
        }

        @Test func `the source address and the name for it come from tables`() throws {
            let instance = try Instance()
            let sink = try Sink(instance)
            try instance.start(
                """
                listen on 127.0.0.1 port \(instance.port)
                table sources { "127.0.0.11", "127.0.0.12" }
                table names { "127.0.0.11" = "eleven.example.org", "127.0.0.12" = "twelve.example.org" }
                mta limit session-mail-max 1
                action "out" relay host smtp://127.0.0.1:\(sink.port) src <sources> helo-src <names>
                match for any action "out"

                """)
            for _ in 1...2 {
                try instance.submit(to: ["bob@example.com"])
                #expect(try instance.isQueueEmpty(), "\(instance.lastWords)")
            }
            let connected = sink.lines("connect ")
            #expect(connected.contains { $0.contains("from=127.0.0.11") }, "\(connected)")
            #expect(connected.contains { $0.contains("from=127.0.0.12") }, "\(connected)")
            let greetings = sink.lines("hello ")
            #expect(
                Set(greetings.map { $0.split(separator: " ").last.map(String.init) ?? "" }) == [
                    "eleven.example.org", "twelve.example.org",
                ], "\(greetings)")
            try instance.stop()
        }
    }
}
