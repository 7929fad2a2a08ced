// SPDX-License-Identifier: ISC

import Foundation
import Testing

extension WholeHouse.Unprivileged {
    struct Accounts {
        /// One whose next hop takes nothing until `open`.
        private func start(_ extra: String = "") throws -> (instance: Instance, sink: Sink) {
            let instance = try Instance()
            let sink = try Sink(instance)
            try instance.start(instance.usual(relay: instance.relay(to: sink), extra: extra))
            #expect(try instance.control("pause", "mta").status == 0)
            return (instance, sink)
        }

        private func ids(_ instance: Instance, _ filter: String...) throws -> [String] {
            let result = try Program.run(
                [Host.program("martletctl"), "--instance", instance.directory, "show", "queue"] + filter,
                as: instance.owner)
            guard result.status == 0 else { throw Failure(result.errors) }
            return result.lines.compactMap { $0.split(separator: "|").first.map(String.init) }
        }

        @Test func `the queue is filtered by whom, where, when and how it is`() throws {
            let (instance, _) = try start()
            try instance.submit(from: "alice@example.org", to: ["bob@example.com", "carol@example.net"])
            try instance.submit(from: "dave@example.org", to: ["bob@example.com"])
            try instance.submit(from: "", to: ["eve@example.net"])
            let all = try ids(instance)
            #expect(all.count == 4)
            #expect(try ids(instance, "--sender", "ALICE@example.org").count == 2)
            #expect(try ids(instance, "--sender", "@example.org").count == 3)
            #expect(try ids(instance, "--sender", "<>").count == 1)
            #expect(try ids(instance, "--domain", "example.com").count == 2)
            #expect(try ids(instance, "--recipient", "bob@example.com", "--sender", "dave@example.org").count == 1)
            #expect(try ids(instance, "--older", "1h").isEmpty)
            #expect(try ids(instance, "--older", "0s").count == 4)
            #expect(try ids(instance, "--id", String(all[0].prefix(8))).allSatisfy { $0.hasPrefix(all[0].prefix(8)) })
            #expect(try instance.control("hold", "--domain", "example.net").output == "2 envelopes held\n")
            #expect(try ids(instance, "--state", "held").count == 2)
            #expect(try ids(instance, "--state", "pending").count == 2)
            #expect(
                try instance.control("remove", "--state", "held", "--sender", "<>").output == "1 envelope removed\n")
            #expect(try ids(instance).count == 3)
            #expect(try instance.control("remove").status == 1)
            #expect(try instance.accountOf("removed") == 1)
            try instance.stop()
        }

        @Test func `a queue of many pages is shown and changed whole`() throws {
            let (instance, _) = try start()
            let client = try instance.client()
            try client.greet()
            for number in 0..<14 {
                let recipients = (0..<50).map { "u\($0)@d\(number).example.com" }
                try client.submit(from: "alice@example.org", to: recipients, "Subject: many\n\nbody")
            }
            #expect(try ids(instance).count == 700)
            #expect(Set(try ids(instance)).count == 700)
            #expect(try ids(instance, "--recipient", "u7@d3.example.com").count == 1)
            #expect(try instance.control("remove", "--domain", "d3.example.com").output == "50 envelopes removed\n")
            #expect(try instance.control("remove", "all").output == "650 envelopes removed\n")
            #expect(try instance.queueLines().isEmpty)
            #expect(try instance.accountOf("removed") == 700)
            try instance.stop()
        }

        @Test func `every end is counted once, over kill -9 and restarts`() throws {
            let (instance, sink) = try start("bounce warn-interval 1h")
            try sink.answer("rcpt")
            try instance.control("resume", "mta")
            try instance.submit(to: ["bob@example.com", "\(instance.people[0])@example.org"])
            #expect(sink.waitForMessages(1))
            #expect(try instance.isQueueEmpty())
            try sink.answer("rcpt", "550 5.1.1 No such user here")
            try instance.submit(from: "\(instance.people[1])@example.org", to: ["carol@example.com"])
            // The notice comes to a mailbox of this host.
            #expect(instance.mailbox(instance.people[1]).waitForMessages(1))
            #expect(try eventually(within: 60) { try instance.accountOf("bounced") == 1 })
            try sink.answer("rcpt", "450 4.2.0 Try again")
            try instance.submit(to: ["dave@example.com"])
            #expect(
                try eventually(within: 60) { try instance.queueLines().first?.contains("Try again") == true },
                "\(instance.queueText)")
            #expect(try instance.accountOf("accepted") == 5)
            #expect(try instance.accountOf("delivered") == 2)
            #expect(try instance.accountOf("relayed") == 1)
            #expect(try instance.accountOf("queued") == 1)
            try instance.checkAccount()
            for _ in 0..<2 {
                try instance.crash()
                try instance.start()
                #expect(try instance.accountOf("accepted") == 5)
                #expect(try instance.accountOf("bounced") == 1)
                try instance.checkAccount()
            }
            #expect(try instance.control("remove", "all").status == 0)
            #expect(try instance.accountOf("queued") == 0)
            try instance.stop()
        }

        @Test func `a notice of delay says for how long its action tries`() throws {
            let instance = try Instance()
            let sink = try Sink(instance)
            try sink.answer("rcpt", "450 4.2.0 Try again")
            try instance.start(
                instance.usual(relay: "\(instance.relay(to: sink)) ttl 4h", extra: "bounce warn-interval 1s"))
            let sender = instance.people[1]
            try instance.submit(from: "\(sender)@example.org", to: ["dave@example.com"])
            let isTold = try eventually(within: 60) {
                try instance.control("schedule", "all")
                return instance.mailbox(sender).count > 0
            }
            #expect(isTold, "\(instance.queueText) \(instance.lastWords)")
            let notice = instance.mailbox(sender).messages.joined()
            #expect(notice.contains("will be tried again for 4h in all"), "\(notice)")
            try instance.stop()
        }

        @Test func `what was removed in flight does not come back after a crash`() throws {
            let (instance, sink) = try start()
            // The next hop never answers to RCPT: the envelope stays in flight.
            try sink.answer("rcpt", "hang")
            try instance.control("resume", "mta")
            try instance.submit(to: ["bob@example.com"])
            #expect(
                try eventually(within: 60) { try instance.queueLines().first?.contains("|inflight|") == true },
                "\(instance.queueText)")
            #expect(try instance.control("remove", "all").output == "1 envelope removed\n")
            try instance.crash()
            try sink.answer("rcpt")
            try instance.start()
            #expect(try instance.isQueueEmpty())
            #expect(instance.log.wait(for: "stat=Removed by administrator") != nil)
            #expect(sink.messages.isEmpty)
            #expect(try instance.accountOf("removed") == 1)
            try instance.stop()
        }

        @Test func `what waits behind a slow message is called off at once`() throws {
            let (instance, sink) = try start("mta limit max-conn-per-host 1\nmta limit max-conn-per-domain 1")
            try sink.answer("rcpt", "hang")
            try instance.control("resume", "mta")
            let names = ["first", "removed", "held", "fourth"]
            for name in names { try instance.submit(to: ["\(name)@example.com"]) }
            func states() throws -> [String] {
                try names.map { try instance.control("show", "queue", "--recipient", "\($0)@example.com").output }
                    .map { $0.contains("|inflight|") ? "inflight" : $0.contains("|hold|") ? "held" : $0 }
            }
            #expect(
                try eventually(within: 60) { try states() == names.map { _ in "inflight" } }, "\(instance.queueText)")
            let remove = try instance.control("remove", "--recipient", "removed@example.com")
            #expect(remove.output == "1 envelope removed\n")
            let hold = try instance.control("hold", "--recipient", "held@example.com")
            #expect(hold.output == "1 envelope held\n")
            #expect(try eventually(within: 60) { try states() == ["inflight", "", "held", "inflight"] })
            try sink.answer("rcpt")
            #expect(sink.waitForMessages(2), "\(instance.lastWords)")
            let release = try instance.control("release", "--recipient", "held@example.com")
            #expect(release.output == "1 envelope released\n")
            #expect(sink.waitForMessages(3), "\(instance.lastWords)")
            #expect(try instance.isQueueEmpty())
            #expect(sink.messages.count == 3)
            #expect(sink.messages.allSatisfy { !$0.contains("removed@example.com") }, "\(sink.messages)")
            #expect(try instance.accountOf("removed") == 1 && instance.accountOf("relayed") == 3)
            try instance.stop()
        }

        @Test func `the life of a message is told by any of its names`() throws {
            let (instance, sink) = try start()
            let client = try instance.client()
            try client.greet()
            try client.say("MAIL FROM:<alice@example.org> ENVID=QQ314159", "250")
            try client.say("RCPT TO:<bob@example.com>", "250")
            try client.say("DATA", "354")
            client.send("Subject: x")
            client.send("Message-ID: <story.1@example.org>")
            client.send("")
            client.send("body")
            try client.say(".", "250")
            let id = String(try #require(try ids(instance).first))
            for name in [id, String(id.prefix(8)), "<story.1@example.org>", "story.1@example.org", "QQ314159"] {
                let told = try instance.control("trace-message", name)
                #expect(told.status == 0 && told.output.contains("accepted"), "\(name): \(told.output)\(told.errors)")
                #expect(told.output.contains("to=<bob@example.com> waiting"))
            }
            // After a restart it is known by what is kept of it.
            try instance.crash()
            try instance.start()
            let kept = try instance.control("trace-message", "<story.1@example.org>").output
            #expect(kept.contains("accepted") && kept.contains("from=<alice@example.org> size="), "\(kept)")
            #expect(kept.contains("bob@example.com"))
            #expect(sink.waitForMessages(1))
            #expect(try instance.isQueueEmpty())
            #expect(try instance.control("trace-message", id).output.contains("relayed"))
            #expect(try instance.control("trace-message", "<nobody@example.org>").status == 1)
            let json = try instance.control("--json", "trace-message", id)
            #expect(json.output.contains("\"event\": \"relayed\""))
            try instance.stop()
        }

        @Test func `rules that were changed are applied to what is queued`() throws {
            let (instance, sink) = try start()
            let other = try Sink(instance, port: Host.freePort())
            try instance.submit(to: ["bob@example.com", "carol@example.net"])
            try instance.write(
                """
                listen on 127.0.0.1 port \(instance.port)
                action "out" relay \(instance.relay(to: sink))
                action "new" relay \(instance.relay(to: other))
                match for domain "example.com" action "new"

                """)
            #expect(try instance.control("reload").status == 0)
            // Of the other one the rules know nothing: it stays as it is.
            #expect(try instance.control("rematch", "all").output == "1 envelope changed\n")
            let lines = try instance.queueLines()
            #expect(lines.count == 2)
            let id = String(try #require(lines.first { $0.contains("bob@") }).prefix(16))
            #expect(try instance.control("show", "envelope", id).output.contains("action: new\n"))
            try instance.crash()
            try instance.start()
            #expect(other.waitForMessages(1))
            #expect(sink.waitForMessages(1))
            #expect(other.messages.first?.contains("bob@example.com") == true)
            #expect(try instance.isQueueEmpty())
            try instance.stop()
        }

        @Test func `a large message is shown whole`() throws {
            let (instance, _) = try start()
            let line = String(repeating: "0123456789", count: 7)
            let body = (0..<12_000).map { "\($0) \(line)" }.joined(separator: "\n")
            try instance.submit(to: ["bob@example.com"], "Subject: large\n\n\(body)")
            let id = String(try #require(try ids(instance).first).prefix(8))
            let shown = try instance.control("show", "message", id)
            #expect(shown.status == 0)
            #expect(shown.output.messageBody.trimmingCharacters(in: .newlines) == body)
            try instance.stop()
        }

        @Test func `tracing is turned on and off for those who do it`() throws {
            let (instance, _) = try start()
            for subject in ["smtp", "mta", "mda", "scheduler", "lookup", "all"] {
                #expect(try instance.control("trace", subject).status == 0)
                #expect(try instance.control("untrace", subject).status == 0)
            }
            #expect(try instance.control("trace", "nonsense").status == 1)
            try instance.stop()
        }
    }
}
