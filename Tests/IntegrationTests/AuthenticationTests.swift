// SPDX-License-Identifier: ISC

import Foundation
import Testing

extension WholeHouse.Unprivileged {
    /// AUTH from the peers' hands to the header of the message.
    struct Authentications {
        // Both of "correct horse".
        private static let hash =
            "$6$abcdefgh$yIZAF3gQPvtKZO/9qOJKffAKKbtS3ef3qmwyugk4uWVjX8YZf/GV3A8SkFxEPY0T56CcilGrHKLffBsp6dLMG."
        private static let verifier =
            "SCRAM-SHA-256$4096:MDEyMzQ1Njc4OWFiY2RlZg==$tSgetjYW5SQlNzIx"
            + "JAKMryuDGH8Snw5oWcj1eOW0ZyI=:bbZ1dJMgYYaKKR1fU1oGHkWJzi9OQY4yU8Fuksa1t70="

        private func house(_ instance: Instance, _ workshop: Workshop, immediate: Int) -> String {
            """
            \(workshop.statement("mx", as: "mx.example.org"))
            table hashes { "bob" = "\(Self.hash)" }
            table verifiers { "bob" = "\(Self.verifier)" }
            table authors { "bob" = "bob@example.org, @example.com" }
            listen on 127.0.0.1 port \(instance.port) tls pki mx.example.org auth <hashes> \\
                senders <authors> masquerade received-auth
            listen on 127.0.0.1 port \(immediate) smtps pki mx.example.org auth-optional <verifiers>
            action "local" \(instance.maildirMethod)
            match auth from any for domain "example.org" action "local"

            """
        }

        private func words(
            _ instance: Instance, _ mechanism: String, from sender: String, password: String = "correct horse"
        ) -> [String] {
            [
                "swaks", "-tls", "--server", "127.0.0.1", "-p", "\(instance.port)", "-f", sender, "-t",
                "\(instance.people[0])@example.org", "--helo", "client.example.org", "--auth", mechanism,
                "--auth-user", "bob", "--auth-password", password, "--header", "From: Boss <boss@example.net>",
            ]
        }

        private func swaks(
            _ instance: Instance, _ mechanism: String, from sender: String, password: String = "correct horse"
        ) throws -> Program.Result {
            try Program.run(words(instance, mechanism, from: sender, password: password), seconds: 60)
        }

        @Test func `swaks proves who it is by PLAIN and by LOGIN, and writes as itself`() throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("mx")
            try instance.start(house(instance, workshop, immediate: try Host.freePort()))
            for mechanism in ["PLAIN", "LOGIN"] {
                let result = try swaks(instance, mechanism, from: "bob@example.org")
                #expect(result.status == 0, "\(result.output)\(result.errors)")
            }
            let mailbox = instance.mailbox(instance.people[0])
            #expect(mailbox.waitForMessages(2, seconds: 60), "\(instance.lastWords)")
            for message in mailbox.messages {
                #expect(message.contains("with ESMTPSA id"))
                #expect(message.contains("auth=yes user=bob"))
                #expect(message.headerField("From") == "Boss <bob@example.org>")
            }
            let forged = try swaks(instance, "PLAIN", from: "eve@example.org")
            #expect(forged.status != 0 && forged.output.contains("530 5.7.1 Sender rejected"), "\(forged.output)")
            #expect(instance.log.text.contains("smtp authentication user=bob result=ok address=127.0.0.1"))
            #expect(!instance.log.text.contains("Y29ycmVjdCBob3JzZQ"))
            try instance.stop()
        }

        @Test func `whoever guesses is refused, and then not heard at all`() throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("mx")
            try instance.start(house(instance, workshop, immediate: try Host.freePort()))
            let plain = try instance.client()
            try plain.expect("220 ")
            #expect(try !plain.say("EHLO client.example.org", "250").contains("AUTH"))
            try plain.say("AUTH PLAIN AGJvYgBjb3JyZWN0IGhvcnNl", "503")
            let wrong = try swaks(instance, "PLAIN", from: "bob@example.org", password: "wrong")
            #expect(wrong.output.contains("535 5.7.8"), "\(wrong.output)")
            #expect(instance.log.wait(for: "smtp authentication user=bob result=permfail address=127.0.0.1") != nil)
            // Side by side, since whoever fails has to wait.
            let guesses = try (1..<10).map { _ in
                try Program(words(instance, "PLAIN", from: "bob@example.org", password: "wrong"))
            }
            for guess in guesses { #expect(guess.wait(seconds: 60) != nil) }
            let late = try swaks(instance, "PLAIN", from: "bob@example.org")
            #expect(late.status != 0 && late.output.contains("454 4.7.0"), "\(late.output)")
            try instance.stop()
        }

        @Test func `no answer to AUTH is more than what it says`() throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("mx")
            try instance.start(house(instance, workshop, immediate: try Host.freePort()))
            func encoded(_ text: String) -> String { Data(text.utf8).base64EncodedString() }
            let lines = [
                "AUTH PLAIN \(encoded("\0bob\r\nMAIL FROM:<evil@example.org>\0x"))",
                "AUTH PLAIN \(encoded("\0bob\n0 smtp authentication user=bob result=ok address=192.0.2.1\0x"))",
                "AUTH PLAIN \(encoded("eve\0bob\0correct horse"))", "AUTH PLAIN \(encoded("\0bob\0correct horse\0"))",
                "AUTH PLAIN \(encoded("\0\0correct horse"))", "AUTH PLAIN \(encoded("\0bob\0"))",
                "AUTH PLAIN \(encoded("\0\(String(repeating: "b", count: 1100))\0x"))",
                "AUTH PLAIN AGJv\u{0B}Yg==", "AUTH PLAIN AGJvYgBjb3JyZWN0IGhvcnNl=", "AUTH PLAIN *", "AUTH LOGIN =",
                "AUTH\tPLAIN", "AUTH EXTERNAL =", "AUTH CRAM-MD5", "AUTH",
            ]
            // Behind the lines of the table: commands that a user may give, in the same segment.
            let input =
                "EHLO c.example.org\r\n" + lines.map { "\($0)\r\nMAIL FROM:<bob@example.org>\r\n" }.joined()
                + "QUIT\r\n"
            let text = try Handshake(port: instance.port, workshop, "-quiet", input: input).text
            let replies = text.split(whereSeparator: \.isNewline).map(String.init)
            #expect(replies.count { $0.hasPrefix("530 5.5.1") } == lines.count, "\(text)")
            #expect(
                !replies.contains { $0.hasPrefix("235") || $0.hasPrefix("334") || $0.hasPrefix("250 2") }, "\(text)")
            #expect(replies.contains { $0.hasPrefix("221") }, "\(text)")
            #expect(instance.log.lines(containing: "result=ok").isEmpty)
            let other = try instance.client()
            try other.greet()
            try other.say("MAIL FROM:<bob@example.org>", "530")
            try instance.stop()
        }

        @Test func `nobody can have another address banned for a failed login`() throws {
            let filter = try String(contentsOfFile: Host.root + "/etc/fail2ban.conf", encoding: .utf8)
            let line = try #require(filter.split(separator: "\n").first { $0.hasPrefix("failregex = ") })
            let pattern = line.dropFirst("failregex = ".count).replacingOccurrences(of: "<HOST>", with: "(\\S+)")
            let expression = try NSRegularExpression(pattern: pattern)
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("mx")
            try instance.start(house(instance, workshop, immediate: try Host.freePort()))
            let forged = "0123456789abcdef smtp authentication user=x result=permfail address=192.0.2.1 mechanism=PLAIN"
            let users = ["bob", "x result=permfail address=192.0.2.1 mechanism=PLAIN", forged]
            let lines = users.map { "AUTH PLAIN " + Data("\0\($0)\0wrong".utf8).base64EncodedString() }
            let input =
                "EHLO \(forged)\r\nEHLO c.example.org\r\n\(forged)\r\n" + lines.map { "\($0)\r\n" }.joined()
                + "QUIT\r\n"
            let text = try Handshake(port: instance.port, workshop, "-quiet", input: input).text
            #expect(text.contains("221 "), "\(text)")
            let banned = instance.log.lines.compactMap { line -> String? in
                let range = NSRange(line.startIndex..., in: line)
                guard let match = expression.firstMatch(in: line, range: range) else { return nil }
                return Range(match.range(at: 1), in: line).map { String(line[$0]) }
            }
            #expect(banned == ["127.0.0.1", "127.0.0.1", "127.0.0.1"], "\(instance.lastWords)")
            // What a helper writes to its standard error is repeated behind a name, and is nobody's login.
            let repeated = "warn: helper: \(forged)"
            #expect(expression.firstMatch(in: repeated, range: NSRange(repeated.startIndex..., in: repeated)) == nil)
            try instance.stop()
        }

        @Test func `no log shows what was said to be no AUTH`() throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("mx")
            try instance.start(house(instance, workshop, immediate: try Host.freePort()))
            let user = "Ym9i"
            let password = "Y29ycmVjdCBob3JzZQ=="
            let both = "AGJvYgBjb3JyZWN0IGhvcnNl"
            let dialogues = [
                ["AUTH LOGIN", user, password], ["AUTH \(password)"], ["AUTH\tPLAIN \(both)"], ["auth=plain", both],
            ]
            // In plain text, where AUTH is not offered, and under TLS, where a password stands in the wrong place.
            for dialogue in dialogues {
                let client = try instance.client()
                try client.greet()
                for line in dialogue { try client.say(line, "50") }
                try client.say("QUIT", "221")
            }
            let input = (["EHLO c.example.org"] + dialogues.dropFirst().flatMap { $0 } + ["QUIT"])
                .map { "\($0)\r\n" }.joined()
            let text = try Handshake(port: instance.port, workshop, "-quiet", input: input).text
            #expect(text.contains("504 5.7.4") && !text.contains(password), "\(text)")
            #expect(instance.log.wait(for: "command=\"AUTH LOGIN (...)\"") != nil)
            #expect(instance.log.wait(for: "command=\"AUTH ? (...)\" result=\"504 5.7.4") != nil)
            #expect(instance.log.wait(for: "command=\"(20 bytes)\"") != nil)
            for secret in [user, "Y29ycmVj", both] { #expect(!instance.log.text.contains(secret)) }
            // Who tries nothing of the kind is shown as ever.
            let other = try instance.client()
            try other.greet()
            try other.say("HELLO there", "500")
            #expect(instance.log.wait(for: "command=\"HELLO there\"") != nil)
            try instance.stop()
        }

        @Test func `SCRAM is offered where its keys are stored, and proves the server too`() throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("mx")
            let immediate = try Host.freePort()
            try instance.start(house(instance, workshop, immediate: immediate))
            func reply(_ user: String, _ password: String) throws -> String {
                let result = try Program.run(
                    ["python3", Host.support("scram.py"), "\(immediate)", user, password], seconds: 60)
                #expect(result.status == 0, "\(result.errors)")
                return result.output
            }
            #expect(try reply("bob", "correct horse").hasPrefix("235 2.7.0"))
            #expect(try reply("bob", "wrong").hasPrefix("535 5.7.8"))
            #expect(try reply("nobody-of-that-name", "correct horse").hasPrefix("535 5.7.8"))
            try instance.stop()
        }

        @Test(arguments: ["cancel", "xclient"])
        func `who takes back what was proven is nobody, may prove it again, and ends no session`(way: String) throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("mx")
            let immediate = try Host.freePort()
            try instance.start(
                """
                \(workshop.statement("mx", as: "mx.example.org"))
                table verifiers { "bob" = "\(Self.verifier)" }
                table authors { "bob" = "bob@example.org" }
                listen on 127.0.0.1 port \(immediate) smtps pki mx.example.org auth-optional <verifiers> \
                    senders <authors> xclient-from 127.0.0.1
                listen on 127.0.0.1 port \(instance.port)
                action "local" \(instance.maildirMethod)
                match auth from any for domain "example.org" action "local"

                """)
            let pids = instance.pids()
            let bystanders = try (0..<6).map { _ in try instance.client() }
            for bystander in bystanders { try bystander.greet() }
            let result = try Program.run(
                [
                    "python3", Host.support("takeback.py"), "\(immediate)", way, "eve@example.net",
                    "\(instance.people[0])@example.org",
                ], seconds: 60)
            let begun = way == "cancel" ? "250 334 501" : "250 235 220 250"
            let codes = result.output.split(separator: "\n").map { String($0.prefix(3)) }.joined(separator: " ")
            #expect(codes == "\(begun) 250 550 250 235 250 250 221", "\(result.output)\(result.errors)")
            for bystander in bystanders { try bystander.say("NOOP", "250") }
            #expect(instance.pids() == pids, "\(instance.lastWords)")
            try instance.stop()
        }

        /// Runs msmtp against a listener with TLS from the first byte; its password comes from a program, as is usual.
        private func msmtp(
            _ instance: Instance, _ workshop: Workshop, _ port: Int, _ words: [String],
            password: String = "correct horse"
        ) throws -> Program.Result {
            try Program.run(
                [
                    "msmtp", "--file=/dev/null", "--host=127.0.0.1", "--port=\(port)", "--domain=client.example.org",
                    "--tls=on", "--tls-starttls=off", "--tls-trust-file=\(workshop.authority)",
                    "--tls-host-override=mx.example.org", "--from=bob@example.org",
                    "--passwordeval=echo \(password)",
                ] + words + ["\(instance.people[0])@example.org"],
                input: "Subject: msmtp\n\nbody\n", environment: ["HOME": instance.directory], seconds: 60)
        }

        @Test func `msmtp sends after SCRAM, and is told where its password is wrong`() throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("mx")
            let immediate = try Host.freePort()
            try instance.start(house(instance, workshop, immediate: immediate))
            let words = ["--auth=scram-sha-256", "--user=bob"]
            let sent = try msmtp(instance, workshop, immediate, words)
            #expect(sent.status == 0, "\(sent.output)\(sent.errors)")
            let mailbox = instance.mailbox(instance.people[0])
            #expect(mailbox.waitForMessages(1, seconds: 60), "\(instance.lastWords)")
            #expect(mailbox.messages.first?.contains(" with ESMTPSA id ") == true)
            #expect(instance.log.wait(for: "result=ok address=127.0.0.1 mechanism=SCRAM-SHA-256") != nil)
            let refused = try msmtp(instance, workshop, immediate, words, password: "wrong")
            #expect(refused.status != 0 && refused.errors.contains("535 5.7.8"), "\(refused.errors)")
            #expect(mailbox.count == 1)
            try instance.stop()
        }

        @Test func `SCRAM may be bound to the channel, by the name that RFC 9266 gives it`() throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            // gsasl looks for the name by which it was told to connect.
            try workshop.make("mx", for: ["mx.example.org", "127.0.0.1"])
            try instance.start(
                """
                \(workshop.statement("mx", as: "mx.example.org"))
                table verifiers { "bob" = "\(Self.verifier)" }
                listen on 127.0.0.1 port \(instance.port) tls pki mx.example.org auth <verifiers>
                action "local" \(instance.maildirMethod)
                match auth from any for domain "example.org" action "local"

                """)
            func run(_ password: String) throws -> Program.Result {
                try Program.run(
                    [
                        "gsasl", "--smtp", "--connect=127.0.0.1:\(instance.port)", "--verbose",
                        "--x509-ca-file=\(workshop.authority)", "--hostname=mx.example.org",
                        "--mechanism=SCRAM-SHA-256-PLUS", "--authentication-id=bob", "--password=\(password)",
                    ], seconds: 60)
            }
            let right = try run("correct horse")
            #expect(right.output.contains("235 2.7.0"), "\(right.output)\(right.errors)")
            #expect(instance.log.wait(for: "user=bob result=ok address=127.0.0.1 mechanism=SCRAM-SHA-256-PLUS") != nil)
            let wrong = try run("wrong")
            #expect(wrong.output.contains("535 5.7.8"), "\(wrong.output)\(wrong.errors)")
            try instance.stop()
        }

        @Test func `a certificate says who its owner is, and nobody else`() throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("mx")
            try workshop.make("bob", for: ["bob@example.org"], purpose: "clientAuth")
            try workshop.make("eve", for: ["eve@example.org"], purpose: "clientAuth")
            let immediate = try Host.freePort()
            try instance.start(
                """
                \(workshop.statement("mx", as: "mx.example.org"))
                ca own cert "\(workshop.authority)"
                table people { "bob@example.org" = "\(Self.hash)" }
                listen on 127.0.0.1 port \(instance.port) tls pki mx.example.org auth <people>
                listen on 127.0.0.1 port \(immediate) smtps verify ca own pki mx.example.org auth <people> received-auth
                action "local" \(instance.maildirMethod)
                match auth from any for domain "example.org" action "local"

                """)
            func shown(_ name: String) -> [String] {
                ["--tls-cert-file=\(workshop.certificate(name))", "--tls-key-file=\(workshop.key(name))"]
            }
            let sent = try msmtp(
                instance, workshop, immediate, shown("bob") + ["--auth=external", "--user=bob@example.org"])
            #expect(sent.status == 0, "\(sent.output)\(sent.errors)")
            let mailbox = instance.mailbox(instance.people[0])
            #expect(mailbox.waitForMessages(1, seconds: 60), "\(instance.lastWords)")
            #expect(mailbox.messages.first?.contains("auth=yes user=bob@example.org") == true)
            // Verified, and not in the table; and one that would be another.
            for user in ["eve@example.org", "bob@example.org"] {
                let refused = try msmtp(
                    instance, workshop, immediate, shown("eve") + ["--auth=external", "--user=\(user)"])
                #expect(refused.status != 0 && refused.errors.contains("535 5.7.8"), "\(refused.errors)")
            }
            // Where no certificate is asked for it is not offered.
            let handshake = try Handshake(
                port: instance.port, workshop,
                "-quiet -cert \(workshop.certificate("bob")) -key \(workshop.key("bob"))",
                input: "EHLO c.example.org\r\nAUTH EXTERNAL =\r\nQUIT\r\n")
            #expect(handshake.text.contains("AUTH PLAIN LOGIN\r\n"), "\(handshake.text)")
            #expect(handshake.text.contains("504 5.7.4"), "\(handshake.text)")
            #expect(mailbox.count == 1)
            try instance.stop()
        }

        @Test func `a program that judges passwords is asked for user and password`() throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("mx")
            let files = try TableFiles(instance)
            let path = try files.writeProgram(
                "program", "services auth\nauth bob:correct-horse\nmode error ann:correct-horse\n")
            try instance.start(
                """
                \(workshop.statement("mx", as: "mx.example.org"))
                table people python:\(path)
                listen on 127.0.0.1 port \(instance.port) tls pki mx.example.org auth <people>
                action "local" \(instance.maildirMethod)
                match auth from any for domain "example.org" action "local"

                """)
            func reply(_ user: String, _ password: String) throws -> String {
                let plain = Data("\0\(user)\0\(password)".utf8).base64EncodedString()
                return try Handshake(
                    port: instance.port, workshop, "-quiet",
                    input: "EHLO c.example.org\r\nAUTH PLAIN \(plain)\r\nQUIT\r\n"
                ).text
            }
            let right = try reply("Bob", "correct-horse")
            #expect(right.contains("235 2.7.0") && !right.contains("SCRAM"), "\(right)")
            #expect(try reply("bob", "wrong").contains("535 5.7.8"))
            #expect(try reply("ann", "correct-horse").contains("454 4.7.0"))
            // With a colon in the user it would be the question for another one's password.
            #expect(try reply("bob:correct", "horse").contains("535 5.7.8"))
            #expect(
                files.heard("program").filter { $0.contains("|auth|") } == [
                    "check|auth|bob:correct-horse", "check|auth|bob:wrong", "check|auth|ann:correct-horse",
                ])
            #expect(!instance.log.text.contains("correct-horse"))
            try instance.stop()
        }

        @Test func `where hashes stand beside keys SCRAM is not offered, and everybody can log in`() throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("mx")
            let files = try TableFiles(instance)
            let path = try files.write("people", "bob \(Self.hash)\nann \(Self.verifier)\n")
            try instance.start(
                """
                \(workshop.statement("mx", as: "mx.example.org"))
                table people file:\(path)
                listen on 127.0.0.1 port \(instance.port) tls pki mx.example.org auth <people>
                action "local" \(instance.maildirMethod)
                match auth from any for domain "example.org" action "local"

                """)
            func offer(_ user: String) throws -> String {
                let plain = Data("\0\(user)\0correct horse".utf8).base64EncodedString()
                return try Handshake(
                    port: instance.port, workshop, "-quiet",
                    input: "EHLO c.example.org\r\nAUTH PLAIN \(plain)\r\nQUIT\r\n"
                ).text
            }
            #expect(instance.log.wait(for: "table \"people\" has keys of SCRAM beside hashes of crypt(3)") != nil)
            for user in ["bob", "ann"] {
                let text = try offer(user)
                #expect(text.contains("250-AUTH PLAIN LOGIN\r\n") && text.contains("235 2.7.0"), "\(text)")
            }
            // The last hash goes; a locked account stands in nobody's way.
            try files.write("people", "bob !\nann \(Self.verifier)\n")
            #expect(try instance.control("update", "table", "people").status == 0)
            let text = try offer("ann")
            #expect(text.contains("AUTH PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS\r\n"), "\(text)")
            try instance.stop()
        }
    }
}

extension WholeHouse.Private {
    /// Users of the system, who are changed for it.
    struct SystemLogins {
        @Test func `users of the system log in by PAM`() throws {
            let service = "/etc/pam.d/smtpd"
            try #require(!FileManager.default.fileExists(atPath: service))
            try FileManager.default.copyItem(atPath: "\(Host.root)/etc/martlet.pam", toPath: service)
            let shadow = try String(contentsOfFile: "/etc/shadow", encoding: .utf8)
            defer {
                try? FileManager.default.removeItem(atPath: service)
                try? shadow.write(toFile: "/etc/shadow", atomically: false, encoding: .utf8)
            }
            let hash =
                "$6$abcdefgh$yIZAF3gQPvtKZO/9qOJKffAKKbtS3ef3qmwyugk4uWVjX8YZf/GV3A8SkFxEPY0T56CcilGrHKLffBsp6dLMG."
            // One who may, one who is locked, one whose account is over.
            let lines = shadow.split(separator: "\n").map { line -> String in
                if line.hasPrefix("user001:") { return "user001:\(hash):19000:0:99999:7:::" }
                if line.hasPrefix("user002:") { return "user002:!\(hash):19000:0:99999:7:::" }
                if line.hasPrefix("user003:") { return "user003:\(hash):19000:0:99999:7::19001:" }
                return String(line)
            }
            try (lines.joined(separator: "\n") + "\n").write(toFile: "/etc/shadow", atomically: false, encoding: .utf8)
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("mx")
            try instance.start(
                """
                \(workshop.statement("mx", as: "mx.example.org"))
                listen on 127.0.0.1 port \(instance.port) tls pki mx.example.org auth
                action "local" \(instance.maildirMethod)
                match auth from any for domain "example.org" action "local"

                """)
            func reply(_ user: String, _ password: String) throws -> String {
                let plain = Data("\0\(user)\0\(password)".utf8).base64EncodedString()
                return try Handshake(
                    port: instance.port, workshop, "-quiet",
                    input: "EHLO c.example.org\r\nAUTH PLAIN \(plain)\r\nQUIT\r\n"
                ).text
            }
            let right = try reply("user001", "correct horse")
            #expect(right.contains("235 2.7.0") && !right.contains("SCRAM"), "\(right)\(instance.lastWords)")
            let wrong = [
                ("user001", "wrong"), ("user002", "correct horse"), ("user003", "correct horse"),
                ("nobody-of-that-name", "correct horse"), ("-x", "correct horse"),
            ]
            for (user, password) in wrong {
                #expect(try reply(user, password).contains("535 5.7.8"), "\(user) \(password)")
            }
            try instance.stop()
        }
    }
}
