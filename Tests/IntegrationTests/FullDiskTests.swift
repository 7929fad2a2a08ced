// SPDX-License-Identifier: ISC

import Foundation
import Glibc
import Testing

extension WholeHouse.Private {
    struct FullDisks {
        /// Whether a message is taken now; a refusal is no mistake yet.
        private func isTaken(by instance: Instance) throws -> Bool {
            let client = try instance.client()
            guard client.reply()?.hasPrefix("220") == true else { return false }
            let dialogue = [
                ("HELO client.example.org", "250"), ("MAIL FROM:<alice@example.org>", "250"),
                ("RCPT TO:<bob@example.com>", "250"), ("DATA", "354"), ("Subject: after\r\n\r\nbody\r\n.", "250"),
            ]
            for (line, code) in dialogue {
                client.send(line)
                guard client.reply()?.hasPrefix(code) == true else { return false }
            }
            return true
        }

        @Test func `a full disk refuses new mail for the time being and loses none`() throws {
            let instance = try Instance()
            let owner = try #require(Host.account("_martletq"))
            try FileManager.default.createDirectory(atPath: instance.spool, withIntermediateDirectories: true)
            let options = "mode=700,uid=\(owner.uid),gid=\(owner.gid),size=192m"
            let mounted = try Program.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", instance.spool])
            try #require(mounted.status == 0, "\(mounted.errors)")
            defer { umount2(instance.spool, Int32(MNT_DETACH)) }
            let port = try Host.freePort()
            try instance.start(instance.usual(relay: "host smtp://127.0.0.1:\(port)"))
            #expect(try instance.control("pause", "mta").status == 0)
            let pids = instance.pids()

            // What is not Martlet's fills the disk.
            let filler = "\(instance.spool)/filler"
            var content = [UInt8](repeating: 0, count: 1 << 20)
            content[0] = 1
            let descriptor = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
            while write(descriptor, content, content.count) == content.count {}
            close(descriptor)

            var accepted = 0
            var refusal: String?
            let text = String(repeating: String(repeating: "x", count: 70) + "\r\n", count: 3_000)
            let client = try instance.client()
            try client.greet()
            for _ in 1...400 where refusal == nil {
                client.send("MAIL FROM:<alice@example.org>")
                let mail = try #require(client.reply())
                guard mail.hasPrefix("250") else {
                    refusal = mail
                    break
                }
                try client.say("RCPT TO:<bob@example.com>", "250")
                client.send("DATA")
                let data = try #require(client.reply())
                guard data.hasPrefix("354") else {
                    refusal = data
                    break
                }
                client.send(bytes: Array("Subject: \(accepted + 1)\r\n\r\n\(text)".utf8))
                client.send(".")
                let end = try #require(client.reply())
                if end.hasPrefix("250") { accepted += 1 } else { refusal = end }
            }
            let reason = try #require(refusal, "nothing was refused after \(accepted) messages")
            #expect(reason.hasPrefix("452"), "\(reason)")
            #expect(instance.pids() == pids, "\(instance.lastWords)")

            // What was reserved is for outcomes: mail leaves a full disk, and what has left does not come back, not even
            // to a process that starts on it.
            let sink = try Sink(instance, port: port)
            try instance.control("resume", "mta")
            #expect(sink.waitForMessages(accepted, seconds: 60), "\(sink.messages.count) of \(accepted)")
            #expect(try instance.isQueueEmpty())
            // It answers when all outcomes are on the disk, which is a second later at the latest.
            let account = try instance.control("audit")
            #expect(account.status == 0, "\(account.errors)")
            #expect(try instance.crash())
            try instance.start()
            #expect(try instance.isQueueEmpty(), "\(instance.lastWords)")

            // After room is made it goes on.
            unlink(filler)
            let isAccepting = eventually { (try? isTaken(by: instance)) == true }
            #expect(isAccepting, "\(instance.lastWords)")
            if isAccepting { accepted += 1 }
            #expect(sink.waitForMessages(accepted, seconds: 60), "\(sink.messages.count) of \(accepted)")
            #expect(try instance.isQueueEmpty())
            #expect(Set(sink.contents().compactMap { $0.headerField("Subject") }).count == accepted)
            #expect(sink.messages.count == accepted)
            try instance.stop()
        }
    }
}
