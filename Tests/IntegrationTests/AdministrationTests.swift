// SPDX-License-Identifier: ISC

import Glibc
import Testing

extension WholeHouse.Unprivileged {
    struct Administration {
        /// One with `count` messages that wait for a next hop.
        fileprivate func start(_ count: Int) throws -> (instance: Instance, sink: Sink) {
            let instance = try Instance()
            let sink = try Sink(instance)
            try instance.start(instance.usual(relay: instance.relay(to: sink)))
            #expect(try instance.control("pause", "mta").status == 0)
            for _ in 0..<count { try instance.submit(to: ["bob@example.com"]) }
            return (instance, sink)
        }

        fileprivate func identifiers(_ instance: Instance) throws -> [String] {
            try instance.queueLines().compactMap { $0.split(separator: "|").first.map(String.init) }
        }

        @Test func `the queue is shown in lines of 14 fields`() throws {
            let (instance, _) = try start(3)
            let lines = try instance.queueLines()
            #expect(lines.count == 3)
            for line in lines {
                let fields = line.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
                try #require(fields.count == 14, "\(line)")
                #expect(fields[0].wholeMatch(of: #/[0-9a-f]{16}/#) != nil)
                #expect(fields[1] == "inet4")
                #expect(fields[2] == "mta")
                #expect(fields[4] == "alice@example.org")
                #expect(fields[5] == "bob@example.com")
                #expect(fields[6] == "bob@example.com")
                let times = [7, 8, 9].compactMap { Int64(fields[$0]) }
                #expect(times.count == 3)
                #expect(times[1] > times[0])
                #expect(fields[10] == "0")
                #expect(fields[11] == "pending")
            }
            try instance.stop()
        }

        @Test(arguments: [["show", "queue"], ["show", "stats"], ["show", "status"], ["audit", ""]])
        func `what is shown is JSON on demand`(words: [String]) throws {
            let (instance, _) = try start(2)
            let result = try Program.run(
                [Host.program("martletctl"), "--instance", instance.directory, "--json"] + words.filter { !$0.isEmpty },
                as: instance.owner)
            #expect(result.status == 0)
            let parsed = try Program.run(
                ["python3", "-c", "import json, sys; print(len(json.load(sys.stdin)))"], input: result.output)
            #expect(parsed.status == 0, "\(result.output)")
            if words[1] == "queue" { #expect(parsed.output == "2\n") }
            try instance.stop()
        }

        @Test func `a paused service waits, and goes on when resumed`() throws {
            let (instance, sink) = try start(2)
            #expect(try instance.control("show", "status").output.contains("MTA paused"))
            #expect(try instance.control("pause", "mta").status == 1)
            // Local mail goes on meanwhile, and when it has arrived the others had their time.
            try instance.submit(to: ["\(instance.people[0])@example.org"])
            #expect(instance.mailbox(instance.people[0]).waitForMessages(1))
            #expect(sink.connections == 0)
            #expect(try instance.control("resume", "mta").status == 0)
            #expect(sink.waitForMessages(2))
            #expect(try instance.isQueueEmpty())
            try instance.stop()
        }

        @Test func `what is paused from the start waits for somebody to resume it`() throws {
            let instance = try Instance()
            try instance.start(instance.usual(), ["-P", "mda", "-Psmtp"])
            let status = try instance.control("show", "status").output
            for state in ["MDA paused", "MTA running", "SMTP paused"] { #expect(status.contains(state), "\(status)") }
            #expect(instance.log.wait(for: "info: mda is paused (martletctl resume mda)") != nil)
            let early = try instance.client()
            #expect(try instance.control("resume", "smtp").status == 0)
            try early.greet()
            try early.submit(from: "alice@example.org", to: ["\(instance.people[0])@example.org"], "Subject: early")
            #expect(try instance.queueLines().count == 1)
            #expect(try instance.control("resume", "mda").status == 0)
            #expect(instance.mailbox(instance.people[0]).waitForMessages(1))
            try instance.stop()
        }

        @Test func `what is paused stays so when its daemon is replaced`() throws {
            let instance = try Instance()
            try instance.start(instance.usual())
            func states() throws -> [String] {
                let text = try instance.control("show", "status").output
                return text.split(separator: "\n").map(String.init).filter { $0.hasSuffix("paused") }
            }
            #expect(try instance.control("pause", "mda").status == 0)
            #expect(try instance.control("pause", "mta").status == 0)
            #expect(try instance.control("resume", "mta").status == 0)
            let daemons = instance.daemons()
            for daemon in daemons where daemon.role == "queue" { kill(daemon.pid, SIGKILL) }
            // One that is away is in no state that could be told.
            #expect(try eventually(within: 60) { try states() == ["MDA paused"] }, "\(instance.lastWords)")
            #expect(instance.daemons().allSatisfy { $0.role != "queue" || !daemons.contains($0) })
            try instance.submit(to: ["\(instance.people[0])@example.org"])
            #expect(try instance.queueLines().count == 1)
            #expect(try instance.control("pause", "smtp").status == 0)
            for daemon in daemons where daemon.role == "listener" { kill(daemon.pid, SIGKILL) }
            #expect(try eventually(within: 60) { try states() == ["MDA paused", "SMTP paused"] })
            #expect(try instance.control("resume", "smtp").status == 0)
            #expect(try instance.control("resume", "mda").status == 0)
            #expect(instance.mailbox(instance.people[0]).waitForMessages(1))
            try instance.stop()
        }

        @Test func `removed envelopes are gone, the others are delivered`() throws {
            let (instance, sink) = try start(3)
            let ids = try identifiers(instance)
            let result = try instance.control("remove", ids[1])
            #expect(result.status == 0)
            #expect(result.output.contains("1 envelope"))
            #expect(try identifiers(instance) == [ids[0], ids[2]])
            try instance.control("resume", "mta")
            #expect(sink.waitForMessages(2))
            #expect(try instance.isQueueEmpty())
            #expect(sink.messages.count == 2)
            #expect(instance.log.lines(containing: "Remove for \(ids[1])").count == 1)
            try instance.stop()
        }

        @Test func `held mail stays, over a restart too, until it is released`() throws {
            let (instance, sink) = try start(2)
            let ids = try identifiers(instance)
            #expect(try instance.control("hold", ids[0]).status == 0)
            try instance.control("resume", "mta")
            #expect(sink.waitForMessages(1))
            // In good order: a crash would forget the outcomes of the last second.
            try instance.stop()
            try instance.start()
            let lines = try instance.queueLines()
            #expect(lines.count == 1)
            #expect(lines.first?.contains("hold") == true)
            #expect(try instance.control("release", "all").status == 0)
            #expect(sink.waitForMessages(2))
            #expect(try instance.isQueueEmpty())
            try instance.stop()
        }

        @Test func `a message and an envelope can be shown`() throws {
            let (instance, _) = try start(1)
            let id = try #require(try identifiers(instance).first)
            let message = try instance.control("show", "message", String(id.prefix(8)))
            #expect(message.output.headerField("Subject") == "test")
            #expect(message.output.messageBody.hasPrefix("body"))
            #expect(try instance.control("show", "envelope", id).output.contains("bob@example.com"))
            try instance.stop()
        }

        @Test func `a paused envelope waits, whatever is scheduled, until it is resumed`() throws {
            let (instance, sink) = try start(2)
            let id = try #require(try identifiers(instance).first)
            #expect(try instance.control("pause", "envelope", id).status == 0)
            #expect(try instance.control("resume", "mta").status == 0)
            try instance.control("schedule", "all")
            let isOther = try eventually { try identifiers(instance) == [id] }
            #expect(isOther, "\(instance.queueText)")
            #expect(sink.messages.count == 1)
            #expect(instance.queueText.contains("|suspend|"))
            // Also in the next life.
            try instance.stop()
            try instance.start()
            try instance.control("schedule", "all")
            #expect(instance.queueText.contains("|suspend|"))
            #expect(try instance.control("resume", "envelope", id).status == 0)
            #expect(sink.waitForMessages(2))
            #expect(try instance.isQueueEmpty())
            try instance.stop()
        }

        @Test func `log verbose says more, and log brief no more`() throws {
            let instance = try Instance()
            try instance.start(instance.usual())
            func replaceResolver() throws {
                let before = instance.log.lines.count
                let old = try #require(instance.daemons().first { $0.role == "resolver" })
                kill(old.pid, SIGKILL)
                #expect(instance.log.wait(for: "lost child: resolver", from: before) != nil)
                let isReplaced = eventually {
                    instance.daemons().contains { $0.role == "resolver" && $0.pid != old.pid }
                }
                #expect(isReplaced)
                // Whoever answers is ready, and that was said before.
                try instance.submit(to: ["\(instance.people[0])@example.org"])
            }
            func debugLines() -> Int { instance.log.lines(containing: "debug: resolver is ready").count }

            #expect(debugLines() == 0)
            #expect(try instance.control("log", "verbose").status == 0)
            try replaceResolver()
            #expect(instance.log.wait(for: "debug: resolver is ready") != nil, "\(instance.lastWords)")
            #expect(try instance.control("log", "brief").status == 0)
            try replaceResolver()
            #expect(try instance.control("show", "status").status == 0)
            #expect(debugLines() == 1)
            try instance.stop()
        }

        @Test func `without a server martletctl says so`() throws {
            let instance = try Instance()
            let result = try instance.control("show", "queue")
            #expect(result.status == 1)
            #expect(result.errors.contains("doesn't seem to be running"))
        }
    }
}
