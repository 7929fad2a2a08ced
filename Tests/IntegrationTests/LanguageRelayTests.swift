// SPDX-License-Identifier: ISC

import Foundation
import Glibc
import Testing

/// Those of the configurations that show certificates, ask for passwords, or send mail on.
extension WholeHouse.Private.Language {
    // "correct horse"
    private static let hash =
        "$6$abcdefgh$yIZAF3gQPvtKZO/9qOJKffAKKbtS3ef3qmwyugk4uWVjX8YZf/GV3A8SkFxEPY0T56CcilGrHKLffBsp6dLMG."

    @Test func `4 and 7: a laptop gives its mail to a host that asks for a password, which sends it anywhere`() throws {
        let server = try nameServer(
            "mx.isp.net A 203.0.113.26", "example.com MX 10 mx.example.com", "mx.example.com A 203.0.113.25")
        defer { server.kill(9) }
        var sink: Sink?
        var authority = ""
        let host = try instance { instance in
            sink = try Sink(instance, address: "203.0.113.25", port: 25)
            let workshop = try Workshop(instance)
            try workshop.make("m", for: ["mx.isp.net"])
            authority = workshop.authority
            return """
                \(workshop.statement("m"))
                table creds { bob = "\(Self.hash)" }
                listen on 0.0.0.0 port \(instance.port) tls-require pki m auth <creds>
                action out relay
                match from any auth for any action out
                """
        }
        let next = try #require(sink)
        let stranger = try SMTPClient(port: host.port, from: Self.outside)
        try stranger.expect("220")
        let offer = try stranger.say("EHLO client.example.org", "250")
        #expect(offer.contains("STARTTLS") && !offer.contains("AUTH"), "\(offer)")
        try stranger.say("MAIL FROM:<bob@me.org>", "530 5.5.1")
        let secure = [
            "swaks", "-tls", "--server", "203.0.113.26:\(host.port)", "-f", "bob@me.org", "-t", "a@example.com",
        ]
        let unknown = try Program.run(secure + ["--helo", "client.example.org"], seconds: 60)
        #expect(unknown.output.contains("<~* 530 5"), "\(unknown.output)")

        let laptop = try instance { instance in
            let secrets = try TableFiles(instance).write("secrets", "lbl bob:correct horse\n")
            return """
                table secrets file:\(secrets)
                ca own cert "\(authority)"
                listen on lo port \(instance.port)
                action out relay host smtp+tls://lbl@mx.isp.net:\(host.port) ca own auth <secrets> mail-from "@me.org"
                action unproven relay host smtp+tls://lbl@mx.isp.net:\(host.port) auth <secrets>
                match for domain unproven.example.com action unproven
                match for any action out
                """
        }
        try self.offer(laptop, from: "bob@laptop.example.net", to: "carol@example.com")
        #expect(next.waitForMessages(1), "\(laptop.lastWords)\n\(host.lastWords)")
        #expect(next.messages[0].contains("from=<bob@me.org>") || next.messages[0].contains("from=bob@me.org"))
        #expect(next.contents()[0].contains("with ESMTPSA id"), "\(next.contents())")
        // Verified, or not at all: this certificate's authority is none of the host's.
        try self.offer(laptop, to: "carol@unproven.example.com")
        #expect(laptop.log.wait(for: "result=\"TempFail\"") != nil, "\(laptop.lastWords)")
        #expect(next.messages.count == 1)
        try laptop.stop()
        try host.stop()
    }

    @Test func `5: two names with a certificate each, for clients that have one themselves`() throws {
        let server = try nameServer()
        defer { server.kill(9) }
        var made: Workshop?
        let instance = try instance { instance in
            let workshop = try Workshop(instance)
            made = workshop
            for name in ["mx.a.org", "mx.b.org"] { try workshop.make(name, for: [name]) }
            try workshop.make("client", for: ["alice@example.org"], purpose: "clientAuth")
            return """
                \(workshop.statement("mx.a.org"))
                \(workshop.statement("mx.b.org"))
                ca clients cert "\(workshop.authority)"
                listen on lo port \(instance.port) smtps verify pki mx.a.org pki mx.b.org ca clients
                action in maildir
                match from any for local action in
                """
        }
        let workshop = try #require(made)
        let nobody = try Handshake(port: instance.port, workshop, startTLS: false)
        #expect(nobody.text.contains("alert") && !nobody.text.contains("220 "), "\(nobody.text)")
        let proof = "-cert \(workshop.certificate("client")) -key \(workshop.key("client"))"
        let message = """
            EHLO client.example.org\r
            MAIL FROM:<alice@example.org>\r
            RCPT TO:<gilles@localhost>\r
            DATA\r
            Subject: known\r
            \r
            body\r
            .\r
            QUIT\r

            """
        for (options, subject) in [
            ("-servername mx.b.org", "mx.b.org"), ("-servername mx.a.org", "mx.a.org"), ("-noservername", "mx.a.org"),
        ] {
            let known = try Handshake(
                port: instance.port, workshop, "\(options) \(proof)", startTLS: false, input: message)
            #expect(known.subject == subject, "\(known.text)")
        }
        #expect(instance.mailbox("gilles").waitForMessages(3), "\(instance.lastWords)")
        try instance.stop()
    }

    @Test func `8: a backup keeps the mail of a domain until a better host takes it`() throws {
        let server = try nameServer(
            "a.org MX 10 mx1.a.org", "a.org MX 20 mx2.a.org", "a.org MX 30 mx3.a.org", "mx1.a.org A 203.0.113.31",
            "mx2.a.org A 203.0.113.32", "mx3.a.org A 203.0.113.33")
        defer { server.kill(9) }
        var others: [Sink] = []
        let instance = try instance { instance in
            others = try ["203.0.113.32", "203.0.113.33"].map { try Sink(instance, address: $0, port: 25) }
            return """
                listen on 0.0.0.0 port \(instance.port)
                action b relay backup mx "mx2.a.org"
                match from any for domain a.org action b
                """
        }
        try offer(instance, client: Self.outside, to: "bob@a.org")
        let refusal = try offer(instance, client: Self.outside, to: "bob@b.org")
        #expect(refusal.hasPrefix(Self.refusal("bob@b.org")), "\(refusal)")
        #expect(instance.log.wait(for: "result=\"TempFail\"") != nil, "\(instance.lastWords)")
        let best = try Sink(instance, address: "203.0.113.31", port: 25)
        try instance.control("schedule", "all")
        #expect(best.waitForMessages(1), "\(instance.lastWords)")
        #expect(try instance.isQueueEmpty())
        #expect(others.allSatisfy { $0.connections == 0 })
        try instance.stop()
    }

    @Test func `12: limits are kept, and a command runs in its wrapper`() throws {
        let server = try nameServer("gmail.com MX 10 mx.gmail.com", "mx.gmail.com A 203.0.113.28")
        defer { server.kill(9) }
        var sink: Sink?
        let instance = try instance { instance in
            sink = try Sink(instance, address: "203.0.113.28", port: 25)
            let program = try TableFiles(instance).write(
                "dlv", "#!/bin/sh\n(nice; cat) > \"$HOME/dlv.tmp\"\nmv dlv.tmp dlv.out\n")
            chmod(program, 0o755)
            return """
                mta limit for domain gmail.com inet4 max-conn-per-route 2
                smtp limit max-rcpt 2 max-mails 2
                smtp max-message-size 1.5M
                smtp sub-addr-delim "-"
                bounce warn-interval 1h, 6h, 2d, 90m, 5d
                queue ttl 5d
                mda wrapper w "nice %{mda}"
                listen on lo port \(instance.port)
                action slow relay ttl 1d
                action d mda "\(program)" wrapper w
                match for local action d
                match for any action slow
                """
        }
        let home = try #require(Host.account("gilles")).home
        let output = "\(home)/dlv.out"
        unlink(output)
        let client = try instance.client()
        try client.expect("220")
        #expect(try client.say("EHLO localhost", "250").contains("SIZE 1572864"))
        try client.say("MAIL FROM:<al@example.com> SIZE=1572865", "552")
        try client.say("MAIL FROM:<al@example.com>", "250")
        try client.say("RCPT TO:<gilles-tag@localhost>", "250")
        try client.say("RCPT TO:<bob@gmail.com>", "250")
        try client.say("RCPT TO:<carol@gmail.com>", "451 4.5.3")
        try client.say("DATA", "354")
        try client.say("Subject: twelve\r\n\r\nbody\r\n.", "250")
        try client.submit(from: "al@example.com", to: ["carol@gmail.com"], "Subject: second")
        try client.say("MAIL FROM:<al@example.com>", "452 4.5.3")
        #expect(sink?.waitForMessages(2) == true, "\(instance.lastWords)")
        #expect(eventually { access(output, R_OK) == 0 }, "\(instance.lastWords)")
        let delivered = try String(contentsOfFile: output, encoding: .utf8)
        #expect(delivered.hasPrefix("10\n") && delivered.contains("Subject: twelve"), "\(delivered)")
        for (recipient, plan) in [
            ("bob@gmail.com", "action slow: tried for 1d"), ("gilles@localhost", "action d: tried for 5d"),
        ] {
            let told = try explain(instance, "al@example.com", recipient)
            #expect(told.output.contains("plan \(plan)"), "\(told.output)")
        }
        unlink(output)
        try instance.stop()
    }
}
