// SPDX-License-Identifier: ISC

import Glibc
import Testing

extension WholeHouse.Unprivileged {
    struct Reloads {
        private func configuration(_ instance: Instance, for domain: String) -> String {
            """
            listen on 127.0.0.1 port \(instance.port)
            action "local" \(instance.maildirMethod)
            match for domain "\(domain)" action "local"

            """
        }

        @Test func `a wrong configuration is named, and the old one stays in force`() throws {
            let instance = try Instance()
            try instance.start(configuration(instance, for: "example.org"))
            let pids = instance.pids()
            try instance.write("listen on lo port\n" + configuration(instance, for: "example.net"))
            try #require(instance.program).kill(SIGHUP)
            #expect(instance.log.wait(for: "martlet.conf:1:") != nil)
            #expect(instance.log.wait(for: "old configuration stays in force") != nil)
            try instance.submit(to: ["\(instance.people[0])@example.org"])
            #expect(instance.mailbox(instance.people[0]).waitForMessages(1))
            #expect(instance.pids() == pids)
            // The control command says it to whoever asked.
            let result = try instance.control("reload")
            #expect(result.status == 1)
            #expect((result.output + result.errors).contains("martlet.conf:1:"))
            try instance.stop()
        }

        @Test func `new sessions follow the new configuration, an old one ends with its own`() throws {
            let instance = try Instance()
            let person = instance.people[0]
            try instance.start(configuration(instance, for: "example.org"))
            let old = try instance.client()
            try old.greet()
            try old.say("MAIL FROM:<alice@example.org>", "250")
            try instance.write(configuration(instance, for: "example.net"))
            try #require(instance.program).kill(SIGHUP)
            #expect(instance.log.wait(for: "new configuration in force") != nil)
            try old.say("RCPT TO:<\(person)@example.net>", "550")
            try old.say("RCPT TO:<\(person)@example.org>", "250")
            // Listeners of both share the socket for a moment; soon all that come have the new one.
            let isNew = try eventually {
                let new = try instance.client()
                try new.greet()
                try new.say("MAIL FROM:<alice@example.org>", "250")
                new.send("RCPT TO:<\(person)@example.org>")
                guard new.reply()?.hasPrefix("550") == true else { return false }
                try new.say("RCPT TO:<\(person)@example.net>", "250")
                return true
            }
            #expect(isNew)
            try old.say("DATA", "354")
            old.send("Subject: old\r\n\r\nold")
            try old.say(".", "250")
            try old.say("QUIT", "221")
            #expect(instance.mailbox(person).waitForMessages(1), "\(instance.lastWords)")
            try instance.submit(to: ["\(person)@example.net"])
            #expect(instance.mailbox(person).waitForMessages(2), "\(instance.lastWords)")
            // The old generation leaves when its last session has ended.
            let isAlone = eventually { instance.daemons().filter { $0.role == "lookup" }.count == 1 }
            #expect(isAlone, "\(instance.daemons())")
            try instance.stop()
        }

        @Test func `many reloads under load lose no session`() throws {
            let instance = try Instance()
            try instance.start(instance.usual())
            let person = instance.people[0]
            let source = try NumberedSource(instance, to: ["\(person)@example.org"], connections: 2)
            #expect(source.waitForMore(5))
            for _ in 1...3 {
                #expect(try instance.control("reload").status == 0, "\(instance.lastWords)")
                #expect(source.waitForMore(5))
            }
            let acknowledged = try source.finish()
            #expect(instance.mailbox(person).waitForMessages(acknowledged.count))
            let (times, halves) = NumberedSource.count(instance.mailbox(person).messages)
            #expect(acknowledged.subtracting(times.keys).isEmpty)
            #expect(halves.isEmpty)
            #expect(times.allSatisfy { $0.value == 1 })
            try instance.stop()
        }
    }
}
