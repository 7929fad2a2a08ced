// SPDX-License-Identifier: ISC

import Foundation
import Testing

extension WholeHouse.Unprivileged {
    struct Sessions {
        // With -C nc ends lines as SMTP does; without it in bare LF, which is a hand session.
        @Test(arguments: ["nc -C", "nc"])
        func `a message typed by hand through nc on a terminal is delivered`(nc: String) throws {
            let instance = try Instance()
            try instance.start(instance.usual())
            let person = instance.people[0]
            // script gives nc a terminal, whose line discipline makes CR LF of what nc prints.
            let terminal = try Program([
                "script", "-q", "-e", "-c", "stty -echo; exec \(nc) 127.0.0.1 \(instance.port)", "/dev/null",
            ])
            var read = 0
            func hear(_ expected: String) throws -> String {
                let line = try #require(
                    terminal.output.wait(for: expected, from: read), "\(expected): \(terminal.output.text)")
                read = terminal.output.lines.count
                return line.trimmingCharacters(in: .whitespacesAndNewlines)
            }
            let banner = try hear("220 ")
            let name = try #require(banner.split(separator: " ").dropFirst().first)
            #expect(banner == "220 \(name) ESMTP Martlet")
            try terminal.write("HELO localhost\n")
            let hello = try hear("250 ")
            #expect(hello == "250 \(name) Hello localhost [127.0.0.1], pleased to meet you")
            try terminal.write("MAIL FROM:<\(person)>\n")
            #expect(try hear("250 ") == "250 2.0.0 Ok")
            try terminal.write("RCPT TO:<\(person)>\n")
            #expect(try hear("250 ") == "250 2.1.5 Destination address valid: Recipient ok")
            try terminal.write("DATA\n")
            #expect(try hear("354 ") == "354 Enter mail, end with \".\" on a line by itself")
            try terminal.write("Subject: by hand\n\nTyped, not sent.\n.\n")
            let accepted = try hear("250 2.0.0 ")
            #expect(accepted.wholeMatch(of: #/250 2\.0\.0 [0-9a-f]{8} Message accepted for delivery/#) != nil)
            try terminal.write("QUIT\n")
            #expect(try hear("221 ") == "221 2.0.0 Bye")
            let mailbox = instance.mailbox(person)
            #expect(mailbox.waitForMessages(1))
            let message = try #require(mailbox.messages.first)
            #expect(message.messageBody == "Typed, not sent.\n")
            #expect(message.headerField("Subject") == "by hand")
            try instance.stop()
        }

        @Test func `a long directory is as good as a short one`() throws {
            let instance = try Instance(name: String(repeating: "long", count: 30))
            try instance.start(instance.usual())
            try instance.submit(to: ["\(instance.people[0])@example.org"])
            #expect(instance.mailbox(instance.people[0]).waitForMessages(1))
            #expect(try instance.control("show", "status").status == 0)
            try instance.stop()
        }

        @Test func `what is not for us and not from us is refused, and the next is served`() throws {
            let instance = try Instance()
            try instance.start(
                """
                listen on 127.0.0.1 port \(instance.port)
                action "local" \(instance.maildirMethod)
                match for domain "example.org" action "local"

                """)
            let client = try instance.client()
            try client.greet()
            try client.say("MAIL FROM:<alice@example.org>", "250")
            try client.say("RCPT TO:<bob@example.com>", "550")
            try client.say("RCPT TO:<nobody-of-that-name@example.org>", "550")
            try client.say("DATA", "503")
            try client.say("RSET", "250")
            try client.submit(
                from: "alice@example.org", to: ["\(instance.people[0])@example.org"],
                "Subject: dots\n\n.\n..\n.hidden\nlast")
            try client.say("QUIT", "221")
            let mailbox = instance.mailbox(instance.people[0])
            #expect(mailbox.waitForMessages(1))
            #expect(mailbox.messages.first?.messageBody == ".\n..\n.hidden\nlast\n")
            try instance.stop()
        }
    }
}
