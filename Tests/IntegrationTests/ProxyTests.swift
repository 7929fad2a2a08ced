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
