// SPDX-License-Identifier: ISC

import Foundation
import Testing

extension WholeHouse.Unprivileged {
    /// Tables behind programs that are not ours.
    struct TablePrograms {
        private func configuration(_ instance: Instance, _ tables: String) -> String {
            """
            listen on 127.0.0.1 port \(instance.port)
            \(tables)
            action "local" \(instance.maildirMethod) alias <people>
            match from any for domain <names> action "local"

            """
        }

        private func start(_ program: String) throws -> (instance: Instance, files: TableFiles) {
            let instance = try Instance()
            let files = try TableFiles(instance)
            let path = try files.writeProgram("program", program)
            try instance.start(
                configuration(instance, "table people python:\(path)\ntable names python:\(path)"))
            return (instance, files)
        }

        private func answer(_ instance: Instance, _ recipient: String) throws -> String? {
            let client = try instance.client()
            try client.greet()
            try client.say("MAIL FROM:<a@example.com>", "250")
            client.send("RCPT TO:<\(recipient)>")
            return client.reply(seconds: 60)
        }

        @Test func `rules and aliases are asked of a program`() throws {
            let instance = try Instance()
            let person = instance.people[0]
            let files = try TableFiles(instance)
            let list = try files.write("members", "# all\n\(person)\n")
            let hidden = try files.write("hidden", "\(person)\n")
            chmod(hidden, 0o600)
            let path = try files.writeProgram(
                "program",
                """
                domain sales.example.org
                alias team \(person)
                alias list :include:\(list)
                alias hidden :include:\(hidden)
                mode error broken

                """)
            try instance.start(configuration(instance, "table people python:\(path)\ntable names python:\(path)"))
            try instance.submit(to: ["Team@Sales.Example.ORG"])
            #expect(instance.mailbox(person).waitForMessages(1))
            #expect(try answer(instance, "nobody-here@sales.example.org")?.hasPrefix("550") == true)
            #expect(try answer(instance, "team@else.example.org")?.hasPrefix("550") == true)
            #expect(try answer(instance, "broken@sales.example.org")?.hasPrefix("451") == true)
            #expect(instance.log.wait(for: "the disk is on fire") != nil)
            let heard = files.heard("program")
            #expect(heard.prefix(2) == ["check|domain|sales.example.org", "lookup|alias|team"])
            #expect(heard.contains("check|domain|else.example.org"))
            // What it says may include what it may read itself.
            try instance.submit(to: ["list@sales.example.org"])
            #expect(instance.mailbox(person).waitForMessages(2))
            if instance.isSeparated {
                #expect(try answer(instance, "hidden@sales.example.org")?.hasPrefix("4") == true)
            }
            // The program runs as nobody of the house.
            let program = try #require(instance.descendants().first { $0.name.contains("python") || $0.name == "env" })
            if instance.isSeparated { #expect(program.uids.first == Host.account("_martletu").map { "\($0.uid)" }) }
            try instance.stop()
            #expect(eventually(within: 10) { !HouseProcess.lives(program.pid, started: program.started) })
        }

        @Test(arguments: ["nonsense", "die"])
        func `a program that fails is replaced, and nothing is decided meanwhile`(mode: String) throws {
            let (instance, _) = try start(
                "domain example.org\nalias team nobody\nmode \(mode) trap\nservices alias domain\n")
            #expect(try answer(instance, "trap@example.org")?.hasPrefix("451") == true)
            #expect(instance.log.wait(for: "and is started again", seconds: 60) != nil)
            #expect(instance.log.wait(for: "is there again", seconds: 60) != nil)
            #expect(try answer(instance, "unknown-name@example.org")?.hasPrefix("550") == true)
            try instance.stop()
        }

        @Test(arguments: [
            ("mode dumb\n", "older protocol"), ("mode unknown-service\n", "registers an unknown service"),
            ("services domain\ndomain example.org\n", "does not serve alias, which alias asks for"),
            ("mode silent\nservices\n", "registers no service"),
        ])
        func `a program that is of no use is named at the start`(program: String, words: String) throws {
            let instance = try Instance()
            let files = try TableFiles(instance)
            let path = try files.writeProgram("program", program)
            let (status, lines) = try instance.startInVain(
                configuration(instance, "table people python:\(path)\ntable names { example.org }"), seconds: 60)
            #expect(status == 1)
            #expect(lines.contains { $0.contains("people") && $0.contains(words) }, "\(lines)")
        }

        @Test func `a backend that is not there is named with its line`() throws {
            let instance = try Instance()
            let (status, lines) = try instance.startInVain(
                configuration(instance, "table people weather:/etc/passwd\ntable names { example.org }"), seconds: 60)
            #expect(status == 1)
            #expect(lines.contains { $0.contains("martlet.conf:2:") && $0.contains("table-weather") }, "\(lines)")
        }

        @Test func `an update is passed on, and its failure is told`() throws {
            let (instance, files) = try start("domain example.org\nalias team nobody\n")
            let person = instance.people[0]
            try files.write("program", "domain example.org\nalias team \(person)\n")
            let updated = try instance.control("update", "table", "people")
            #expect(updated.status == 0 && updated.output == "command succeeded\n", "\(updated.errors)")
            #expect(files.heard("program").contains("update"))
            try instance.submit(to: ["team@example.org"])
            #expect(instance.mailbox(person).waitForMessages(1))
            try files.write("program", "domain example.org\nalias team \(person)\nmode refuse-update\n")
            #expect(try instance.control("update", "table", "people").status == 0)
            #expect(try instance.control("update", "table", "people").status == 1)
            #expect(instance.log.wait(for: "Failed to update table \"people\"") != nil)
            #expect(try instance.control("update", "table", "nowhere").status == 1)
            try instance.stop()
        }

        @Test func `users may come from a program`() throws {
            let instance = try Instance()
            let person = instance.people[0]
            let owner = instance.isSeparated ? Host.account(person) : nil
            let home = "\(instance.directory)/virtual"
            try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: false)
            let uid = owner?.uid ?? instance.owner?.uid ?? getuid()
            let gid = owner?.gid ?? instance.owner?.gid ?? getgid()
            chown(home, uid, gid)
            let files = try TableFiles(instance)
            let path = try files.writeProgram("program", "userinfo joe \(uid):\(gid):\(home)\n")
            try instance.start(
                """
                listen on 127.0.0.1 port \(instance.port)
                table users python:\(path)
                action "local" maildir "~/Maildir" userbase <users>
                match from any for domain example.org action "local"

                """)
            try instance.submit(to: ["Joe+tag@example.org"])
            #expect(Maildir("\(home)/Maildir").waitForMessages(1))
            #expect(try answer(instance, "ann@example.org")?.hasPrefix("550") == true)
            // Lookup asks, and then Parent does before it starts the agent.
            #expect(files.heard("program").filter { $0 == "lookup|userinfo|joe" }.count >= 2)
            try instance.stop()
        }
    }
}

/// Beside the other stories, since it waits for a deadline of half a minute.
@Suite(
    .timeLimit(.minutes(5)),
    .enabled(if: Host.hasPrograms, "the programs are not built: swift build, or name their directory in MARTLET_BIN"))
struct SlowTableTests {
    @Test func `a program that hangs costs its own questions only`() throws {
        let instance = try Instance(name: "slow")
        let person = instance.people[1]
        let files = try TableFiles(instance)
        let path = try files.writeProgram("program", "services alias\nmode hang alias\n")
        try instance.start(
            """
            listen on 127.0.0.1 port \(instance.port)
            table people python:\(path)
            action "asks" \(instance.maildirMethod) alias <people>
            action "knows" \(instance.maildirMethod)
            match from any for domain "slow.example.org" action "asks"
            match from any for domain "example.org" action "knows"

            """)
        let client = try instance.client()
        try client.greet()
        try client.say("MAIL FROM:<a@example.com>", "250")
        client.send("RCPT TO:<joe@slow.example.org>")
        #expect(eventually(within: 60) { files.heard("program") == ["lookup|alias|joe"] })
        // Others are served meanwhile.
        try instance.submit(to: ["\(person)@example.org"])
        #expect(client.reply(seconds: 90)?.hasPrefix("451") == true)
        #expect(instance.log.wait(for: "did not answer for 30 s", seconds: 90) != nil)
        #expect(instance.log.wait(for: "is there again", seconds: 90) != nil)
        try instance.stop()
    }
}
