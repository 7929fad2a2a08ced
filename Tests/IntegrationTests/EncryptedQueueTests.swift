// SPDX-License-Identifier: ISC

import Foundation
import Glibc
import Testing

extension WholeHouse.Unprivileged {
    struct EncryptedQueue {
        private static let key = "0123456789abcdef0123456789abcdef"
        private static let other = "fedcba9876543210fedcba9876543210"

        /// Whether any file of the spool holds `text`.
        private func holds(_ text: String, _ instance: Instance) -> Bool {
            let names = FileManager.default.enumerator(atPath: instance.spool)?.compactMap { $0 as? String } ?? []
            return names.contains { name in
                FileManager.default.contents(atPath: "\(instance.spool)/\(name)")?.range(of: Data(text.utf8)) != nil
            }
        }

        @Test func `mail waits encrypted, outlives a crash and a change of keys, and arrives as it came`() throws {
            let instance = try Instance()
            let port = try Host.freePort()
            func configuration(_ settings: String) -> String {
                instance.usual(relay: "host smtp://127.0.0.1:\(port)", extra: settings)
            }
            try instance.start(configuration("queue compression\nqueue encryption \"\(Self.key)\""))
            let large = (0..<12_000).map { "heron \($0) stands in the shallow water" }.joined(separator: "\n")
            try instance.submit(to: ["bob@example.com"], "Subject: small heron\n\nheron")
            try instance.submit(to: ["bob@example.com"], "Subject: large heron\n\n\(large)")
            #expect(try instance.queueLines().count == 2)
            let id = try #require(try instance.queueLines().first?.prefix(8))
            #expect(try instance.control("show", "message", String(id)).lines.contains { $0.contains("heron") })
            #expect(!holds("heron", instance))
            #expect(try instance.crash())

            let vain = try instance.startInVain(configuration("queue encryption \"\(Self.other)\""), seconds: 60)
            #expect(vain.status != 0)
            #expect(vain.lines.contains { $0.contains("was encrypted with another key") }, "\(vain.lines)")

            let sink = try Sink(instance, port: port)
            try instance.start(
                configuration("queue encryption \"\(Self.other)\"\nqueue encryption backup \"\(Self.key)\""))
            try instance.control("schedule", "all")
            #expect(sink.waitForMessages(2, seconds: 60))
            let bodies = sink.contents().map(\.messageBody).sorted { $0.count < $1.count }
            #expect(bodies.first?.hasPrefix("heron") == true)
            #expect(bodies.last.map { $0.split(separator: "\n").count } == 12_000)
            #expect(try instance.isQueueEmpty())
            try instance.stop()
        }

        /// What the tool says of a spool whose server is down.
        private func offline(_ instance: Instance, _ words: String...) throws -> Program.Result {
            let options = ["--instance", instance.directory, "--offline", "-f", instance.configurationPath]
            return try Program.run([Host.program("martletctl")] + options + words, as: instance.owner)
        }

        @Test func `the queue of a server that is down is shown, however it is kept, and stays as it is`() throws {
            let instance = try Instance()
            let port = try Host.freePort()
            try instance.start(
                instance.usual(
                    relay: "host smtp://127.0.0.1:\(port)",
                    extra: "queue compression\nqueue encryption \"\(Self.key)\""))
            let large = (0..<12_000).map { "heron \($0) stands in the shallow water" }.joined(separator: "\n")
            try instance.submit(to: ["bob@example.com", "carol@example.net"], "Subject: small heron\n\nheron")
            try instance.submit(to: ["bob@example.com"], "Subject: large heron\n\n\(large)")
            #expect(try instance.control("hold", "--recipient", "carol@example.net").status == 0)
            let online = try instance.queueLines()
            #expect(online.count == 3)
            let running = try offline(instance, "show", "queue")
            #expect(running.status == 1)
            #expect(running.errors.contains("smtpd is running"), "\(running)")
            // Ids are random: the large message is the one with one recipient.
            let alone = online.first { line in online.count { $0.prefix(8) == line.prefix(8) } == 1 }
            let id = String(try #require(alone).prefix(16))
            let content = try instance.control("show", "message", String(id.prefix(8))).output
            try instance.stop()
            let before = try Program.run(["sh", "-c", "cd '\(instance.spool)' && find . -type f | sort | xargs md5sum"])

            let shown = try offline(instance, "show", "queue")
            #expect(shown.status == 0, "\(shown)")
            #expect(shown.lines.count == 3)
            for (line, was) in zip(shown.lines, online) {
                let fields = line.split(separator: "|", omittingEmptySubsequences: false)
                let known = was.split(separator: "|", omittingEmptySubsequences: false)
                try #require(fields.count == 14, "\(line)")
                #expect(fields[...7] == known[...7])
                #expect(fields[11] == "offline" && fields[12] == "")
            }
            #expect(try offline(instance, "show", "queue", "--state", "held").lines.count == 1)
            #expect(try offline(instance, "show", "queue", "--recipient", "bob@example.com").lines.count == 2)
            #expect(try offline(instance, "show", "queue", "--older", "1d").lines == [])
            #expect(try offline(instance, "show", "envelope", id).lines.contains("rcpt: bob@example.com"))
            #expect(try offline(instance, "show", "message", id).output == content)
            #expect(content.contains("heron 11999 stands"))
            let json = try offline(instance, "--json", "show", "queue").output
            let parsed = try Program.run(
                ["python3", "-c", "import json, sys; print(len(json.load(sys.stdin)))"], input: json)
            #expect(parsed.output == "3\n")
            let order = try offline(instance, "remove", "all")
            #expect(order.status == 1 && order.errors.contains("--offline is for"))
            let after = try Program.run(["sh", "-c", "cd '\(instance.spool)' && find . -type f | sort | xargs md5sum"])
            #expect(before.output == after.output)

            try instance.write(instance.usual(extra: "queue encryption \"\(Self.other)\""))
            let locked = try offline(instance, "show", "queue")
            #expect(locked.status == 1 && locked.errors.contains("was encrypted with another key"), "\(locked)")
        }

        @Test func `the key can come by standard input`() throws {
            let instance = try Instance()
            try instance.write(instance.usual(extra: "queue encryption stdin"))
            try instance.launch()
            try #require(instance.program).write(Self.key + "\n")
            try #require(instance.log.wait(for: "info: Martlet", seconds: 90) != nil, "\(instance.lastWords)")
            try instance.submit(to: ["\(instance.people[0])@example.org"])
            #expect(instance.mailbox(instance.people[0]).waitForMessages(1))
            try instance.stop()
            try instance.launch()
            try #require(instance.program).write("short\n")
            #expect(instance.log.wait(for: "a key has exactly 32 bytes", seconds: 60) != nil)
        }
    }
}
