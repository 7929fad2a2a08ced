// SPDX-License-Identifier: ISC

import Foundation
import Testing

extension WholeHouse.Unprivileged {
    /// Listeners behind a proxy that hands on what it does not understand.
    struct Proxies {
        private func house(_ instance: Instance, _ workshop: Workshop, immediate: Int) -> String {
            """
            \(workshop.statement("mx", as: "mx.example.org"))
            listen on 127.0.0.1 port \(instance.port) proxy-v2 tls pki mx.example.org
            listen on 127.0.0.1 port \(immediate) proxy-v2 smtps pki mx.example.org
            action "local" \(instance.maildirMethod)
            match from any for domain "example.org" action "local"

            """
        }

        @Test func `a PROXY header and the first record of TLS may come in one segment, or in any two`() throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("mx")
            let immediate = try Host.freePort()
            try instance.start(house(instance, workshop, immediate: immediate))
            let pids = instance.pids()
            let result = try Program.run(
                ["python3", Host.support("tls.py"), "\(immediate)", workshop.authority, "proxied"], seconds: 120)
            #expect(result.status == 0 && result.output.contains(" failed=0"), "\(result.output)\(result.errors)")
            #expect(instance.pids() == pids)
            try instance.stop()
        }

        /// What the recipient of another host hears, behind these lines of a client.
        private func verdict(_ port: Int, header: String? = nil, claim: String? = nil) throws -> String {
            let client = try SMTPClient(port: port)
            if let header { client.send(header) }
            guard let banner = client.reply() else { return "closed" }
            #expect(banner.hasPrefix("220 "))
            if let claim { try client.say("XCLIENT \(claim)", "") }
            try client.say("EHLO client.example.net", "250")
            try client.say("MAIL FROM:<x@example.net>", "250")
            return String(try client.say("RCPT TO:<y@elsewhere.example>", "").prefix(3))
        }

        @Test func `no client inherits what its proxy or its filter may`() throws {
            let instance = try Instance()
            let proxied = try Host.freePort()
            try instance.start(
                """
                listen on 127.0.0.1 port \(instance.port) xclient-from 127.0.0.1
                listen on 127.0.0.1 port \(proxied) proxy-from 127.0.0.1 xclient-from 127.0.0.1
                action "out" relay host smtp://127.0.0.1:1
                match from local for any action "out"

                """)
            let stranger = "PROXY TCP4 203.0.113.9 127.0.0.1 4000 25"
            let host = "PROXY TCP4 127.0.0.1 127.0.0.1 4000 25"
            // Those of this host may relay, and may speak for others.
            #expect(try verdict(instance.port) == "250")
            #expect(try verdict(proxied, header: host) == "250")
            #expect(try verdict(proxied, header: host, claim: "ADDR=203.0.113.9") == "550")
            #expect(try verdict(instance.port, claim: "ADDR=203.0.113.9") == "550")
            // Others may neither, whatever they say.
            #expect(try verdict(proxied, header: stranger) == "550")
            #expect(try verdict(proxied, header: stranger, claim: "ADDR=127.0.0.1") == "550")
            for unknown in ["ADDR=[UNAVAILABLE]", "ADDR=[TEMPUNAVAIL] NAME=localhost"] {
                #expect(try verdict(instance.port, claim: unknown) == "550")
            }
            #expect(try verdict(proxied, header: "PROXY UNKNOWN") == "closed")
            try instance.stop()
        }

        @Test(.enabled(if: HAProxy.isThere, "\(HAProxy.why)"))
        func `haproxy says whose the mail is, in plain text, under STARTTLS and under TLS from the first byte`() throws
        {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("mx")
            let immediate = try Host.freePort()
            try instance.start(house(instance, workshop, immediate: immediate))
            let proxy = try HAProxy(instance, before: [instance.port, immediate])
            let person = instance.people[0]
            for (options, port) in [([], proxy.ports[0]), (["-tls"], proxy.ports[0]), (["-tlsc"], proxy.ports[1])] {
                let result = try Program.run(
                    ["swaks"] + options + [
                        "--server", "127.0.0.1", "-p", "\(port)", "--local-interface", "127.0.0.9", "-f",
                        "a@example.net", "-t", "\(person)@example.org", "--helo", "client.example.org",
                    ], seconds: 60)
                #expect(result.status == 0, "\(result.output)\(result.errors)")
            }
            let mailbox = instance.mailbox(person)
            #expect(mailbox.waitForMessages(3, seconds: 60), "\(instance.lastWords)")
            #expect(mailbox.messages.allSatisfy { $0.contains("[127.0.0.9])") })
            #expect(mailbox.messages.count { $0.contains(" with ESMTPS id ") } == 2)
            try instance.stop()
        }
    }
}
