// SPDX-License-Identifier: ISC

import Foundation
import Testing

/// Hosts that want to know who we are: relay option auth.
private enum Proof {
    // RFC 7677 section 3: the keys of the password "pencil".
    static let keys =
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
        + ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    static let password = "pencil"

    static func workshop(_ instance: Instance) throws -> Workshop {
        let workshop = try Workshop(instance)
        try workshop.make("hop", for: ["mx.example.net", "127.0.0.1"])
        return workshop
    }

    /// All mail goes to the host, with what the file `secrets` has for the label.
    static func configuration(_ instance: Instance, _ workshop: Workshop, host: String, auth: String) -> String {
        """
        ca own cert "\(workshop.authority)"
        listen on 127.0.0.1 port \(instance.port)
        table secrets "file:\(instance.directory)/secrets"
        action "out" relay host \(host) \(auth) ca own
        match for any action "out"

        """
    }
}

extension WholeHouse.Unprivileged {
    struct ProvenRelays {
        private func write(_ instance: Instance, _ text: String) throws {
            try TableFiles(instance).write("secrets", text)
        }

        @Test(arguments: [(Proof.keys, "SCRAM-SHA-256"), ("", "PLAIN")])
        func `a Martlet proves itself to another one`(keys: String, mechanism: String) throws {
            let hop = try Instance(name: "n")
            let workshop = try Proof.workshop(hop)
            var stored = keys
            if stored.isEmpty {
                stored = try hop.control("encrypt", Proof.password).output.trimmingCharacters(in: .newlines)
            }
            try hop.start(
                """
                \(workshop.statement("hop", as: "mx.example.net"))
                table people { "bob" = "\(stored)" }
                listen on 127.0.0.1 port \(hop.port) tls-require pki mx.example.net auth <people>
                action "local" \(hop.maildirMethod)
                match from any auth for any action "local"

                """)
            let instance = try Instance()
            try write(instance, "isp bob:\(Proof.password)\n")
            try instance.start(
                Proof.configuration(
                    instance, workshop, host: "smtp+tls://isp@127.0.0.1:\(hop.port)", auth: "auth <secrets>"))
            try instance.submit(to: ["\(hop.people[0])@example.com"])
            #expect(hop.mailbox(hop.people[0]).waitForMessages(1), "\(instance.lastWords) \(hop.lastWords)")
            #expect(hop.log.wait(for: "smtp authentication user=bob") != nil, "\(hop.lastWords)")
            #expect(try instance.isQueueEmpty(), "\(instance.queueText)")
            #expect(!instance.log.text.contains(Proof.password) && !hop.log.text.contains(Proof.password))
            try instance.stop()
            try hop.stop()
        }

        @Test func `mail waits where the host does not know who we are, and says why, but not what we said`() throws {
            let instance = try Instance()
            let workshop = try Proof.workshop(instance)
            let hop = try Sink(instance, options: ["--tls", workshop.certificate("hop"), workshop.key("hop")])
            let plain = try Sink(instance)
            let parrot = try Sink(instance, options: ["--tls", workshop.certificate("hop"), workshop.key("hop")])
            try parrot.answer("hello", "250-sink.example.org\\r\\n250-STARTTLS\\r\\n250 AUTH PLAIN")
            try write(instance, "isp bob:\(Proof.password)\nbad :x\n")
            let host = "smtp+tls://isp@127.0.0.1"
            let actions = [
                ("offer", "host \(host):\(hop.port) auth <secrets> ca own", "AUTH not advertised"),
                ("table", "host smtp+tls://none@127.0.0.1:\(hop.port) ca own", "No auth table for relay"),
                (
                    "label", "host smtp+tls://other@127.0.0.1:\(hop.port) auth <secrets> ca own",
                    "Could not retrieve credentials for other"
                ),
                (
                    "value", "host smtp+tls://bad@127.0.0.1:\(hop.port) auth <secrets> ca own",
                    "Could not retrieve credentials for bad"
                ),
                (
                    "plain", "host \(host):\(plain.port) auth <secrets> ca own",
                    "TLS required but not supported by remote host"
                ),
                ("echo", "host \(host):\(parrot.port) auth <secrets> ca own", "AUTH: 500 5.5.2 Authentication refused"),
            ]
            let lines = actions.map { "action \"\($0.0)\" relay \($0.1)" }
            let rules = actions.map { "match for domain \"\($0.0).example.com\" action \"\($0.0)\"" }
            try instance.start(
                """
                ca own cert "\(workshop.authority)"
                listen on 127.0.0.1 port \(instance.port)
                table secrets "file:\(instance.directory)/secrets"
                \((lines + rules).joined(separator: "\n"))

                """)
            for (name, _, _) in actions { try instance.submit(to: ["bob@\(name).example.com"]) }
            for (name, _, reason) in actions {
                let hasSaid = eventually(within: 60) {
                    instance.log.lines(containing: "to=<bob@\(name).example.com>").contains {
                        $0.contains("result=\"TempFail\"") && $0.contains(reason)
                    }
                }
                #expect(hasSaid, "\(name): \(instance.lastWords)")
            }
            #expect(hop.messages.isEmpty && plain.messages.isEmpty && parrot.messages.isEmpty)
            #expect(!instance.log.text.contains(Proof.password))
            // A server that repeats what it refuses tells nobody but us.
            let said = Data("\0bob\0\(Proof.password)".utf8).base64EncodedString()
            for text in [instance.log.text, instance.queueText] {
                #expect(text.contains("Authentication refused") && !text.contains(said), "\(text)")
            }
            // The reason is still that one when the host is left alone because of it.
            try instance.submit(to: ["carol@offer.example.com"])
            let isStillSaid = eventually(within: 60) {
                instance.log.lines(containing: "to=<carol@offer.example.com>").contains {
                    $0.contains("result=\"TempFail\"") && $0.contains("AUTH not advertised")
                }
            }
            #expect(isStillSaid, "\(instance.lastWords)")
            try instance.stop()
        }
    }
}

extension WholeHouse.Private {
    struct ProvenNextHops {
        @Test(.enabled(if: EximPeer.isThere, "\(EximPeer.why)"), arguments: ["PLAIN", "LOGIN"])
        func `Exim takes mail from whom it knows, and a wrong password waits until it is mended`(
            mechanism: String
        ) throws {
            let instance = try Instance()
            let workshop = try Proof.workshop(instance)
            let peer = try EximPeer(instance, workshop, mechanism: mechanism)
            let files = try TableFiles(instance)
            try files.write("secrets", "isp bob:wrong horse\n")
            try instance.start(
                Proof.configuration(
                    instance, workshop, host: "smtp+tls://isp@127.0.0.1:\(peer.port)", auth: "auth <secrets>"))
            try instance.submit(to: ["bob@example.com"])
            let line = try #require(instance.log.wait(for: "mta delivery"), "\(instance.lastWords) \(peer.log)")
            #expect(line.contains("result=\"TempFail\"") && line.contains("AUTH: 535"), "\(line)")
            #expect(peer.messages.isEmpty)
            try files.write("secrets", "isp bob:correct horse\n")
            #expect(try instance.control("update", "table", "secrets").status == 0)
            try instance.control("schedule", "all")
            #expect(peer.waitForMessages(1), "\(instance.lastWords) \(peer.log)")
            #expect(peer.log.contains("A=only:bob"), "\(peer.log)")
            #expect(!instance.log.text.contains("horse"))
            try instance.stop()
        }

        @Test(
            .enabled(if: Host.hasPostfix, "\(Host.withoutPostfix)"),
            .enabled(if: Host.hasDovecot, "\(Host.withoutDovecot)"))
        func `Postfix and Dovecot believe a proof by SCRAM`() throws {
            let instance = try Instance()
            let workshop = try Proof.workshop(instance)
            let dovecot = try Dovecot(instance, password: "pencil")
            let peer = try PostfixPeer(
                instance,
                [
                    "smtpd_tls_security_level = may", "smtpd_tls_cert_file = \(workshop.certificate("hop"))",
                    "smtpd_tls_key_file = \(workshop.key("hop"))", "smtpd_tls_auth_only = yes",
                    "smtpd_sasl_auth_enable = yes", "smtpd_sasl_type = dovecot",
                    "smtpd_sasl_path = inet:127.0.0.1:\(dovecot.authenticationPort)",
                    "smtpd_relay_restrictions = permit_sasl_authenticated, reject",
                    "smtpd_recipient_restrictions = permit_sasl_authenticated, reject",
                ])
            try TableFiles(instance).write("secrets", "isp bob:pencil\n")
            try instance.start(
                Proof.configuration(
                    instance, workshop, host: "smtp+tls://isp@127.0.0.1:\(peer.port)", auth: "auth <secrets>"))
            try instance.submit(to: ["bob@example.com"])
            #expect(peer.waitForMessages(1), "\(instance.lastWords) \(peer.log) \(dovecot.log)")
            #expect(peer.log.contains("sasl_method=SCRAM-SHA-256, sasl_username=bob"), "\(peer.log)")
            try instance.stop()
        }
    }
}
