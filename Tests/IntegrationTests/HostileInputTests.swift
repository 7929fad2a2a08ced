// SPDX-License-Identifier: ISC

import Foundation
import Glibc
import Testing

extension WholeHouse.Unprivileged {
    /// Whatever comes over a socket, one client may suffer by it, and no process.
    struct HostileInput {
        private struct Noise: RandomNumberGenerator {
            var state: UInt64
            mutating func next() -> UInt64 {
                state ^= state << 13
                state ^= state >> 7
                state ^= state << 17
                return state
            }
        }

        private static func noise(_ count: Int, seed: UInt64) -> [UInt8] {
            var generator = Noise(state: seed)
            return (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
        }

        private static let hello: [UInt8] =
            [0x16, 3, 1, 0, 0x7F, 1, 0, 0, 0x7B, 3, 3] + noise(32, seed: 99) + [0] + [0, 2, 0x13, 1, 1, 0]

        private static let dialogues: [(name: String, bytes: [UInt8])] = [
            ("random bytes", noise(200_000, seed: 1)),
            ("zeros", [UInt8](repeating: 0, count: 100_000)),
            ("TLS", hello),
            ("HTTP", Array("GET / HTTP/1.1\r\nHost: example.org\r\nUser-Agent: x\r\n\r\n".utf8)),
            ("a line without end", [UInt8](repeating: UInt8(ascii: "x"), count: 1 << 20)),
            ("line feeds", [UInt8](repeating: 10, count: 100_000)),
            ("commands out of order", Array(String(repeating: "RCPT TO:<a@b>\r\nDATA\r\n.\r\n", count: 500).utf8)),
            (
                "a header without end",
                Array("EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<bin@example.org>\r\nDATA\r\n".utf8)
                    + [UInt8](repeating: UInt8(ascii: "x"), count: 1 << 20)
            ),
        ]

        @Test func `more clients than descriptors are told so, and those that are in go on`() throws {
            let instance = try Instance()
            instance.descriptorLimit = 256
            try instance.start(instance.usual())
            let pids = instance.pids()
            let first = try instance.client()
            try first.greet()
            // Two workers of at most 192 clients each.
            var crowd: [SMTPClient] = []
            for _ in 0..<500 {
                if let client = try? instance.client() { crowd.append(client) }
            }
            #expect(crowd.count > 300)
            let replies = crowd.map { String($0.reply()?.prefix(10) ?? "nothing") }
            #expect(Set(replies.map { $0.prefix(4) == "220 " ? "220 " : $0 }) == ["220 ", "421 4.3.2 "])
            try first.submit(
                from: "alice@example.org", to: ["\(instance.people[0])@example.org"], "Subject: x\n\nbody")
            #expect(instance.mailbox(instance.people[0]).waitForMessages(1))
            crowd.removeAll()
            let isServed = eventually(within: 60) {
                // Until the crowd is gone, a client is told to come again.
                guard let client = try? instance.client() else { return false }
                return client.reply()?.hasPrefix("220 ") == true
            }
            #expect(isServed)
            #expect(instance.pids() == pids, "\(instance.lastWords)")
            try instance.stop()
        }

        @Test func `replies that nobody reads are not made`() throws {
            let instance = try Instance()
            try instance.start(instance.usual())
            let listeners = instance.daemons().filter { $0.role == "listener" }
            func peaks() -> Int { listeners.reduce(0) { $0 + ($1.peakMemory() ?? 0) } }
            let before = peaks()
            // 32 KB of this, as much as is read at a time, ask for 1.5 MB of replies; the system takes some MB of them.
            let commands = Array(String(repeating: "EHLO a\r\n", count: 40_000).utf8)
            var deaf: [SMTPClient] = []
            for _ in 0..<12 {
                let client = try instance.client()
                #expect(client.reply()?.hasPrefix("220 ") == true)
                client.send(bytes: commands, seconds: 0.5)
                deaf.append(client)
            }
            for _ in 0..<8 {
                let client = try instance.client()
                try client.greet()
                try client.say("QUIT", "221")
            }
            // Twice the high water and the input, each; all that is asked for would be twice as much again.
            #expect(peaks() - before < deaf.count << 20)
            try instance.stop()
        }

        @Test func `noise on the SMTP port harms nobody else`() throws {
            let instance = try Instance()
            try instance.start(instance.usual())
            let pids = instance.pids()
            for (name, bytes) in Self.dialogues {
                let noisy = try instance.client()
                noisy.send(bytes: bytes, seconds: 10)
                let other = try instance.client()
                try other.greet()
                try other.say("QUIT", "221")
                noisy.finishSending()
                #expect(noisy.isClosed(within: 60), "\(name) is still being listened to")
            }
            #expect(instance.pids() == pids, "\(instance.lastWords)")
            try instance.submit(to: ["\(instance.people[0])@example.org"])
            #expect(instance.mailbox(instance.people[0]).waitForMessages(1))
            try instance.stop()
        }

        @Test func `no header makes a worker look as if it had been taken over`() throws {
            let instance = try Instance()
            try instance.start(instance.usual())
            let pids = instance.pids()
            let bystanders = try (0..<6).map { _ in try instance.client() }
            for bystander in bystanders { try bystander.greet() }
            let person = "\(instance.people[0])@example.org"
            let list = String(repeating: "a,", count: 32_000)
            let client = try instance.client()
            try client.greet()
            try client.submit(
                from: "a@example.org", to: [person], String(repeating: "To:a\n", count: 6000) + "\nbody",
                expecting: "550 5.7.1")
            try client.submit(from: "a@example.org", to: [person], "To: \(list)\nCc: \(list)\n\nbody")
            for bystander in bystanders { try bystander.say("NOOP", "250") }
            #expect(instance.mailbox(instance.people[0]).waitForMessages(1))
            #expect(instance.pids() == pids, "\(instance.lastWords)")
            try instance.stop()
        }

        @Test func `who was refused cannot stay, and who was told to go cannot stay long`() throws {
            let instance = try Instance()
            try instance.start(
                "smtp limit max-session-per-source 1\n"
                    + instance.usual().replacing(
                        "port \(instance.port)", with: "port \(instance.port) proxy-from 127.0.0.1"))
            var (served, others): ([SMTPClient], [SMTPClient]) = ([], [])
            for _ in 0..<50 {
                let client = try instance.client()
                client.send("PROXY TCP4 192.0.2.9 127.0.0.1 4000 25")
                let reply = try #require(client.reply())
                if reply.hasPrefix("220 ") { served.append(client) } else { others.append(client) }
            }
            // One for each of the two listeners, at most.
            #expect((1...2).contains(served.count) && others.count >= 48)
            let web = try instance.client()
            web.send("PROXY TCP4 198.51.100.7 127.0.0.1 4000 25")
            try web.expect("220 ")
            try web.say("GET / HTTP/1.1", "5")
            others.append(web)
            let areGone = try eventually(within: 40) {
                for client in others { client.send(bytes: [0x78], seconds: 1) }
                return try instance.control("show", "stats").lines.contains("smtp.session=\(served.count)")
            }
            #expect(areGone, "\(instance.lastWords)")
            for client in served { try client.say("NOOP", "250") }
            try instance.stop()
        }

        @Test func `noise on the local sockets closes that client only`() throws {
            let instance = try Instance()
            try instance.start(instance.usual())
            let pids = instance.pids()
            let names = try FileManager.default.contentsOfDirectory(atPath: instance.controlDirectory).sorted()
            #expect(names.count >= 8)
            var frames = Self.dialogues.map(\.bytes)
            // A frame that announces more than there may ever be, and one that is too short.
            frames += [
                [0xFF, 0xFF, 0xFF, 0xFF, 1], [0, 0, 0, 0], [13, 0, 0, 0, 0xEE] + [UInt8](repeating: 0, count: 8),
            ]
            for path in names.map({ "\(instance.controlDirectory)/\($0)" }) + ["\(instance.directory)/run/submit"] {
                for bytes in frames {
                    let noisy = try SMTPClient(path: path)
                    noisy.send(bytes: bytes, seconds: 10)
                    noisy.finishSending()
                    #expect(noisy.isClosed(within: 60), "\(path) still listens")
                }
                #expect(try instance.control("show", "status").status == 0)
            }
            #expect(instance.pids() == pids, "\(instance.lastWords)")
            try instance.submit(to: ["\(instance.people[0])@example.org"])
            #expect(instance.mailbox(instance.people[0]).waitForMessages(1))
            try instance.stop()
        }
    }
}
