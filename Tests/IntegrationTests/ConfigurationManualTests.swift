// SPDX-License-Identifier: ISC

import Foundation
import Testing

extension WholeHouse.Unprivileged {
    struct ConfigurationManuals {
        @Test func `a server starts with each example of martlet.conf(5)`() throws {
            let examples = try ManualPage.examples("martlet.conf.5")
            try #require(examples.count >= 9)
            for example in examples {
                let instance = try Instance()
                let files = try TableFiles(instance)
                let workshop = try Workshop(instance)
                try workshop.make("mx")
                let secrets = try files.write("secrets", "isp joe:password\n")
                let aliases = try files.write("aliases", "root: \(instance.people[0])\n")
                // Where the files are, and a port that anybody may have.
                var text = example.replacing("\\e", with: "\\")
                for (shown, here) in [
                    ("/etc/ssl/mx.pem", workshop.certificate("mx")), ("/etc/ssl/private/mx.key", workshop.key("mx")),
                    ("/etc/martlet/secrets", secrets), ("/etc/aliases", aliases),
                    ("listen on lo\n", ""), ("user \"lists\"", "user \"\(instance.people[0])\""),
                    ("listen on eth0 smtps", "listen on 127.0.0.1 port \(try Host.freePort()) smtps"),
                    ("listen on eth0", "listen on 127.0.0.1 port \(instance.port)"),
                ] {
                    text = text.replacing(shown, with: here)
                }
                if !text.contains("listen on") { text = "listen on 127.0.0.1 port \(instance.port)\n" + text }
                if !text.contains("match ") { text += "action \"any\" maildir\nmatch for any action \"any\"\n" }
                try instance.start(text)
                let client = try instance.client()
                try client.greet()
                try client.say("MAIL FROM:<a@example.net>", "250")
                client.send("RCPT TO:<nobody-of-this-host@example.org>")
                // Some take whatever comes for the domain; none fails to find out.
                let reply = try #require(client.reply())
                #expect(reply.hasPrefix("250") || reply.hasPrefix("5"), "\(reply) with \(text)")
                try instance.stop()
            }
        }
    }
}
