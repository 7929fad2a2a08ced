// SPDX-License-Identifier: ISC

import Foundation
import Glibc
import Testing

extension WholeHouse.Unprivileged {
    /// What the pages of tables and of their tools show is run as it stands there, but for where the files are.
    struct TableManuals {
        @Test func `the file and the queries of martlet-tables(5)`() throws {
            let instance = try Instance()
            let files = try TableFiles(instance)
            let person = instance.people[0]
            let examples = try ManualPage.examples("martlet-tables.5")
            try #require(examples.count == 2)
            let networks = try files.write("networks", examples[0])
            let owner = instance.isSeparated ? Host.account(person) : nil
            let (uid, gid) = (
                owner?.uid ?? instance.owner?.uid ?? getuid(), owner?.gid ?? instance.owner?.gid ?? getgid()
            )
            let home = files.path("virtual")
            try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: false)
            chown(home, uid, gid)
            let database = files.path("users.sqlite")
            let made = try Program.run([
                "python3", "-c",
                """
                import sqlite3, sys
                with sqlite3.connect(sys.argv[1]) as db:
                    db.execute("CREATE TABLE users (name TEXT, uid INTEGER, gid INTEGER, home TEXT)")
                    db.execute("INSERT INTO users VALUES ('joe', ?, ?, ?)", sys.argv[2:5])
                    db.execute("CREATE TABLE aliases (name TEXT, target TEXT)")
                    db.execute("INSERT INTO aliases VALUES ('team', 'joe')")
                """, database, "\(uid)", "\(gid)", home,
            ])
            try #require(made.status == 0, "\(made.errors)")
            chmod(database, 0o644)
            let queries = try files.write(
                "users.conf", examples[1].replacing("/var/lib/mail/users.sqlite", with: database))
            try instance.start(
                """
                listen on 127.0.0.1 port \(instance.port)
                table networks file:\(networks)
                table users sqlite:\(queries)
                action "local" maildir "~/Maildir" alias <users> userbase <users>
                match from src <networks> for any reject
                match from any for domain "example.org" action "local"

                """)
            try instance.submit(to: ["team@example.org"])
            #expect(Maildir("\(home)/Maildir").waitForMessages(1), "\(instance.lastWords)")
            for (client, status) in [("192.0.2.7", 69), ("2001:db8::7", 69), ("198.51.100.7", 0)] {
                let told = try instance.control("explain", "--from", client, "al@example.com", "team@example.org")
                #expect(told.status == Int32(status), "\(client): \(told.output)")
            }
            try instance.stop()
        }

        @Test func `the program and the dialogue of martlet-tables(7)`() throws {
            let instance = try Instance()
            let files = try TableFiles(instance)
            let person = instance.people[0]
            let examples = try ManualPage.examples("martlet-tables.7")
            try #require(examples.count == 2)
            // As roff shows it.
            let program = examples[0].replacing("\\e", with: "\\")
            let path = "\(instance.directory)/libexec/table-demo"
            try program.replacing("gilles", with: person).write(toFile: path, atomically: true, encoding: .utf8)
            chmod(path, 0o755)
            let source = try files.write("none", "")
            try instance.start(
                """
                listen on 127.0.0.1 port \(instance.port)
                table people demo:\(source)
                action "local" \(instance.maildirMethod) alias <people>
                match from any for domain "example.org" action "local"

                """)
            try instance.submit(to: ["team@example.org"])
            #expect(instance.mailbox(person).waitForMessages(1), "\(instance.lastWords)")
            #expect(try instance.control("update", "table", "people").status == 0)
            try instance.stop()
            // The lines of the one side bring about those of the other.
            let shown = try files.write("shown", program)
            let lines = examples[1].split(separator: "\n")
            let said = try files.write(
                "said", lines.filter { $0.hasPrefix("> ") }.map { "\($0.dropFirst(2))\n" }.joined())
            let answered = try Program.run(["sh", "-c", "python3 \(shown) < \(said)"])
            let expected = lines.filter { $0.hasPrefix("< ") }.map { "\($0.dropFirst(2))\n" }.joined()
            #expect(answered.output == expected, "\(answered.errors)")
        }

        @Test func `the commands of makemap(8) and newaliases(8)`() throws {
            let instance = try Instance()
            let files = try TableFiles(instance)
            try files.write("lists", "team: gilles, alice\n")
            try files.write("secrets", "joe joe:secret\n")
            let directory = instance.directory
            var databases = 0
            for line in try ManualPage.examples("makemap.8") {
                let words = line.replacing("/etc/mail", with: directory).split(separator: " ").map(String.init)
                try #require(words.count > 2 && words[0] == "#", "\(line)")
                switch words[1] {
                case "makemap":
                    let result = try files.tool("makemap", Array(words.dropFirst(2)))
                    #expect(result.status == 0, "\(line): \(result.errors)")
                    databases += 1
                // Only root gives files away.
                case "chgrp": #expect(words[2] == "_martletu")
                default: #expect(try Program.run(Array(words.dropFirst()), as: instance.owner).status == 0, "\(line)")
                }
            }
            #expect(databases == 2)
            for (name, content) in [("lists", "team\tgilles, alice\n"), ("secrets", "joe\tjoe:secret\n")] {
                let dump = try files.tool("makemap", ["-U", "\(directory)/\(name).db"])
                #expect(dump.output == content, "\(dump.errors)")
            }
            let shown = try #require(try ManualPage.examples("newaliases.8").first).split(separator: "\n").map(
                String.init)
            try #require(shown.count == 2 && shown[0] == "# newaliases")
            let aliases = try files.write("aliases", (1...23).map { "name\($0): gilles\n" }.joined())
            try instance.write(
                """
                table aliases file:\(aliases)
                action "local" \(instance.maildirMethod) alias <aliases>
                match from any for any action "local"

                """)
            let made = try files.tool("newaliases", ["--instance", directory, "-f", instance.configurationPath])
            #expect(made.output == shown[1].replacing("/etc", with: directory) + "\n", "\(made.errors)")
        }
    }
}
