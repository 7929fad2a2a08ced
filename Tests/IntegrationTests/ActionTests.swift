// SPDX-License-Identifier: ISC

import Foundation
import Glibc
import Testing

extension WholeHouse.Unprivileged {
    /// Actions that run a command.
    struct CommandActions {
        private func configuration(_ instance: Instance, _ action: String, extra: String = "") -> String {
            """
            listen on 127.0.0.1 port \(instance.port)
            \(extra)
            action "box" mda \(action)
            action "notices" \(instance.maildirMethod)
            match for domain "example.org" action "box"
            match for domain "example.net" action "notices"

            """
        }

        /// A directory that everybody may write to.
        private func box(_ instance: Instance) throws -> String {
            let path = "\(instance.directory)/box"
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            chmod(path, 0o777)
            return path
        }

        private func text(_ path: String) -> String { (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }

        @Test func `a command gets the message as the user, and a wrapper goes around it`() throws {
            let instance = try Instance()
            let box = try box(instance)
            let person = instance.people[1]
            try instance.start(
                configuration(
                    instance, "\"cat > \(box)/message; id -un > \(box)/who; env > \(box)/env\" wrapper low",
                    extra: "mda wrapper low \"umask 027; %{mda}; echo $? %{user.username} > \(box)/wrapped\""))
            try instance.submit(to: ["\(person)+tag@example.org"], "Subject: hello\n\nto a command")
            #expect(try instance.isQueueEmpty(within: 60), "\(instance.queueText) \(instance.lastWords)")
            #expect(text("\(box)/message").messageBody == "to a command\n")
            #expect(text("\(box)/wrapped") == "0 \(person)\n")
            let lines = Set(text("\(box)/env").split(separator: "\n").map(String.init))
            for line in ["EXTENSION=tag", "USER=\(person)", "SENDER=alice@example.org", "LOCAL=\(person)+tag"] {
                #expect(lines.contains(line), "\(lines)")
            }
            if instance.isSeparated {
                #expect(text("\(box)/who") == "\(person)\n")
                #expect(lines.contains("HOME=\(try #require(Host.account(person)).home)"))
            }
            try instance.stop()
        }

        @Test func `what a command says when it fails is told to the sender`() throws {
            let instance = try Instance()
            let sender = instance.people[0]
            try instance.start(
                configuration(instance, "\"cat > /dev/null; echo 'no room, \\\"quoted\\\"' >&2; exit 73\""))
            try instance.submit(from: "\(sender)@example.net", to: ["\(instance.people[1])@example.org"])
            #expect(instance.mailbox(sender).waitForMessages(1, seconds: 60), "\(instance.lastWords)")
            #expect(instance.mailbox(sender).messages[0].contains("cannot create user output file: \"no room"))
            #expect(try instance.isQueueEmpty())
            try instance.stop()
        }

        @Test func `no more commands of a user run than the configuration has it`() throws {
            let instance = try Instance()
            let box = try box(instance)
            let person = instance.people[1]
            try instance.start(
                configuration(
                    instance,
                    "\"mkdir \(box)/run.$$; ls -d \(box)/run.* | wc -l >> \(box)/counts; cat > /dev/null; rmdir \(box)/run.$$\"",
                    extra: "mda limit max-session-per-user 2"))
            try instance.control("pause", "mda")
            for _ in 1...12 { try instance.submit(to: ["\(person)@example.org"]) }
            try instance.control("resume", "mda")
            #expect(try instance.isQueueEmpty(within: 90), "\(instance.queueText) \(instance.lastWords)")
            let counts = text("\(box)/counts").split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
            #expect(counts.count == 12)
            #expect(counts.allSatisfy { $0 <= 2 }, "\(counts)")
            try instance.stop()
        }

        @Test func `no more users are delivered to at a time than the configuration has it, and all have their turn`()
            throws
        {
            let instance = try Instance()
            let box = try box(instance)
            let people = Array(instance.people.prefix(6))
            try instance.start(
                configuration(
                    instance,
                    "\"mkdir \(box)/run.$$; ls -d \(box)/run.* | wc -l >> \(box)/counts.%{user.username}; cat > /dev/null; rmdir \(box)/run.$$\"",
                    extra: "mda limit max-session 2 max-session-per-user 1"))
            try instance.control("pause", "mda")
            for _ in 1...3 { try instance.submit(to: people.map { "\($0)@example.org" }) }
            try instance.control("resume", "mda")
            #expect(try instance.isQueueEmpty(within: 90), "\(instance.queueText) \(instance.lastWords)")
            let counts = people.flatMap { person in
                text("\(box)/counts.\(person)").split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
            }
            #expect(counts.count == 18)
            #expect(counts.allSatisfy { $0 <= 2 }, "\(counts)")
            try instance.stop()
        }

        @Test func `a new configuration has its command run by the next message`() throws {
            let instance = try Instance()
            let box = try box(instance)
            let person = instance.people[1]
            try instance.start(configuration(instance, "\"cat > /dev/null; echo one >> \(box)/out\""))
            try instance.submit(to: ["\(person)@example.org"])
            #expect(try instance.isQueueEmpty(within: 60), "\(instance.lastWords)")
            try instance.write(configuration(instance, "\"cat > /dev/null; echo two >> \(box)/out\""))
            let reloaded = try instance.control("reload")
            #expect(reloaded.status == 0, "\(reloaded.errors)")
            try instance.submit(to: ["\(person)@example.org"])
            #expect(try instance.isQueueEmpty(within: 60), "\(instance.lastWords)")
            #expect(text("\(box)/out") == "one\ntwo\n")
            try instance.stop()
        }

        /// Local parts as only an attacker writes them.
        private static let hostile = [
            "\"a;touch BOX/evil;b\"", "\"`touch BOX/evil`\"", "\"$(touch BOX/evil)\"", "\"|touch BOX/evil\"",
            "\"a b\"", "\"%{sender}\"", "\"%{user.directory}\"", "../../evil", "\"../../evil\"", "..\"\"",
            "\"a\\\"b\"", "\"a\\\\b\"", "'a'", "~root", "\"-rf /\"", "a&b", "a{b,c}", "a*b?", "\">BOX/evil\"", "!a",
            "#a", "$IFS", "a=b", "\"a'b\"",
        ]

        @Test func `what a remote party writes into an address is text for a command, nothing more`() throws {
            let instance = try Instance()
            let box = try box(instance)
            let person = instance.people[1]
            try instance.start(
                """
                listen on 127.0.0.1 port \(instance.port)
                table all { "@" = "\(person)" }
                action "box" mda "cat > /dev/null; printf '<%%s>\\n' %{rcpt.user} %{dest.user} >> \(box)/out" virtual <all>
                match for any action "box"

                """)
            let client = try instance.client()
            try client.greet()
            var taken = 0
            for user in Self.hostile {
                try client.say("MAIL FROM:<alice@example.org>", "250")
                let recipient = user.replacingOccurrences(of: "BOX", with: box)
                client.send("RCPT TO:<\(recipient)@example.org>")
                let reply = try #require(client.reply())
                guard reply.hasPrefix("250") else {
                    try client.say("RSET", "250")
                    continue
                }
                taken += 1
                try client.say("DATA", "354")
                try client.say("Subject: x\r\n\r\nx\r\n.", "250")
            }
            try client.say("QUIT", "221")
            #expect(taken > 15)
            #expect(try instance.isQueueEmpty(within: 90), "\(instance.queueText) \(instance.lastWords)")
            #expect(access("\(box)/evil", F_OK) != 0)
            let lines = text("\(box)/out").split(separator: "\n")
            #expect(lines.count == 2 * taken, "\(lines)")
            let harmless = Set("@._+=/-:<>".utf8)
            for line in lines {
                #expect(
                    line.utf8.allSatisfy { byte in
                        harmless.contains(byte) || (48...57).contains(byte) || (97...122).contains(byte | 0x20)
                    }, "\(line)")
            }
            try instance.stop()
        }

        /// A process that nobody has waited for yet does not.
        private static func runs(_ pid: Int32) -> Bool {
            let text = (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)) ?? ""
            return !text.isEmpty && text.split(separator: " ").dropFirst(2).first != "Z"
        }

        @Test func `commands that never read, leave children or fill their output hold up nobody else`() throws {
            let instance = try Instance()
            let box = try box(instance)
            try instance.start(
                """
                listen on 127.0.0.1 port \(instance.port)
                action "deaf" mda "echo $$ > \(box)/pid; exec sleep 600"
                action "children" mda "(sleep 600 & echo $! > \(box)/child) ; cat > /dev/null"
                action "loud" mda "cat > /dev/null; head -c 30000000 /dev/zero; exit 1"
                action "good" \(instance.maildirMethod)
                match for domain "deaf.example" action "deaf"
                match for domain "children.example" action "children"
                match for domain "loud.example" action "loud"
                match for domain "example.org" action "good"

                """)
            let (sender, one) = (instance.people[0], instance.people[1])
            let large = "Subject: large\n\n" + String(repeating: "0123456789abcde\n", count: 20_000)
            try instance.submit(from: "\(sender)@example.org", to: ["\(one)@deaf.example"], large)
            try instance.submit(from: "\(sender)@example.org", to: ["\(one)@children.example"], large)
            try instance.submit(from: "\(sender)@example.org", to: ["\(one)@loud.example"], large)
            try instance.submit(from: "\(sender)@example.org", to: ["\(one)@example.org"])
            #expect(instance.mailbox(one).waitForMessages(1, seconds: 60), "\(instance.lastWords)")
            #expect(instance.mailbox(sender).waitForMessages(1, seconds: 60), "\(instance.lastWords)")
            #expect(instance.mailbox(sender).messages[0].contains("loud.example"))
            // Only the deaf one is still there.
            let isAlone = try eventually(within: 60) { try instance.queueLines().count == 1 }
            #expect(isAlone, "\(instance.queueText)")
            #expect(instance.queueText.contains("deaf.example"))
            if let child = Int32(text("\(box)/child").trimmingCharacters(in: .whitespacesAndNewlines)) {
                kill(child, SIGKILL)
            }
            try instance.stop()
            // Who stops Martlet ends its agents with all that they have started.
            let pid = try #require(Int32(text("\(box)/pid").trimmingCharacters(in: .whitespacesAndNewlines)))
            #expect(eventually(within: 30) { !Self.runs(pid) })
        }
    }
}

extension WholeHouse.Unprivileged {
    /// Two of the representative configurations, with real mail.
    struct SampleConfigurations {
        @Test func `a forwarded message leaves with a sender of this host, and its bounce finds the way back`() throws {
            let instance = try Instance()
            let sink = try Sink(instance)
            try instance.start(
                """
                srs key "correct horse"
                listen on 127.0.0.1 port \(instance.port)
                table forwards { "bob" = "bob@example.com", "both" = "bob@example.com, carol@example.com" }
                action "local" \(instance.maildirMethod) alias <forwards>
                action "f" relay host smtp://127.0.0.1:\(sink.port) srs
                match for domain "example.org" action "local"
                match for any action "f"

                """)
            try instance.submit(from: "alice@example.net", to: ["bob@example.org", "direct@example.com"])
            #expect(sink.waitForMessages(2), "\(instance.lastWords)")
            let rewritten = try #require(sink.messages.first { $0.contains("to=bob@example.com") })
            let direct = try #require(sink.messages.first { $0.contains("to=direct@example.com") })
            // What was not forwarded keeps its sender.
            #expect(direct.contains("from=<alice@example.net>"))
            let start = try #require(rewritten.range(of: "from=<")).upperBound
            let address = String(rewritten[start...].prefix { $0 != ">" })
            #expect(address.hasPrefix("SRS0=") && address.hasSuffix("=example.net=alice@example.org"), "\(address)")
            // Recipients of one message who were addressed in the same way share a transaction.
            try instance.submit(from: "alice@example.net", to: ["both@example.org"])
            #expect(sink.waitForMessages(3))
            #expect(sink.messages[2].contains(",") && sink.messages[2].contains("from=<SRS0="))

            try instance.submit(from: "", to: [address], "Subject: bounce\n\nback")
            #expect(sink.waitForMessages(4), "\(instance.lastWords)")
            #expect(sink.messages[3].contains("from=<> to=alice@example.net"))
            #expect(try instance.isQueueEmpty())

            // Mail with a sender is no bounce, and an address of somebody else's making is nobody's.
            let client = try instance.client()
            try client.greet()
            try client.say("MAIL FROM:<alice@example.net>", "250")
            try client.say("RCPT TO:<\(address)>", "550")
            try client.say("RSET", "250")
            try client.say("MAIL FROM:<>", "250")
            let index = address.index(address.startIndex, offsetBy: 5)
            let other = address[index] == "A" ? "B" : "A"
            try client.say("RCPT TO:<\(address.replacingCharacters(in: index...index, with: other))>", "550")
            try client.say("QUIT", "221")
            #expect(instance.log.wait(for: "not signed by this host") != nil)
            try instance.stop()
        }

        @Test func `virtual addresses find their people in the order of the manual`() throws {
            let instance = try Instance()
            let person = instance.isSeparated ? Host.account("user031") : Host.account("nobody")
            let uid = instance.isSeparated || instance.owner != nil ? try #require(person).uid : geteuid()
            let gid = instance.isSeparated || instance.owner != nil ? try #require(person).gid : getegid()
            let home = "\(instance.directory)/v"
            for name in ["alice", "bob", "carol", "dave", "erin", "postmaster"] {
                try FileManager.default.createDirectory(
                    atPath: "\(home)/\(name)", withIntermediateDirectories: true)
                chown("\(home)/\(name)", uid, gid)
            }
            try instance.start(
                """
                table v { "info@a.org" = "alice", "info+jobs@a.org" = "carol", "dave+x" = "alice", "dave" = "dave", "erin" = "erin", \
                "@a.org" = "bob", "@" = "postmaster" }
                table ub { alice = "\(uid):\(gid):\(home)/alice", bob = "\(uid):\(gid):\(home)/bob", \
                carol = "\(uid):\(gid):\(home)/carol", erin = "\(uid):\(gid):\(home)/erin", dave = "\(uid):\(gid):\(home)/dave", \
                postmaster = "\(uid):\(gid):\(home)/postmaster" }
                listen on 127.0.0.1 port \(instance.port)
                action v maildir "~/Mail/%{dest.domain:lowercase}" virtual <v> userbase <ub>
                match for domain { "a.org", "b.org" } action v

                """)
            let expected = [
                ("info@A.org", "alice/Mail/a.org"), ("INFO+jobs@a.org", "carol/Mail/a.org"),
                ("info+other@a.org", "alice/Mail/a.org"), ("dave+x@a.org", "alice/Mail/a.org"),
                ("dave+y@b.org", "dave/Mail/b.org"), ("whoever@a.org", "bob/Mail/a.org"),
                ("whoever@b.org", "postmaster/Mail/b.org"),
            ]
            var counts: [String: Int] = [:]
            for (recipient, place) in expected {
                try instance.submit(to: [recipient], "Subject: for \(recipient)\n\nx")
                counts[place, default: 0] += 1
            }
            #expect(try instance.isQueueEmpty(within: 60), "\(instance.queueText) \(instance.lastWords)")
            for (place, count) in counts { #expect(Maildir("\(home)/\(place)").count == count, "\(place)") }
            // A user of a table has a ~/.forward in the home that the table says.
            let forward = "\(home)/erin/.forward"
            try "\\erin, bob\n".write(toFile: forward, atomically: true, encoding: .utf8)
            chmod(forward, 0o600)
            chown(forward, uid, gid)
            try instance.submit(to: ["erin@a.org"])
            #expect(try instance.isQueueEmpty(within: 60), "\(instance.queueText) \(instance.lastWords)")
            #expect(Maildir("\(home)/erin/Mail/a.org").count == 1, "\(instance.lastWords)")
            #expect(Maildir("\(home)/bob/Mail/a.org").count == 2, "\(instance.lastWords)")
            try instance.stop()
        }
    }
}

extension WholeHouse.Private {
    /// Actions that deliver as another user than the recipient.
    struct DeliveriesAsOne {
        @Test func `one user writes into the homes of those whom a table knows, and each gets the own mail`() throws {
            let instance = try Instance()
            let owner = try #require(Host.account("user061"))
            let home = "\(instance.directory)/v"
            for name in ["ann", "ben"] {
                try FileManager.default.createDirectory(atPath: "\(home)/\(name)", withIntermediateDirectories: true)
                chown("\(home)/\(name)", owner.uid, owner.gid)
            }
            // The numbers of the table are not those of the one who delivers.
            try instance.start(
                """
                listen on 127.0.0.1 port \(instance.port)
                table ub { ann = "65001:65001:\(home)/ann", ben = "65002:65002:\(home)/ben" }
                action "boxes" maildir "~/Maildir" userbase <ub> user "user061"
                action "words" mda "cat > /dev/null; echo $USER $HOME %{user.username} %{user.directory} > \(home)/ann/out" \
                userbase <ub> user "user061"
                match for domain "example.org" action "boxes"
                match for domain "example.net" action "words"

                """)
            try instance.submit(to: ["ann@example.org", "ben@example.org", "ann@example.net"])
            #expect(try instance.isQueueEmpty(within: 60), "\(instance.queueText) \(instance.lastWords)")
            for name in ["ann", "ben"] {
                let messages = Maildir("\(home)/\(name)/Maildir").messages
                #expect(messages.map { $0.headerField("Delivered-To") } == ["\(name)@example.org"])
                var status = stat()
                #expect(stat("\(home)/\(name)/Maildir/new", &status) == 0 && status.st_uid == owner.uid)
            }
            let words = try String(contentsOfFile: "\(home)/ann/out", encoding: .utf8)
            #expect(words == "user061 \(owner.home) ann \(home)/ann\n")
            try instance.stop()
        }
    }

    /// What stands where a mailbox should be.
    struct HostileMailboxes {
        @Test func `a mailbox that is none keeps its mail waiting, and nobody else's`() throws {
            let instance = try Instance()
            let (file, fifo, dangling, good) = ("user041", "user042", "user043", "user044")
            for person in [file, fifo, dangling] {
                try? FileManager.default.removeItem(atPath: instance.maildir(person))
            }
            try "".write(toFile: instance.maildir(file), atomically: true, encoding: .utf8)
            mkfifo(instance.maildir(fifo), 0o666)
            symlink("/etc", instance.maildir(dangling))
            defer { for person in [file, fifo, dangling] { unlink(instance.maildir(person)) } }
            try instance.start(instance.usual())
            try instance.submit(to: [file, fifo, dangling, good].map { "\($0)@example.org" })
            #expect(instance.mailbox(good).waitForMessages(1, seconds: 60), "\(instance.lastWords)")
            let areThree = try eventually(within: 60) {
                try instance.queueLines().count == 3 && instance.log.lines(containing: "result=TempFail").count >= 3
            }
            #expect(areThree, "\(instance.queueText) \(instance.lastWords)")
            for person in [file, fifo, dangling] { unlink(instance.maildir(person)) }
            try instance.control("schedule", "all")
            for person in [file, fifo, dangling] {
                #expect(instance.mailbox(person).waitForMessages(1, seconds: 60), "\(person) \(instance.lastWords)")
            }
            #expect(try instance.isQueueEmpty())
            try instance.stop()
        }

        @Test func `an mbox that is a link, a directory, a pipe or somebody else's is not written to`() throws {
            let instance = try Instance()
            let people = ["user045", "user046", "user047", "user048", "user049"]
            let boxes = people.map { "/var/mail/\($0)" }
            let secret = "\(instance.directory)/secret"
            try "secret\n".write(toFile: secret, atomically: true, encoding: .utf8)
            chmod(secret, 0o666)
            symlink(secret, boxes[0])
            mkdir(boxes[1], 0o777)
            mkfifo(boxes[2], 0o666)
            try "".write(toFile: boxes[3], atomically: true, encoding: .utf8)
            chmod(boxes[3], 0o666)
            defer {
                for box in boxes { if unlink(box) != 0 { rmdir(box) } }
            }
            try instance.start(
                """
                listen on 127.0.0.1 port \(instance.port)
                action "local" mbox
                match for domain "example.org" action "local"

                """)
            try instance.submit(to: people.map { "\($0)@example.org" })
            let areFour = try eventually(within: 60) {
                try instance.queueLines().count == 4 && instance.log.lines(containing: "result=TempFail").count >= 4
            }
            #expect(areFour, "\(instance.queueText) \(instance.lastWords)")
            #expect(try String(contentsOfFile: secret, encoding: .utf8) == "secret\n")
            #expect(try String(contentsOfFile: boxes[3], encoding: .utf8) == "")
            #expect(try String(contentsOfFile: boxes[4], encoding: .utf8).hasPrefix("From alice@example.org"))
            for box in boxes.prefix(4) { if unlink(box) != 0 { rmdir(box) } }
            try instance.control("schedule", "all")
            #expect(try instance.isQueueEmpty(within: 60), "\(instance.queueText) \(instance.lastWords)")
            try instance.stop()
        }

        @Test func `an mbox that others have locked fills no memory, and gets its mail when it is free`() throws {
            let instance = try Instance()
            let person = "user051"
            let box = "/var/mail/\(person)"
            let lock = "\(box).lock"
            try "1".write(toFile: lock, atomically: true, encoding: .utf8)
            defer { for path in [box, lock] { unlink(path) } }
            try instance.start(
                """
                listen on 127.0.0.1 port \(instance.port)
                action "local" mbox
                match for domain "example.org" action "local"

                """)
            let line = String(repeating: "0123456789abcde", count: 4) + "\n"
            let large = String(repeating: line, count: 42_000)
            for number in 1...4 {
                try instance.submit(to: ["\(person)@example.org"], "Subject: \(number)\n\n\(large)")
            }
            let isTooMuch = instance.log.wait(for: "too much mail waits for it", seconds: 60) != nil
            #expect(isTooMuch, "\(instance.lastWords)")
            let agents = instance.descendants().filter { $0.name == "martlet-mailbox" }
            #expect(!agents.isEmpty)
            for agent in agents {
                let peak = try #require(agent.peakMemory())
                #expect(peak < HouseProcess.memoryLimit, "\(peak >> 10) KB")
            }
            unlink(lock)
            let isEmpty = try eventually(within: 90) {
                try instance.control("schedule", "all")
                return try instance.isQueueEmpty(within: 1)
            }
            #expect(isEmpty, "\(instance.queueText) \(instance.lastWords)")
            let text = try String(contentsOfFile: box, encoding: .utf8)
            for number in 1...4 { #expect(text.components(separatedBy: "\nSubject: \(number)\n").count == 2) }
            #expect(text.utf8.count > 4 * large.utf8.count)
            try instance.stop()
        }

        @Test func `a full mailbox takes its mail when there is room again`() throws {
            let instance = try Instance()
            let person = "user050"
            let account = try #require(Host.account(person))
            let maildir = instance.maildir(person)
            mkdir(maildir, 0o700)
            let mounted = try Program.run([
                "mount", "-t", "tmpfs", "-o", "size=64k,mode=700,uid=\(account.uid),gid=\(account.gid)", "tmpfs",
                maildir,
            ])
            #expect(mounted.status == 0, "\(mounted.errors)")
            defer { _ = try? Program.run(["umount", "-l", maildir]) }
            try instance.start(instance.usual())
            let large = "Subject: large\n\n" + String(repeating: "0123456789abcde\n", count: 10_000)
            try instance.submit(to: ["\(person)@example.org"], large)
            #expect(instance.log.wait(for: "No space left on device", seconds: 60) != nil, "\(instance.lastWords)")
            #expect(instance.mailbox(person).count == 0)
            #expect(instance.mailbox(person).unfinished.isEmpty)
            try instance.submit(to: ["\(person)@example.org"], "Subject: small\n\nx")
            #expect(instance.mailbox(person).waitForMessages(1, seconds: 60))
            let resized = try Program.run(["mount", "-o", "remount,size=4m", maildir])
            #expect(resized.status == 0, "\(resized.errors)")
            try instance.control("schedule", "all")
            #expect(instance.mailbox(person).waitForMessages(2, seconds: 60), "\(instance.lastWords)")
            #expect(try instance.isQueueEmpty())
            try instance.stop()
        }
    }
}
