// SPDX-License-Identifier: ISC

import Testing

extension WholeHouse.Unprivileged {
    /// The limits of clients (`smtp limit`), and that each of them is counted.
    struct ClientLimits {
        private func counters(_ instance: Instance) throws -> [String: Int] {
            let prefix = "smtp.limit."
            var counters: [String: Int] = [:]
            for line in try instance.control("show", "stats").lines where line.hasPrefix(prefix) {
                let parts = line.dropFirst(prefix.count).split(separator: "=", maxSplits: 1)
                if parts.count == 2, let count = Int(parts[1]) { counters[String(parts[0])] = count }
            }
            return counters
        }

        private func start(_ instance: Instance, _ limits: String, listen: String = "") throws {
            try instance.start(
                """
                listen on 127.0.0.1 port \(instance.port) \(listen)
                smtp limit \(limits)
                action "local" \(instance.maildirMethod)
                match from any for domain "example.org" action "local"

                """)
        }

        /// A client in a transaction; its replies, up to the last one that it is owed.
        private func transaction(_ instance: Instance, _ rest: [String], replies: Int) throws -> SMTPClient {
            let client = try instance.client()
            let recipient = "\(instance.people[0])@example.org"
            let begin = ["EHLO c.example.org", "MAIL FROM:<alice@example.org>", "RCPT TO:<\(recipient)>"]
            for line in begin + rest { client.send(line) }
            try client.expect("220 ")
            for number in 0..<(begin.count + replies) {
                try client.expect(number == begin.count && rest.first == "DATA" ? "354 " : "250")
            }
            return client
        }

        /// It is told why it has to go, nothing of its message stays, and others are served.
        private func checkEnd(of clients: [SMTPClient], _ instance: Instance, _ words: String) throws {
            for client in clients {
                try client.expect("421 4.4.2 Timeout: \(words)")
                #expect(client.isClosed(within: 30))
            }
            try instance.submit(to: ["\(instance.people[1])@example.org"], "Subject: whole\n\nbody")
            #expect(instance.mailbox(instance.people[1]).waitForMessages(1), "\(instance.lastWords)")
            #expect(instance.log.lines(containing: " smtp message ").count == 1)
            #expect(try instance.isQueueEmpty())
            #expect(instance.mailbox(instance.people[0]).messages.isEmpty)
        }

        @Test func `a session ends at its time, in whatever it is`() throws {
            let instance = try Instance()
            try start(instance, "max-session-time 6")
            let clients = [
                try transaction(instance, [], replies: 0),
                try transaction(instance, ["DATA", "Subject: slow", "", "text"], replies: 1),
                try transaction(instance, ["BDAT 1", "xBDAT 4", ":y"], replies: 2),
                try transaction(instance, ["BDAT 1", "xBDAT 99", "less"], replies: 1),
            ]
            try checkEnd(of: clients, instance, "The session lasts too long")
            #expect(try counters(instance) == ["max-session-time": 4])
            try instance.stop()
        }

        @Test func `content that comes too slowly ends the session, within a chunk and between two`() throws {
            let instance = try Instance()
            try start(instance, "min-data-rate 100000 min-data-rate-after 2")
            let clients = [
                try transaction(instance, ["DATA", "Subject: slow", "", "text"], replies: 1),
                try transaction(instance, ["BDAT 1", "xNOOP"], replies: 2),
                try transaction(instance, ["BDAT 1", "xBDAT 99", "less"], replies: 1),
            ]
            // No content is due yet: this one may think.
            let slow = try transaction(instance, [], replies: 0)
            try checkEnd(of: clients, instance, "The content comes too slowly")
            #expect(try counters(instance) == ["min-data-rate": 3])
            try slow.say("NOOP", "250")
            try instance.stop()
        }

        @Test func `a session that goes beyond what it may is told so and counted`() throws {
            let instance = try Instance()
            let address = "\(instance.people[0])@example.org"
            try start(instance, "max-mails 1 max-rcpt 1 max-errors 4 max-idle-commands 2")
            let greedy = try instance.client()
            try greedy.greet()
            try greedy.say("MAIL FROM:<alice@example.org>", "250")
            try greedy.say("RCPT TO:<\(address)>", "250")
            for _ in 0..<2 { try greedy.say("RCPT TO:<\(address)>", "451 4.5.3") }
            try greedy.say("RSET", "250")
            try greedy.say("MAIL FROM:<alice@example.org>", "452 4.5.3")
            try greedy.say("NONSENSE", "500")
            try greedy.say("NONSENSE", "421 4.7.0 Too many errors")
            #expect(greedy.isClosed(within: 30))
            let idle = try instance.client()
            try idle.greet()
            try idle.say("NOOP", "250")
            try idle.say("NOOP", "421 4.7.0 Too many commands")
            #expect(idle.isClosed(within: 30))
            #expect(
                try counters(instance)
                    == ["max-rcpt": 2, "max-mails": 1, "max-errors": 1, "max-idle-commands": 1])
            try instance.stop()
        }

        @Test func `connections beyond what an address, its network and all may have are told so and counted`() throws {
            let instance = try Instance()
            try start(
                instance, "max-session 3 max-session-per-network 2 max-connect-rate 2", listen: "proxy-v2")
            // Each of the two listeners counts for itself.
            func refusal(_ addresses: [String]) throws -> (String, [SMTPClient]) {
                var clients: [SMTPClient] = []
                for address in addresses {
                    let client = try instance.client()
                    client.send("PROXY TCP4 \(address) 198.51.100.1 40000 25")
                    let greeting = try #require(client.reply())
                    if !greeting.hasPrefix("220 ") { return (greeting, clients) }
                    clients.append(client)
                }
                return ("none", clients)
            }
            func refusalOfQuick() throws -> String {
                for _ in 0..<5 {
                    let client = try instance.client()
                    client.send("PROXY TCP4 203.0.113.1 198.51.100.1 40000 25")
                    let greeting = try #require(client.reply())
                    if !greeting.hasPrefix("220 ") { return greeting }
                    try client.say("QUIT", "221")
                    #expect(client.isClosed(within: 30))
                }
                return "none"
            }
            #expect(try refusalOfQuick().hasPrefix("421 4.7.0 Connections from your address come too fast"))
            let (ofNetwork, some) = try refusal((1...5).map { "192.0.2.\($0)" })
            #expect(ofNetwork.hasPrefix("421 4.7.0 Too many connections from your address"), "\(ofNetwork)")
            let (ofAll, others) = try refusal((1...5).map { "10.0.\($0).1" })
            #expect(ofAll.hasPrefix("421 4.3.2 Too many connections, try"), "\(ofAll)")
            let counted = try counters(instance)
            #expect(counted == ["max-connect-rate": 1, "max-session-per-network": 1, "max-session": 1])
            #expect(some.count <= 4 && some.count + others.count <= 6)
            try instance.stop()
        }
    }
}
