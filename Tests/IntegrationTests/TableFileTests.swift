// SPDX-License-Identifier: ISC

import Foundation
import Testing

extension WholeHouse.Unprivileged {
    /// Files of tables and databases made of them.
    struct Tables {
        private func configuration(_ instance: Instance, _ people: String) -> String {
            """
            listen on 127.0.0.1 port \(instance.port)
            table aliases \(people)
            action "local" \(instance.maildirMethod) alias <aliases>
            match from any for domain "example.org" action "local"

            """
        }

        private func answer(_ instance: Instance, _ recipient: String) throws -> String? {
            let client = try instance.client()
            try client.greet()
            try client.say("MAIL FROM:<a@example.com>", "250")
            client.send("RCPT TO:<\(recipient)>")
            return client.reply(seconds: 60)
        }

        @Test func `a file is read again on demand, and a broken one changes nothing`() throws {
            let instance = try Instance()
            let files = try TableFiles(instance)
            let person = instance.people[0]
            let path = try files.write("people", "team: \(person)\n")
            let domains = try files.write("domains", "*.example.net\n")
            try instance.start(
                """
                table domains file:\(domains)
                \(configuration(instance, "file:\(path)"))
                match from any for domain <domains> action "local"

                """)
            #expect(try answer(instance, "team@example.org")?.hasPrefix("250") == true)
            #expect(try answer(instance, "team@a.example.net")?.hasPrefix("250") == true)
            #expect(try answer(instance, "team@example.com")?.hasPrefix("550") == true)
            try files.write("domains", "example.com\n")
            #expect(try instance.control("update", "table", "domains").status == 0)
            #expect(try answer(instance, "team@a.example.net")?.hasPrefix("550") == true)
            #expect(try answer(instance, "team@example.com")?.hasPrefix("250") == true)
            try files.write("people", "crew: \(person)\n")
            #expect(try answer(instance, "crew@example.org")?.hasPrefix("550") == true)
            #expect(try instance.control("update", "table", "aliases").output == "command succeeded\n")
            #expect(try answer(instance, "crew@example.org")?.hasPrefix("250") == true)
            #expect(try answer(instance, "team@example.org")?.hasPrefix("550") == true)
            #expect(instance.log.wait(for: "Table \"aliases\" successfully updated") != nil)
            for broken in [
                "crew: \(person)\nteam\n", "crew: a\0b\n", "crew: \(person)\r\n", "\u{7F}ELF\u{1}\u{0}\u{0}",
            ] {
                try files.write("people", broken)
                let refused = try instance.control("update", "table", "aliases")
                #expect(refused.status == 1)
                #expect(refused.errors.contains("\(path):"), "\(refused.errors)")
                #expect(try answer(instance, "crew@example.org")?.hasPrefix("250") == true)
            }
            try FileManager.default.removeItem(atPath: path)
            #expect(try instance.control("update", "table", "aliases").status == 1)
            #expect(instance.log.lines(containing: "Failed to update table \"aliases\"").count == 4)
            try instance.stop()
        }

        @Test func `mail goes on while a large table is read, and what it includes is known`() throws {
            let instance = try Instance()
            let files = try TableFiles(instance)
            let person = instance.people[0]
            let list = try files.write("members", "\(person)\n")
            let path = try files.write("people", "team: \(person)\n")
            try instance.start(
                """
                \(configuration(instance, "file:\(path)"))
                action "out" relay host smtp://127.0.0.1:9
                match for domain "lists.example.org" action "out"

                """)
            // Ten megabytes, of which the last line is what counts.
            var text = ""
            for number in 0..<200_000 { text += "nobody-of-this-host-has-a-number-like-\(number): \(person)\n" }
            let everybody = (0..<10_000).map { "member.number.\($0)@lists.example.org" }.joined(separator: ",\n  ")
            try files.write(
                "people", text + "everybody: \(everybody)\nteam: \(person)\ncrew: :include:\(list)\n")
            let update = try Program(
                [Host.program("martletctl"), "--instance", instance.directory, "update", "table", "aliases"],
                as: instance.owner)
            repeat {
                #expect(try answer(instance, "team@example.org")?.hasPrefix("250") == true)
            } while update.wait(seconds: 0) == nil
            #expect(update.status == 0, "\(update.errors.text)")
            try instance.submit(to: ["crew@example.org"])
            #expect(instance.mailbox(person).waitForMessages(1))
            // All of them stand in one frame for Queue, which forgets them with the transaction.
            #expect(try answer(instance, "everybody@example.org")?.hasPrefix("250") == true)
            try instance.stop()
        }

        @Test func `a database of makemap is a table, and a new one is seen`() throws {
            let instance = try Instance()
            let files = try TableFiles(instance)
            let person = instance.people[0]
            let text = try files.write("people", "Team: nobody-here,\n\t\(person)\n")
            #expect(try files.tool("makemap", ["-t", "aliases", text]).status == 0)
            try instance.start(configuration(instance, "db:\(text).db"))
            #expect(try answer(instance, "team@example.org")?.hasPrefix("550") == true)
            // Its program has given up what it does not need, as the daemons have.
            let program = try #require(instance.descendants().first { $0.name == "martlet-table" })
            #expect(program.status["Seccomp"] == "2" && program.status["NoNewPrivs"] == "1", "\(program)")
            #expect(program.status["CapEff"].flatMap { UInt64($0, radix: 16) } == 0)
            if instance.isSeparated {
                let user = try #require(Host.account("_martletu"))
                #expect(Set(program.uids) == ["\(user.uid)"])
                // Who may not look into a process sees its files as root's.
                var facts = stat()
                #expect(stat("/proc/\(program.pid)/environ", &facts) == 0 && facts.st_uid == 0)
            }
            try files.write("people", "team: \(person)\n")
            let made = try files.tool(
                "newaliases", ["--instance", instance.directory, "-f", instance.configurationPath])
            #expect(made.status == 0 && made.output == "\(text): 1 aliases\n", "\(made.errors)")
            try instance.submit(to: ["TEAM@example.org"])
            #expect(instance.mailbox(person).waitForMessages(1))
            // A database may include what it likes, but no more than its program may read itself.
            let list = try files.write("members", "# all\n\(person)\n")
            let hidden = try files.write("hidden", "\(person)\n")
            chmod(hidden, 0o600)
            try files.write(
                "people", "team: :include:\(list)\nhidden: :include:\(hidden)\nself: :include:/proc/self/cmdline\n")
            #expect(try files.tool("makemap", ["-t", "aliases", text]).status == 0)
            try instance.submit(to: ["team@example.org"])
            #expect(instance.mailbox(person).waitForMessages(2))
            #expect(try answer(instance, "self@example.org")?.hasPrefix("4") == true)
            if instance.isSeparated { #expect(try answer(instance, "hidden@example.org")?.hasPrefix("4") == true) }
            try instance.stop()
        }

        @Test func `a Berkeley DB file is named with what to do`() throws {
            let instance = try Instance()
            let files = try TableFiles(instance)
            let path = files.path("people.db")
            // The page header of a hash file: an LSN, a page number, and the magic number.
            let header: [UInt8] = [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0x61, 0x15, 0x06, 0]
            try Data(header + [UInt8](repeating: 0, count: 4080)).write(to: URL(fileURLWithPath: path))
            let (status, lines) = try instance.startInVain(configuration(instance, "db:\(path)"), seconds: 60)
            #expect(status == 1)
            #expect(lines.contains { $0.contains("Berkeley DB") && $0.contains("makemap -o \(path)") }, "\(lines)")
        }

        @Test func `a SQLite database is a table by the queries of its file`() throws {
            let instance = try Instance()
            let files = try TableFiles(instance)
            let person = instance.people[0]
            let database = files.path("mail.sqlite")
            let list = try files.write("members", "# all\n\(person)\n")
            let hidden = try files.write("hidden", "\(person)\n")
            chmod(hidden, 0o600)
            let made = try Program.run(
                [
                    "python3", "-c",
                    """
                    import sqlite3, sys
                    db = sqlite3.connect(sys.argv[1])
                    db.execute("CREATE TABLE aliases (name TEXT, target TEXT)")
                    db.executemany("INSERT INTO aliases VALUES (?, ?)", [("team", sys.argv[2]), ("team", "/dev/null"),
                        ("list", ":include:" + sys.argv[3]), ("hidden", ":include:" + sys.argv[4])])
                    db.commit()
                    """, database, person, list, hidden,
                ])
            try #require(made.status == 0, "\(made.errors)")
            chmod(database, 0o644)
            let settings = try files.write(
                "mail.conf",
                "# people\ndbpath \(database)\nquery_alias SELECT target FROM aliases WHERE name = ? AND target <> '/dev/null';\n"
            )
            try instance.start(configuration(instance, "sqlite:\(settings)"))
            try instance.submit(to: ["team@example.org"])
            #expect(instance.mailbox(person).waitForMessages(1))
            // What it includes is read as its program might read it.
            try instance.submit(to: ["list@example.org"])
            #expect(instance.mailbox(person).waitForMessages(2))
            if instance.isSeparated { #expect(try answer(instance, "hidden@example.org")?.hasPrefix("4") == true) }
            // The key is a value and no part of the query.
            #expect(try answer(instance, "'/**/OR/**/1=1--@example.org")?.hasPrefix("550") == true)
            let program = try #require(instance.descendants().first { $0.name == "martlet-table" })
            if instance.isSeparated { #expect(program.uids.first == Host.account("_martletu").map { "\($0.uid)" }) }
            try instance.stop()
        }

        @Test func `explain asks at MAIL what a listener would ask`() throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("mx")
            try instance.start(
                """
                \(workshop.statement("mx", as: "mx.example.org"))
                table creds { joe = "joe:secret", ann = "ann:secret" }
                table owners { joe = "joe@example.org, @sales.example.org" }
                listen on 127.0.0.1 port \(instance.port) tls-require pki mx.example.org auth <creds> senders <owners>
                action "local" \(instance.maildirMethod)
                match from auth <creds> for any action "local"

                """)
            let place = "\(instance.configurationPath):3:1: senders <owners> mailaddrmap"
            for (user, sender, found) in [
                ("Joe", "joe@example.org", "may"), ("joe", "al@Sales.example.org", "may"),
                ("joe", "<>", "may not"), ("joe", "ann@example.org", "may not"), ("ann", "ann@example.org", "may not"),
            ] {
                let told = try instance.control(
                    "explain", "--from", "192.0.2.7", "--tls", "--auth", user, sender,
                    "\(instance.people[0])@example.org")
                #expect(told.status == (found == "may" ? 0 : 69), "\(told.errors)")
                let path = sender == "<>" ? sender : "<\(sender)>"
                #expect(told.output.contains("\(place) \(user.lowercased()): \(path) \(found)\n"), "\(told.output)")
                if found != "may" { #expect(told.output.contains("530 5.7.1 Sender rejected"), "\(told.output)") }
                #expect(told.output.contains(" match from any") == (found == "may"), "\(told.output)")
            }
            try instance.stop()
        }

        @Test func `a check names what keeps the server from starting, and where`() throws {
            let instance = try Instance()
            let files = try TableFiles(instance)
            let path = try files.write("people", "team: nobody\n")
            let names = try files.write("names", "example.org\n")
            let configuration = """
                listen on 127.0.0.1 port \(instance.port)
                table aliases file:\(path)
                table names file:\(names)
                action "local" \(instance.maildirMethod) alias <aliases>
                match from any for domain regex <names> action "local"

                """
            func check(_ text: String) throws -> Program.Result {
                try instance.write(text)
                return try Program.run(
                    [
                        Host.program("martletd"), "-n", "--instance", instance.directory, "-f",
                        instance.configurationPath,
                    ], as: instance.owner)
            }
            let right = try check(configuration)
            #expect(right.status == 0 && right.errors == "configuration OK\n", "\(right.errors)")
            for (people, hosts, words) in [
                ("team: nobody\ncrew\n", "example.org\n", "\(path):2 invalid map entry"),
                ("team\n", "example.org\n", "\(path): table \"aliases\" may not be used for alias lookups"),
                ("team: a\0b\n", "example.org\n", "\(path):1 NUL byte"),
                ("", "(example\n", "\(names): table \"names\": invalid regular expression (example: "),
            ] {
                try files.write("people", people)
                try files.write("names", hosts)
                let wrong = try check(configuration)
                #expect(wrong.status == 1 && wrong.errors.contains(words), "\(wrong.errors)")
            }
            let place = instance.configurationPath
            for (statement, words) in [
                ("listen on nowhere0", "\(place):1:1: invalid virtual ip or interface: nowhere0"),
                ("table t weather:/etc/x", "\(place):1:1: table t: no backend \"weather\": there is no program"),
                ("table t file:/nonexistent/t", "table \"t\": /nonexistent/t: open: No such file or directory"),
            ] {
                let wrong = try check(statement + "\nmatch from any reject\n")
                #expect(wrong.status == 1 && wrong.errors.contains(words), "\(wrong.errors)")
            }
        }

        @Test func `the users of the system are a table`() throws {
            let instance = try Instance()
            let person = instance.people[0]
            try instance.start(
                """
                listen on 127.0.0.1 port \(instance.port)
                table users getpwnam
                action "local" \(instance.maildirMethod) userbase <users>
                match from any for domain "example.org" action "local"

                """)
            try instance.submit(to: ["\(person)@example.org"])
            #expect(instance.mailbox(person).waitForMessages(1))
            #expect(try answer(instance, "no-such-user@example.org")?.hasPrefix("550") == true)
            try instance.stop()
            let (status, lines) = try instance.startInVain(
                """
                listen on 127.0.0.1 port \(instance.port)
                table users getpwnam
                action "local" \(instance.maildirMethod) alias <users>
                match from any for domain "example.org" action "local"

                """, seconds: 60)
            #expect(status == 1)
            #expect(lines.contains { $0.contains("knows users of the system only") }, "\(lines)")
        }
    }
}
