// SPDX-License-Identifier: ISC

import Foundation
import Testing

extension WholeHouse.Unprivileged {
    struct Import {
        /// A queue as OpenSMTPD leaves it.
        private final class LegacyQueue {
            let path: String

            init(_ instance: Instance) throws {
                path = "\(instance.directory)/smtpd-queue"
                try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
                give(path, to: instance)
            }

            private func give(_ path: String, to instance: Instance) {
                if let owner = instance.owner { chown(path, owner.uid, owner.gid) }
            }

            func add(
                _ instance: Instance, message: String, content: String, envelopes: [(id: String, text: String)]
            ) throws {
                let folder = "\(path)/\(message.prefix(2))/\(message)"
                try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
                give("\(path)/\(message.prefix(2))", to: instance)
                give(folder, to: instance)
                try content.write(toFile: "\(folder)/message", atomically: false, encoding: .utf8)
                for (id, text) in envelopes {
                    try text.write(toFile: "\(folder)/\(message)\(id)", atomically: false, encoding: .utf8)
                }
            }

            static func envelope(
                _ type: String, action: String, to: String, from: String = "alice@example.org", extra: String = ""
            ) -> String {
                """
                version: 3
                dispatcher: \(action)
                type: \(type)
                smtpname: mail.example.org
                helo: client.example.org
                hostname: client.example.org
                sockaddr: 192.0.2.7
                sender: \(from)
                rcpt: \(to)
                dest: \(to)
                ctime: \(Int(Date().timeIntervalSince1970) - 3600)
                \(extra)
                """.trimmingCharacters(in: .newlines) + "\n"
            }
        }

        @Test func `the queue of another server goes on here`() throws {
            let instance = try Instance()
            let sink = try Sink(instance)
            try instance.start(instance.usual(relay: instance.relay(to: sink)))
            #expect(try instance.control("pause", "mta").status == 0)
            let person = instance.people[0]
            let queue = try LegacyQueue(instance)
            try queue.add(
                instance, message: "4f2a91c3", content: "Subject: old\n\nfirst\n.\nlast\n",
                envelopes: [
                    ("00000001", LegacyQueue.envelope("mta", action: "out", to: "bob@example.com", extra: "retry: 2")),
                    (
                        "00000002",
                        LegacyQueue.envelope(
                            "mda", action: "local", to: "\(person)@example.org", extra: "mda-user: \(person)")
                    ),
                    (
                        "00000003",
                        LegacyQueue.envelope(
                            "mda", action: "local", to: "x@example.org", extra: "mda-exec: rm -rf /\nmda-user: x")
                    ),
                ])
            try queue.add(
                instance, message: "4f000001", content: "Subject: failed\n\nx\n",
                envelopes: [
                    (
                        "00000001",
                        LegacyQueue.envelope(
                            "bounce", action: "out", to: "carol@example.com", from: "\(person)@example.org",
                            extra: "errorline: 550 5.1.1 No such user\nbounce-type: failed")
                    )
                ])
            try queue.add(
                instance, message: "50000001", content: "Subject: bad\n\nx\n",
                envelopes: [
                    ("00000001", "version: 3\ntype: mta\nnonsense: 1\n"),
                    ("00000002", LegacyQueue.envelope("mta", action: "gone", to: "bob@example.com")),
                ])
            let result = try instance.control("discover", queue.path)
            #expect(result.status == 1)
            #expect(result.output.contains("3 envelopes discovered"), "\(result.output)\(result.errors)")
            #expect(result.errors.contains("let it go out there"))
            #expect(result.errors.contains("unknown field nonsense"))
            #expect(result.errors.contains("no such action: gone"))
            // The one for a mailbox has arrived, and the sender of the failed one hears of it.
            #expect(instance.mailbox(person).waitForMessages(2))
            let messages = instance.mailbox(person).messages
            #expect(messages.contains { $0.messageBody == "first\n.\nlast\n" }, "\(messages)")
            #expect(messages.contains { $0.contains("No such user") && $0.contains("carol@example.com") })
            let line = try #require(try instance.queueLines().first)
            let fields = line.split(separator: "|", omittingEmptySubsequences: false)
            #expect(fields[5] == "bob@example.com" && fields[10] == "2" && fields[1] == "inet4")
            #expect((Int(fields[7]) ?? 0) < Int(Date().timeIntervalSince1970) - 3000)
            // What came is moved aside, so that it comes once.
            let aside = "\(queue.path).imported/4f2a91c3"
            #expect(FileManager.default.fileExists(atPath: "\(aside)/4f2a91c300000001"))
            #expect(!FileManager.default.fileExists(atPath: "\(aside)/message"))
            #expect(FileManager.default.fileExists(atPath: "\(queue.path)/4f/4f2a91c3/4f2a91c300000003"))
            #expect(!FileManager.default.fileExists(atPath: "\(queue.path)/4f/4f000001"))
            #expect(try instance.control("discover", queue.path).output == "0 envelopes discovered\n")
            try instance.crash()
            try instance.start()
            #expect(try instance.control("schedule", "all").status == 0)
            #expect(sink.waitForMessages(1))
            #expect(try instance.isQueueEmpty())
            try instance.stop()
        }

        @Test func `a message that is larger than memory comes in pieces`() throws {
            let instance = try Instance()
            let sink = try Sink(instance)
            try instance.start(instance.usual(relay: instance.relay(to: sink)))
            let queue = try LegacyQueue(instance)
            let body = (0..<20_000).map { "\($0) " + String(repeating: "x", count: 60) }.joined(separator: "\n")
            try queue.add(
                instance, message: "00000001", content: "Subject: large\n\n\(body)\n",
                envelopes: [("00000001", LegacyQueue.envelope("mta", action: "out", to: "bob@example.com"))])
            #expect(try instance.control("discover", queue.path).status == 0)
            #expect(sink.waitForMessages(1))
            let content = try #require(sink.contents().first).replacingOccurrences(of: "\r\n", with: "\n")
            #expect(content.messageBody == body + "\n")
            try instance.stop()
        }
    }
}
