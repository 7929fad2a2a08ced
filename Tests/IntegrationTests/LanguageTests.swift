// SPDX-License-Identifier: ISC

import Foundation
import Glibc
import Testing

extension WholeHouse.Private {
    /// Configurations as people write them, and whether real mail goes where they say.
    struct Language {
        // Addresses from which clients come that are not this host, though they are reached on it.
        static let outside = "203.0.113.7"
        static let ours = "198.51.100.7"

        func instance(_ configuration: (Instance) throws -> String) throws -> Instance {
            for network in ["203.0.113.0/24", "198.51.100.0/24"] {
                let result = try Program.run(["ip", "route", "replace", "local", network, "dev", "lo"])
                try #require(result.status == 0, "\(result.errors)")
            }
            let instance = try Instance()
            try instance.start(try configuration(instance))
            return instance
        }

        /// Knows the records given, and that there are no others: nobody waits for the name of a client.
        func nameServer(_ records: String...) throws -> Program {
            let server = try Program(["python3", Host.support("names.py"), "127.0.0.1", "53"] + records)
            try #require(server.output.wait(for: "ready") != nil, "\(server.errors.text)")
            return server
        }

        /// Offers a message; what was said to RCPT, or to the end of the message when that was accepted.
        @discardableResult
        func offer(
            _ instance: Instance, client: String? = nil, from sender: String = "al@example.com", to recipient: String
        ) throws -> String {
            let client = try SMTPClient(port: instance.port, from: client)
            try client.greet()
            try client.say("MAIL FROM:<\(sender)>", "250")
            client.send("RCPT TO:<\(recipient)>")
            let reply = try #require(client.reply())
            guard reply.hasPrefix("250") else { return reply }
            try client.say("DATA", "354")
            client.send("Subject: for \(recipient)\r\n\r\nbody")
            return try client.say(".", "250")
        }

        static func refusal(_ recipient: String) -> String { "550 Invalid recipient: <\(recipient)>" }

        func explain(_ instance: Instance, _ words: String...) throws -> Program.Result {
            try Program.run([Host.program("martletctl"), "--instance", instance.directory, "explain"] + words)
        }

        @Test func `1: a host that takes mail for its users from itself only`() throws {
            let instance = try instance { instance in
                """
                listen on lo port \(instance.port)
                action "in" mbox
                match for local action "in"
                """
            }
            try offer(instance, to: "gilles@localhost")
            #expect(eventually { (try? String(contentsOfFile: "/var/mail/gilles", encoding: .utf8)) != nil })
            for recipient in ["bob@example.com", "gilles@example.org"] {
                #expect(try offer(instance, to: recipient).hasPrefix(Self.refusal(recipient)))
            }
            #expect(throws: Failure.self) { try SMTPClient(port: instance.port, address: Self.outside) }
            let sendmail = try Program.run(
                [Host.program("martletctl"), "--instance", instance.directory, "sendmail", "bob@example.com"],
                input: "Subject: x\n\nbody\n", as: Host.account("gilles"))
            #expect(sendmail.status == 70)
            #expect(sendmail.errors.contains(Self.refusal("bob@example.com")), "\(sendmail.errors)")
            unlink("/var/mail/gilles")
            try instance.stop()
        }

        @Test func `2: aliases, and the users of this host may send anywhere`() throws {
            let server = try nameServer()
            defer { server.kill(9) }
            var sink: Sink?
            let instance = try instance { instance in
                let next = try Sink(instance)
                sink = next
                let aliases = "\(instance.directory)/aliases"
                try "team: gilles, user001\nabroad: carol@example.net\n".write(
                    toFile: aliases, atomically: true, encoding: .utf8)
                chmod(aliases, 0o644)
                return """
                    table al file:\(aliases)
                    listen on 0.0.0.0 port \(instance.port)
                    action in maildir alias <al>
                    action out relay \(instance.relay(to: next))
                    match for local action in
                    match for any action out
                    """
            }
            let next = try #require(sink)
            try offer(instance, to: "team@localhost")
            #expect(instance.mailbox("gilles").waitForMessages(1))
            #expect(instance.mailbox("user001").waitForMessages(1))
            try offer(instance, to: "bob@example.com")
            try offer(instance, to: "abroad@localhost")
            #expect(next.waitForMessages(2))
            #expect(next.messages.contains { $0.contains("to=bob@example.com") }, "\(next.messages)")
            #expect(next.messages.contains { $0.contains("to=carol@example.net") }, "\(next.messages)")
            // `from local` is implied: nobody else may relay, or even write to the users.
            for recipient in ["bob@example.com", "team@localhost"] {
                let reply = try offer(instance, client: Self.outside, to: recipient)
                #expect(reply.hasPrefix(Self.refusal(recipient)), "\(reply)")
            }
            #expect(try instance.isQueueEmpty())
            #expect(next.messages.count == 2)
            try instance.stop()
        }

        @Test func `3: two domains are open to everybody, and nothing else`() throws {
            let server = try nameServer()
            defer { server.kill(9) }
            let instance = try instance { instance in
                """
                listen on 0.0.0.0 port \(instance.port)
                action in maildir
                match from any for domain { a.org, b.org } action in
                """
            }
            try offer(instance, client: Self.outside, to: "user002@a.org")
            try offer(instance, client: Self.outside, to: "user002@B.ORG")
            try offer(instance, to: "user002@b.org")
            #expect(instance.mailbox("user002").waitForMessages(3))
            for recipient in ["user002@sub.a.org", "user002@example.com", "user002@localhost"] {
                let reply = try offer(instance, client: Self.outside, to: recipient)
                #expect(reply.hasPrefix(Self.refusal(recipient)), "\(reply)")
            }
            #expect(try instance.isQueueEmpty())
            try instance.stop()
        }

        @Test func `6: virtual users, from the address to the domain to everything`() throws {
            let server = try nameServer()
            defer { server.kill(9) }
            let instance = try instance { instance in
                let users = try [("alice", "gilles"), ("bob", "user001"), ("postmaster", "user002")].map {
                    name, owner in
                    let account = try #require(Host.account(owner))
                    let home = "\(instance.directory)/\(name)"
                    mkdir(home, 0o755)
                    chown(home, account.uid, account.gid)
                    return "\(name) = \"\(account.uid):\(account.gid):\(home)\""
                }
                return """
                    table v { "info@a.org" = "alice", "@a.org" = "bob", "@" = "postmaster" }
                    table ub { \(users.joined(separator: ", ")) }
                    listen on 0.0.0.0 port \(instance.port)
                    action v maildir "~/Mail/%{dest.domain:lowercase}" virtual <v> userbase <ub>
                    match from any for domain { "a.org", "b.org" } action v
                    """
            }
            for recipient in ["info@a.org", "info+tag@A.ORG", "sales@a.org", "who@b.org"] {
                try offer(instance, client: Self.outside, to: recipient)
            }
            #expect(try offer(instance, client: Self.outside, to: "who@c.org").hasPrefix(Self.refusal("who@c.org")))
            #expect(Maildir("\(instance.directory)/alice/Mail/a.org").waitForMessages(2), "\(instance.lastWords)")
            #expect(Maildir("\(instance.directory)/bob/Mail/a.org").waitForMessages(1))
            #expect(Maildir("\(instance.directory)/postmaster/Mail/b.org").waitForMessages(1))
            #expect(try instance.isQueueEmpty())
            try instance.stop()
        }

        @Test func `10: a forged sender is refused, and explain says by which statement`() throws {
            let server = try nameServer()
            defer { server.kill(9) }
            let instance = try instance { instance in
                """
                table ours { "198.51.100.0/24" }
                listen on 0.0.0.0 port \(instance.port)
                action in maildir alias { broken = "\\"open", list = user003 }
                match !from src <ours> mail-from "@a.org" for any reject
                match from any for domain a.org action in
                """
            }
            let refusal = Self.refusal("user003@a.org")
            let forged = try offer(instance, client: Self.outside, from: "boss@a.org", to: "user003@a.org")
            #expect(forged.hasPrefix(refusal), "\(forged)")
            try offer(instance, client: Self.ours, from: "boss@a.org", to: "user003@a.org")
            try offer(instance, client: Self.outside, to: "list@a.org")
            #expect(instance.mailbox("user003").waitForMessages(2))

            let rejected = try explain(instance, "--from", Self.outside, "boss@a.org", "user003@a.org")
            #expect(rejected.status == 69, "\(rejected.errors)")
            let path = instance.configurationPath
            #expect(rejected.output.contains("\(path):4:1: match !from src <ours>"), "\(rejected.output)")
            #expect(rejected.output.contains("\(path):1:1: table <ours> netaddr \(Self.outside): not found"))
            #expect(rejected.output.hasSuffix("result rejected: \(refusal)\n"), "\(rejected.output)")
            let accepted = try explain(instance, "<boss@a.org>", "--from", Self.ours, "<list@a.org>")
            #expect(accepted.status == 0, "\(accepted.errors)")
            #expect(accepted.output.contains("\(path):4:1: match !from src <ours> for any mail-from \"@a.org\" reject"))
            #expect(accepted.output.contains("\(path):3:1: action in maildir alias"), "\(accepted.output)")
            #expect(accepted.output.contains("deliver <list@a.org> to user003\n"), "\(accepted.output)")
            #expect(accepted.output.contains("plan action in: tried for 4d: again after 10s"), "\(accepted.output)")
            let temporary = try explain(instance, "--from", Self.outside, "al@example.com", "broken@a.org")
            #expect(temporary.status == 75, "\(temporary.output)\(temporary.errors)")
            let json = try explain(instance, "--json", "--from", Self.outside, "al@example.com", "user003@a.org")
            let steps = try #require(
                try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [[String: Any]])
            #expect(steps.last?["text"] as? String == "accepted")
            #expect(json.status == 0)
            let impossible = try explain(instance, "--tag", "none", "al@example.com", "user003@a.org")
            #expect(impossible.status == 1)
            #expect(impossible.errors.contains("no listen statement has the tag none"), "\(impossible.errors)")

            // What explain says is what a client hears.
            for client in [Self.outside, Self.ours, "127.0.0.1"] {
                for sender in ["boss@a.org", ""] {
                    for recipient in ["user003@a.org", "no-such-user@a.org", "broken@a.org", "bob@example.com"] {
                        let told = try explain(instance, "--from", client, "<\(sender)>", recipient)
                        let reply = try offer(instance, client: client, from: sender, to: recipient)
                        let status: Int32 = reply.hasPrefix("250") ? 0 : reply.hasPrefix("4") ? 75 : 69
                        #expect(told.status == status, "\(client) \(sender) \(recipient): \(reply)\n\(told.output)")
                        if status != 0 { #expect(told.output.contains(reply.prefix(3)), "\(reply)\n\(told.output)") }
                    }
                }
            }
            #expect(try instance.isQueueEmpty(within: 60), "\(instance.queueText)\n\(instance.lastWords)")
            try instance.stop()
        }

        @Test func `spf walk asks the resolver, and encrypt nobody`() throws {
            let server = try nameServer(
                "example.com TXT v=spf1 ip4:192.0.2.0/24 include:_spf.example.net mx -all",
                "_spf.example.net TXT v=spf1 a:out.example.net ?all", "out.example.net A 192.0.2.200",
                "example.com MX 10 mx.example.com", "mx.example.com A 203.0.113.25")
            defer { server.kill(9) }
            let instance = try instance { $0.usual() }
            let control = [Host.program("martletctl"), "--instance", instance.directory]
            let walk = try Program.run(control + ["spf", "walk"], input: "example.com\n")
            #expect(walk.lines == ["192.0.2.0/24", "192.0.2.200", "203.0.113.25"], "\(walk.errors)")
            #expect(walk.status == 0)
            let missing = try Program.run(control + ["spf", "walk"], input: "nothing.example.org\n")
            #expect(missing.status == 1)
            #expect(missing.errors.contains("nothing.example.org: no SPF record"), "\(missing.errors)")
            try instance.stop()
            let hashes = try Program.run(
                [Host.program("martletctl"), "encrypt"], input: "correct\nhorse\n", as: Host.account("gilles"))
            #expect(hashes.status == 0, "\(hashes.errors)")
            #expect(hashes.lines.count == 2 && hashes.lines.allSatisfy { $0.hasPrefix("$") })
            let python = "import crypt, sys; print(crypt.crypt('horse', sys.argv[1]) == sys.argv[1])"
            let check = try Program.run(["python3", "-W", "ignore", "-c", python, hashes.lines.last ?? ""])
            #expect(check.output == "True\n", "\(check.errors)")
        }
    }
}
