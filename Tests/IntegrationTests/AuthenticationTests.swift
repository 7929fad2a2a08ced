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
            table senders { "bob" = "bob@example.org, @example.com" }
            listen on 127.0.0.1 port \(instance.port) tls pki mx.example.org auth <hashes> \\
                senders <senders> masquerade received-auth
            listen on 127.0.0.1 port \(immediate) smtps pki mx.example.org auth-optional <verifiers>
            action "local" \(instance.maildirMethod)
            match auth from any for domain "example.org" action "local"

            """
        }

        private func swaks(
            _ instance: Instance, _ mechanism: String, from sender: String, password: String = "correct horse"
        ) throws -> Program.Result {
            try Program.run(
                [
                    "swaks", "-tls", "--server", "127.0.0.1", "-p", "\(instance.port)", "-f", sender, "-t",
                    "\(instance.people[0])@example.org", "--helo", "client.example.org", "--auth", mechanism,
                    "--auth-user", "bob", "--auth-password", password, "--header", "From: Boss <boss@example.net>",
                ], seconds: 60)
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
            for _ in 1..<10 { _ = try swaks(instance, "PLAIN", from: "bob@example.org", password: "wrong") }
            let late = try swaks(instance, "PLAIN", from: "bob@example.org")
            #expect(late.status != 0 && late.output.contains("454 4.7.0"), "\(late.output)")
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
    }
}
