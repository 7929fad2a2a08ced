// SPDX-License-Identifier: ISC

import Foundation
import Glibc
import Testing

private let hasForeignUser = Host.account("_martletu") != nil

extension WholeHouse.Unprivileged {
    /// What aliases ask for beside names.
    @Suite(.enabled(if: hasForeignUser, "there is no user _martletu"))
    struct AliasItems {
        private func write(_ name: String, _ text: String, in instance: Instance) throws -> String {
            let path = "\(instance.directory)/\(name)"
            try text.write(toFile: path, atomically: true, encoding: .utf8)
            chmod(path, 0o644)
            return path
        }

        private func configuration(_ instance: Instance, aliases: String) -> String {
            """
            listen on 127.0.0.1 port \(instance.port)
            table people file:\(aliases)
            action "local" \(instance.maildirMethod) alias <people>
            match for domain "example.org" action "local"

            """
        }

        @Test func `an alias hands a message to a command, and a list in a file to each of its members`() throws {
            let instance = try Instance()
            let box = "\(instance.directory)/box"
            try FileManager.default.createDirectory(atPath: box, withIntermediateDirectories: true)
            chmod(box, 0o777)
            let (one, two) = (instance.people[1], instance.people[2])
            let list = try write("staff", "# all of them\n\(one), \(two)\n\n\(one)\n", in: instance)
            let aliases = try write(
                "aliases",
                """
                list: "|cat > \(box)/message; id -un > \(box)/user; echo $LOCAL, %{sender} > \(box)/words"
                file: \(box)/mbox
                busy: "|echo come again >&2; exit 75"
                staff: :include:\(list)

                """, in: instance)
            try instance.start(configuration(instance, aliases: aliases))
            try instance.submit(to: ["list@example.org", "file@example.org"], "Subject: hello\n\nto a command")
            try instance.submit(to: ["staff@example.org"], "Subject: hello\n\nto two")
            #expect(instance.mailbox(one).waitForMessages(1), "\(instance.lastWords)")
            #expect(instance.mailbox(two).waitForMessages(1))
            #expect(try instance.isQueueEmpty(), "\(instance.queueText) \(instance.lastWords)")
            #expect(instance.mailbox(one).count == 1)

            func text(_ name: String) -> String? { try? String(contentsOfFile: "\(box)/\(name)", encoding: .utf8) }
            #expect(text("message")?.messageBody == "to a command\n")
            #expect(text("message")?.headerField("Delivered-To") == "list@example.org")
            #expect(text("words") == "list, alice@example.org\n")
            #expect(text("mbox")?.hasPrefix("From alice@example.org ") == true)
            if instance.isSeparated { #expect(text("user") == "_martletu\n") }

            try instance.submit(to: ["busy@example.org"])
            #expect(
                eventually { instance.log.text.contains("temporary failure: \\\"come again\\\"") },
                "\(instance.lastWords)")
            #expect(try instance.queueLines().count == 1)
            // When the command is given up, its mail goes where the alias leads now.
            _ = try write("aliases", "busy: \(two)\n", in: instance)
            try instance.control("update", "table", "people")
            #expect(try instance.control("rematch", "all").output == "1 envelope changed\n", "\(instance.lastWords)")
            try instance.control("schedule", "all")
            #expect(instance.mailbox(two).waitForMessages(2), "\(instance.queueText) \(instance.lastWords)")
            #expect(try instance.isQueueEmpty())
            try instance.stop()
        }

        @Test func `a list that everybody may write is not read, one that is gone is empty`() throws {
            let instance = try Instance()
            let list = try write("staff", "\(instance.people[1])\n", in: instance)
            chmod(list, 0o666)
            let aliases = try write(
                "aliases", "staff: :include:\(list)\ngone: \(instance.people[1]), :include:\(list).gone\n", in: instance
            )
            try instance.start(configuration(instance, aliases: aliases))
            let client = try instance.client()
            try client.greet()
            try client.say("MAIL FROM:<alice@example.org>", "250")
            try client.say("RCPT TO:<staff@example.org>", "451")
            try client.say("RCPT TO:<gone@example.org>", "250")
            try client.say("QUIT", "221")
            #expect(eventually { instance.log.text.contains("writable by everyone") })
            try instance.stop()
        }
    }
}

extension WholeHouse.Private {
    /// What people say in ~/.forward.
    struct ForwardItems {
        @Test func `a person's command runs as that person, beside the copy in the mailbox`() throws {
            let instance = try Instance()
            let person = "user011"
            let account = try #require(Host.account(person))
            let file = "\(account.home)/.forward"
            try "\\\(person), \"|cat > got; id -un > who; id -G >> who\"\n".write(
                toFile: file, atomically: true, encoding: .utf8)
            chmod(file, 0o600)
            chown(file, account.uid, account.gid)
            defer { unlink(file) }
            try instance.start(instance.usual())
            try instance.submit(to: ["\(person)@example.org"], "Subject: hello\n\nto both")
            #expect(instance.mailbox(person).waitForMessages(1), "\(instance.lastWords)")
            #expect(try instance.isQueueEmpty(), "\(instance.lastWords)")
            #expect(instance.mailbox(person).count == 1)
            let got = try String(contentsOfFile: "\(account.home)/got", encoding: .utf8)
            #expect(got.messageBody == "to both\n")
            let who = try String(contentsOfFile: "\(account.home)/who", encoding: .utf8)
            #expect(who == "\(person)\n\(account.gid)\n")
            try instance.stop()
        }

        @Test func `mail for a command that its owner has removed is delivered by the rules of today`() throws {
            let instance = try Instance()
            let person = "user012"
            let account = try #require(Host.account(person))
            let file = "\(account.home)/.forward"
            try "\"|exit 75\"\n".write(toFile: file, atomically: true, encoding: .utf8)
            chmod(file, 0o600)
            chown(file, account.uid, account.gid)
            defer { unlink(file) }
            try instance.start(instance.usual())
            try instance.submit(to: ["\(person)@example.org"], "Subject: hello\n\nto a command")
            #expect(instance.log.wait(for: "result=TempFail") != nil, "\(instance.lastWords)")
            unlink(file)
            let isChanged = try eventually(within: 60) {
                try instance.control("rematch", "all").output == "1 envelope changed\n"
            }
            #expect(isChanged, "\(instance.queueText) \(instance.lastWords)")
            // Also what is known after a crash.
            try instance.crash()
            try instance.start()
            try instance.control("schedule", "all")
            #expect(instance.mailbox(person).waitForMessages(1), "\(instance.queueText) \(instance.lastWords)")
            #expect(try instance.isQueueEmpty())
            #expect(instance.mailbox(person).messages.first?.messageBody == "to a command\n")
            try instance.stop()
        }
    }
}
