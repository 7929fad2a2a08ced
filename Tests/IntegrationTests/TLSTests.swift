// SPDX-License-Identifier: ISC

import Foundation
import Glibc
import Testing

extension WholeHouse.Unprivileged {
    /// Clients of a listener under TLS.
    struct Protected {
        private func house(
            _ instance: Instance, _ workshop: Workshop, _ options: String, immediate: Int? = nil, extra: String = ""
        ) -> String {
            """
            \(workshop.statement("mx", as: "mx.example.org"))
            \(extra)
            listen on 127.0.0.1 port \(instance.port) \(options)
            \(immediate.map { "listen on 127.0.0.1 port \($0) smtps pki mx.example.org" } ?? "")
            action "local" \(instance.maildirMethod)
            match from any for domain "example.org" action "local"

            """
        }

        private static let tls = "tls pki mx.example.org"

        @Test func `swaks, curl and smtplib bring mail under STARTTLS and under TLS from the first byte`() throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("mx")
            let immediate = try Host.freePort()
            try instance.start(house(instance, workshop, Self.tls, immediate: immediate))
            let person = instance.people[0]
            let message = workshop.path("message")
            try "Subject: curl\r\n\r\nbody\r\n".write(toFile: message, atomically: true, encoding: .utf8)
            var sent = 0
            func run(_ words: [String], _ input: String = "") throws {
                let result = try Program.run(words, input: input, seconds: 60)
                #expect(result.status == 0, "\(words.joined(separator: " ")): \(result.output)\(result.errors)")
                sent += 1
            }
            for (option, port) in [("-tls", instance.port), ("-tlsc", immediate)] {
                try run([
                    "swaks", option, "--tls-verify", "--tls-ca-path", workshop.authority, "--tls-sni", "mx.example.org",
                    "-s", "mx.example.org", "--server", "127.0.0.1", "-p", "\(port)", "-f", "a@example.net", "-t",
                    "\(person)@example.org", "--helo", "client.example.org",
                ])
            }
            for (scheme, port) in [("smtp", instance.port), ("smtps", immediate)] {
                try run([
                    "curl", "-sS", "--ssl-reqd", "--cacert", workshop.authority, "--resolve",
                    "mx.example.org:\(port):127.0.0.1", "\(scheme)://mx.example.org:\(port)", "--mail-from",
                    "a@example.net", "--mail-rcpt", "\(person)@example.org", "-T", message,
                ])
            }
            let script = """
                import smtplib, ssl, sys
                context = ssl.create_default_context(cafile=sys.argv[2])
                context.check_hostname = False
                client = smtplib.SMTP("127.0.0.1", int(sys.argv[1]), "client.example.org")
                client.starttls(context=context)
                client.ehlo()
                assert not client.has_extn("starttls")
                client.sendmail("a@example.net", [sys.argv[3]], "Subject: smtplib\\n\\nbody\\n")
                client.quit()
                """
            try run(["python3", "-c", script, "\(instance.port)", workshop.authority, "\(person)@example.org"])
            let mailbox = instance.mailbox(person)
            #expect(mailbox.waitForMessages(sent, seconds: 60), "\(instance.lastWords)")
            for message in mailbox.messages {
                #expect(message.contains(" with ESMTPS id "), "\(message)")
                #expect(message.contains(" (TLSv1.3:TLS_AES_256_GCM_SHA384:256:NO)"), "\(message)")
            }
            #expect(instance.log.wait(for: "smtp tls ciphers=TLSv1.3:TLS_AES_256_GCM_SHA384:256") != nil)
            try instance.stop()
        }

        @Test(arguments: Workshop.Kind.allCases)
        func `each kind of key serves TLS 1_2 and 1_3, and nothing older is spoken`(kind: Workshop.Kind) throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("mx", kind)
            try instance.start(house(instance, workshop, Self.tls))
            for version in ["-tls1_2", "-tls1_3"] {
                let handshake = try Handshake(
                    port: instance.port, workshop, "\(version) -verify_hostname mx.example.org")
                #expect(handshake.isVerified && handshake.text.contains("221 2.0.0 Bye"), "\(handshake.text)")
            }
            let old = try Handshake(port: instance.port, workshop, "-tls1_1 -cipher ALL:@SECLEVEL=0")
            #expect(old.text.contains("alert protocol version"), "\(old.text)")
            // Without forward secrecy, and not to be had by a key that is elsewhere.
            let plain = try Handshake(port: instance.port, workshop, "-tls1_2 -cipher kRSA")
            #expect(plain.text.contains("Cipher is (NONE)"), "\(plain.text)")
            // What is left over of a handshake that failed is nobody's.
            #expect(try Handshake(port: instance.port, workshop).isVerified)
            try instance.stop()
        }

        @Test func `protocols and ciphers are those of the configuration`() throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("mx")
            let options = Self.tls + " protocols \"!tlsv1.3\" ciphers ECDHE-ECDSA-AES128-GCM-SHA256"
            try instance.start(house(instance, workshop, options))
            let handshake = try Handshake(port: instance.port, workshop)
            #expect(
                handshake.text.contains("New, TLSv1.2, Cipher is ECDHE-ECDSA-AES128-GCM-SHA256"), "\(handshake.text)")
            #expect(try Handshake(port: instance.port, workshop, "-tls1_3").status != 0)
            try instance.stop()
        }

        @Test func `the name that a client wants chooses the certificate, the first is for all others`() throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("mx")
            try workshop.make("wild", .rsa, for: ["*.example.com", "example.com"])
            let options = Self.tls + " pki wild.example.com"
            try instance.start(
                house(instance, workshop, options, extra: workshop.statement("wild", as: "wild.example.com")))
            for (name, subject) in [
                ("mx.example.org", "mx.example.org"), ("a.example.com", "*.example.com"),
                ("EXAMPLE.com", "*.example.com"), ("a.b.example.com", "mx.example.org"),
                ("example.net", "mx.example.org"),
            ] {
                for version in ["-tls1_2", "-tls1_3"] {
                    let handshake = try Handshake(port: instance.port, workshop, "-servername \(name) \(version)")
                    #expect(handshake.subject == subject, "\(name): \(handshake.text)")
                }
            }
            #expect(try Handshake(port: instance.port, workshop, "-noservername").subject == "mx.example.org")
            try instance.stop()
        }

        @Test func `another protocol's client is sent away by an alert`() throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("mx")
            let immediate = try Host.freePort()
            try instance.start(house(instance, workshop, Self.tls, immediate: immediate))
            for name in ["h2", "http/1.1", "ftp,imap"] {
                let handshake = try Handshake(port: immediate, workshop, "-alpn \(name)", startTLS: false)
                #expect(handshake.text.contains("no application protocol"), "\(handshake.text)")
            }
            let handshake = try Handshake(port: immediate, workshop, "-alpn h2,smtp", startTLS: false)
            #expect(handshake.isVerified && handshake.text.contains("ALPN protocol: smtp"), "\(handshake.text)")
            try instance.stop()
        }

        @Test func `a listener that verifies wants a certificate of its authority`() throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("mx")
            try workshop.make("client", for: ["alice@example.org"], purpose: "clientAuth")
            try workshop.makeAuthority("other")
            try workshop.make("stranger", for: ["alice@example.org"], by: "other", purpose: "clientAuth")
            try instance.start(
                house(
                    instance, workshop, "tls-require verify ca own pki mx.example.org",
                    extra: "ca own cert \"\(workshop.authority)\""))
            let input = """
                MAIL FROM:<alice@example.org>\r
                RCPT TO:<\(instance.people[0])@example.org>\r
                DATA\r
                Subject: known\r
                \r
                body\r
                .\r
                QUIT\r

                """
            for version in ["-tls1_2", "-tls1_3"] {
                let nobody = try Handshake(port: instance.port, workshop, version)
                #expect(nobody.text.contains("alert"), "\(nobody.text)")
                #expect(!nobody.text.contains("221 "))
                let stranger = try Handshake(
                    port: instance.port, workshop,
                    "\(version) -cert \(workshop.certificate("stranger")) -key \(workshop.key("stranger"))")
                #expect(!stranger.text.contains("221 "))
                let known = try Handshake(
                    port: instance.port, workshop,
                    "\(version) -quiet -cert \(workshop.certificate("client")) -key \(workshop.key("client"))",
                    input: "EHLO client.example.org\r\n" + input)
                #expect(known.text.contains("Message accepted for delivery"), "\(known.text)")
            }
            let mailbox = instance.mailbox(instance.people[0])
            #expect(mailbox.waitForMessages(2), "\(instance.lastWords)")
            #expect(mailbox.messages.allSatisfy { $0.contains(":YES)") })
            #expect(!instance.log.lines(containing: "cert-check result=\"verified\" fingerprint=\"SHA256:").isEmpty)
            #expect(!instance.log.lines(containing: "reason=tls-accept-failed").isEmpty)
            try instance.stop()
        }

        @Test(arguments: ["-tls1_2", "-tls1_3"])
        func `a ticket is good with each worker, and at its own listener only`(version: String) throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("mx")
            let immediate = try Host.freePort()
            try instance.start(house(instance, workshop, Self.tls, immediate: immediate))
            let ticket = workshop.path("ticket\(version)")
            let first = try Handshake(
                port: immediate, workshop, "\(version) -sess_out \(ticket)", startTLS: false,
                input: "EHLO a.example.org\r\nQUIT\r\n")
            #expect(!first.isResumed && first.isVerified, "\(first.text)")
            // The kernel gives clients to both workers; a ticket is taken wherever it is shown.
            for _ in 1...6 {
                let again = try Handshake(
                    port: immediate, workshop, "\(version) -sess_in \(ticket)", startTLS: false,
                    input: "EHLO a.example.org\r\nQUIT\r\n")
                #expect(again.isResumed && again.text.contains("221 "), "\(again.text)")
            }
            let elsewhere = try Handshake(port: instance.port, workshop, "\(version) -sess_in \(ticket)")
            #expect(!elsewhere.isResumed && elsewhere.text.contains("221 "), "\(elsewhere.text)")
            try instance.stop()
        }

        @Test func `nothing that is sent in plain text is ever taken for protected`() throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("mx")
            try instance.start(house(instance, workshop, Self.tls))
            // In the same segment.
            let eager = try instance.client()
            try eager.greet()
            eager.send(bytes: Array("STARTTLS\r\nEHLO evil.example.org\r\nMAIL FROM:<evil@example.org>\r\n".utf8))
            try eager.expect("500 5.5.1")
            #expect(eager.isClosed())
            // Behind the reply: it is a broken handshake.
            let late = try instance.client()
            try late.greet()
            try late.say("STARTTLS", "220")
            late.send(bytes: Array("EHLO evil.example.org\r\nMAIL FROM:<evil@example.org>\r\n".utf8))
            #expect(late.isClosed())
            // Byte by byte.
            let slow = try instance.client()
            try slow.greet()
            for byte in Array("STARTTLS\r\n".utf8) { slow.send(bytes: [byte]) }
            try slow.expect("220")
            for byte in Array("NOOP\r\n".utf8) { slow.send(bytes: [byte]) }
            #expect(slow.isClosed())
            #expect(instance.log.lines(containing: "evil@example.org").allSatisfy { !$0.contains("smtp message") })
            #expect(try Handshake(port: instance.port, workshop).isVerified)
            try instance.stop()
        }

        @Test func `tls-require takes no mail in plain text, and match tls tells them apart`() throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("mx")
            let open = try Host.freePort()
            try instance.start(
                """
                \(workshop.statement("mx", as: "mx.example.org"))
                listen on 127.0.0.1 port \(instance.port) tls-require pki mx.example.org
                listen on 127.0.0.1 port \(open) tls pki mx.example.org hostname other.example.org
                action "local" \(instance.maildirMethod)
                match tls for domain "example.org" action "local"

                """)
            let client = try instance.client()
            try client.greet()
            try client.say("MAIL FROM:<a@example.org>", "530 5.5.1")
            let plain = try SMTPClient(port: open)
            #expect(try plain.expect("220 ").contains("other.example.org"))
            #expect(try plain.say("EHLO client.example.org", "250").contains("STARTTLS"))
            try plain.say("MAIL FROM:<a@example.org>", "250")
            try plain.say("RCPT TO:<\(instance.people[0])@example.org>", "550")
            let handshake = try Handshake(
                port: open, workshop, "-quiet",
                input: "MAIL FROM:<a@example.org>\r\nRCPT TO:<\(instance.people[0])@example.org>\r\nQUIT\r\n")
            // A session of s_client greets by itself before STARTTLS only.
            #expect(handshake.text.contains("503 5.5.1"), "\(handshake.text)")
            let greeted = try Handshake(
                port: open, workshop, "-quiet",
                input:
                    "EHLO c.example.org\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<\(instance.people[0])@example.org>\r\n"
                    + "QUIT\r\n")
            #expect(greeted.text.contains("250 2.1.5"), "\(greeted.text)")
            try instance.stop()
        }

        @Test func `renegotiation is refused, however often it is asked for`() throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("mx")
            let immediate = try Host.freePort()
            try instance.start(house(instance, workshop, Self.tls, immediate: immediate))
            for _ in 1...20 {
                let handshake = try Handshake(
                    port: immediate, workshop, "-tls1_2 -legacy_renegotiation", startTLS: false,
                    input: "R\nNOOP\r\nQUIT\r\n")
                #expect(!handshake.text.contains("221 2.0.0"), "\(handshake.text)")
            }
            #expect(try Handshake(port: immediate, workshop, startTLS: false).text.contains("221 "))
            try instance.stop()
        }
    }
}
