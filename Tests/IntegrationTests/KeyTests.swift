// SPDX-License-Identifier: ISC

import Foundation
import Glibc
import Testing

extension WholeHouse.Unprivileged {
    /// Where private keys are, and how their certificates are replaced.
    struct PrivateKeys {
        private func house(_ instance: Instance, _ workshop: Workshop, _ port: Int) -> String {
            """
            \(workshop.statement("mx", as: "mx.example.org"))
            listen on 127.0.0.1 port \(instance.port) tls pki mx.example.org
            listen on 127.0.0.1 port \(port) smtps pki mx.example.org
            action "local" \(instance.maildirMethod)
            match from any for domain "example.org" action "local"

            """
        }

        private func clients(_ port: Int, _ workshop: Workshop, _ words: String...) throws -> Program {
            try Program(["python3", Host.support("tls.py"), "\(port)", workshop.authority] + words)
        }

        private func keys(_ instance: Instance) throws -> HouseProcess {
            try #require(instance.daemons().first { $0.role == "keys" })
        }

        @Test func `a thousand handshakes wait for their signatures, half of the clients leave, the others are served`()
            throws
        {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("mx")
            let port = try Host.freePort()
            try instance.start(house(instance, workshop, port))
            let keys = try keys(instance)
            // Keys is there and does not answer.
            kill(keys.pid, SIGSTOP)
            let crowd = try clients(port, workshop, "crowd", "1000")
            #expect(crowd.output.wait(for: "begun 1000", seconds: 60) != nil, "\(crowd.errors.text)")
            try crowd.write("drop 500\n")
            #expect(crowd.output.wait(for: "dropped 500") != nil)
            // Somebody else is served meanwhile.
            let other = try instance.client()
            try other.greet()
            try other.say("NOOP", "250")
            kill(keys.pid, SIGCONT)
            try crowd.write("finish\n")
            let end = crowd.output.wait(for: "finished", seconds: 120)
            #expect(end == "finished done=500 failed=0 waiting=0", "\(crowd.output.text.suffix(2000))")
            crowd.kill(SIGKILL)
            let counts = try instance.control("show", "stats").lines
            #expect(counts.contains { $0.hasPrefix("keys.signature=") }, "\(counts)")
            #expect(try Handshake(port: port, workshop, startTLS: false).isVerified)
            #expect(instance.daemons().filter { $0.role == "listener" }.count == 2)
            try instance.stop()
        }

        @Test func `Keys may be killed at any time`() throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("mx", .rsa)
            let port = try Host.freePort()
            try instance.start(house(instance, workshop, port))
            let load = [try clients(port, workshop, "loop"), try clients(port, workshop, "loop")]
            for _ in 1...3 {
                let keys = try keys(instance)
                let seen = load[0].output.lines.count
                #expect(load[0].output.wait(for: "ok ", from: seen + 5, seconds: 60) != nil)
                kill(keys.pid, SIGKILL)
                let isReplaced = eventually(within: 60) {
                    instance.daemons().contains { $0.role == "keys" && $0.pid != keys.pid }
                }
                #expect(isReplaced)
                let after = load[1].output.lines.count
                #expect(load[1].output.wait(for: "ok ", from: after + 2, seconds: 60) != nil, "\(instance.lastWords)")
            }
            for client in load {
                client.endInput()
                let end = client.output.wait(for: "finished", seconds: 60)
                #expect(end?.hasSuffix(" failed=0") == true, "\(client.output.text.suffix(1000))")
            }
            try instance.stop()
        }

        @Test func `a new certificate is taken as soon as its key is there, and no session notices`() throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("mx")
            try workshop.make("next", .rsa, for: ["mx.example.org", "next.example.org"])
            let port = try Host.freePort()
            try instance.start(house(instance, workshop, port))
            let session = try clients(port, workshop, "crowd", "1")
            #expect(session.output.wait(for: "begun 1") != nil)
            let plain = try instance.client()
            try plain.greet()
            // The certificate first, its key later: until then the old pair is shown.
            func replace(_ kind: String) throws {
                let (from, to) = (workshop.path("next.\(kind)"), workshop.path("mx.\(kind)"))
                try FileManager.default.copyItem(atPath: from, toPath: "\(to).new")
                if kind == "key", let owner = instance.owner { chown("\(to).new", owner.uid, owner.gid) }
                #expect(rename("\(to).new", to) == 0)
            }
            try replace("pem")
            #expect(try Handshake(port: port, workshop, startTLS: false).isVerified)
            try replace("key")
            let isReplaced = eventually(within: 90) {
                instance.log.lines(containing: "certificate of pki mx.example.org replaced").count == 2
            }
            #expect(isReplaced, "\(instance.lastWords)")
            for _ in 1...4 {
                let handshake = try Handshake(
                    port: port, workshop, "-verify_hostname next.example.org", startTLS: false)
                #expect(handshake.isVerified, "\(handshake.text)")
            }
            try plain.say("NOOP", "250")
            // And at a reload.
            try workshop.make("mx")
            #expect(try instance.control("reload").status == 0, "\(instance.lastWords)")
            let isBack = try eventually(within: 60) {
                let shown = try Handshake(port: port, workshop, "-verify_hostname next.example.org", startTLS: false)
                return !shown.isVerified
            }
            #expect(isBack)
            try plain.say("NOOP", "250")
            // Under TLS since before the first of the three.
            try session.write("finish\n")
            #expect(session.output.wait(for: "finished done=1") != nil, "\(session.output.text)")
            try instance.stop()
        }

        @Test func `martletd -n says what is wrong with keys and certificates`() throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            for name in ["mx", "other"] { try workshop.make(name) }
            try workshop.make("old", days: -1)
            try workshop.openssl(
                "pkey -in \(workshop.key("mx")) -aes256 -passout pass:horse -out \(workshop.key("locked"))")
            chmod(workshop.key("locked"), 0o600)
            try "nothing".write(toFile: workshop.path("nothing.pem"), atomically: true, encoding: .utf8)
            if let owner = instance.owner { chown(workshop.key("locked"), owner.uid, owner.gid) }
            func check(_ statements: String, _ options: String = "") throws -> Program.Result {
                try instance.write(
                    """
                    \(statements)
                    listen on 127.0.0.1 port \(instance.port) tls pki mx.example.org \(options)
                    action "local" \(instance.maildirMethod)
                    match from any for domain "example.org" action "local"

                    """)
                return try Program.run(
                    [Host.program("martletd"), "-n", "-f", instance.configurationPath], as: instance.owner)
            }
            func pki(_ certificate: String, _ key: String) -> String {
                "pki mx.example.org cert \"\(workshop.certificate(certificate))\" key \"\(workshop.key(key))\""
            }
            func expect(
                _ result: Program.Result, _ words: String, at place: SourceLocation = #_sourceLocation
            ) {
                #expect(result.status == 1 && result.errors.contains(words), "\(result.errors)", sourceLocation: place)
            }
            let right = try check(pki("mx", "mx"))
            #expect(right.status == 0 && right.errors.contains("configuration OK"), "\(right.errors)")
            expect(try check(pki("mx", "other")), "does not belong to certificate")
            expect(try check(pki("old", "old")), "the certificate has expired")
            expect(try check(pki("mx", "locked")), "one with a password")
            expect(try check(pki("nothing", "mx")), "no certificate in PEM form")
            expect(try check(pki("missing", "mx")), "No such file or directory")
            expect(try check("pki mx.example.org key \"\(workshop.key("mx"))\""), "missing certificate file")
            expect(try check("pki mx.example.org cert \"\(workshop.certificate("mx"))\""), "missing key file")
            expect(try check(pki("mx", "mx"), "ciphers nonsense"), "ciphers nonsense")
            chmod(workshop.key("mx"), 0o644)
            expect(try check(pki("mx", "mx")), "insecure permissions 0644 (chmod 0640")
            // And a server that is told so does not start.
            let (status, lines) = try instance.startInVain()
            #expect(status == 1 && lines.contains { $0.contains("insecure permissions") }, "\(lines)")
        }
    }
}

extension WholeHouse.Private {
    struct KeySecrets {
        /// Whether the memory of a process holds these bytes. The kernel is read, not the program.
        private func memory(of pid: pid_t, holds secret: [UInt8]) throws -> Bool {
            let maps = String(
                decoding: FileManager.default.contents(atPath: "/proc/\(pid)/maps") ?? Data(), as: UTF8.self)
            let descriptor = open("/proc/\(pid)/mem", O_RDONLY)
            try #require(descriptor >= 0)
            defer { close(descriptor) }
            var isFound = false
            var total = 0
            for line in maps.split(separator: "\n") where line.contains(" rw") {
                let range = line.prefix { $0 != " " }.split(separator: "-").compactMap { UInt($0, radix: 16) }
                guard range.count == 2 else { continue }
                var bytes = [UInt8](repeating: 0, count: Int(range[1] - range[0]))
                let count = pread(descriptor, &bytes, bytes.count, off_t(range[0]))
                guard count > 0 else { continue }
                total += count
                let found = bytes.withUnsafeBytes { buffer in
                    buffer.baseAddress.map { memmem($0, count, secret, secret.count) != nil } ?? false
                }
                isFound = isFound || found
            }
            #expect(total > 1 << 18)
            return isFound
        }

        @Test func `no password stays in the memory of those who hear it`() throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("mx")
            let port = try Host.freePort()
            let password = "correct-horse-\(UInt64.random(in: 0...UInt64.max))"
            let hash = try workshop.openssl("passwd -6 -salt abcdefgh \(password)").lines.first ?? ""
            try instance.start(
                """
                \(workshop.statement("mx", as: "mx.example.org"))
                table people { "bob" = "\(hash)" }
                listen on 127.0.0.1 port \(port) smtps pki mx.example.org auth <people>
                action "local" \(instance.maildirMethod)
                match from any for domain "example.org" action "local"

                """)
            let load = try Program(["python3", Host.support("tls.py"), "\(port)", workshop.authority, "loop"])
            let clients = try Program([
                "python3", Host.support("tls.py"), "\(port)", workshop.authority, "logins", "20", "bob", password,
            ])
            let end = clients.output.wait(for: "finished", seconds: 90)
            #expect(end == "finished 20" && clients.output.lines.count == 1, "\(clients.output.text)")
            // As it is, and as it came: of the encoded ones all but the last group, which depends on what follows.
            let forms = [password, "\0bob\0\(password)"].flatMap { text in
                [Array(text.utf8), Array(Data(text.utf8).base64EncodedString().utf8.prefix(24))]
            }
            let roles = ["listener", "lookup", "account"]
            let processes = instance.descendants().filter { roles.contains($0.role) || $0.name.contains("account") }
            #expect(processes.count >= 4, "\(instance.descendants())")
            let parent = try #require(instance.program)
            for (pid, name) in processes.map({ ($0.pid, $0.role) }) + [(parent.pid, "parent")] {
                for form in forms { #expect(try !memory(of: pid, holds: form), "\(name)") }
            }
            clients.endInput()
            load.endInput()
            #expect(load.output.wait(for: "finished", seconds: 60)?.hasSuffix("failed=0") == true)
            try instance.stop()
        }

        @Test(arguments: Workshop.Kind.allCases)
        func `no process but Keys ever holds a private key`(kind: Workshop.Kind) throws {
            let instance = try Instance()
            let workshop = try Workshop(instance)
            try workshop.make("mx", kind)
            let port = try Host.freePort()
            try instance.start(
                """
                \(workshop.statement("mx", as: "mx.example.org"))
                listen on 127.0.0.1 port \(port) smtps pki mx.example.org
                action "local" \(instance.maildirMethod)
                match from any for domain "example.org" action "local"

                """)
            let load = try Program(["python3", Host.support("tls.py"), "\(port)", workshop.authority, "loop"])
            #expect(load.output.wait(for: 20, containing: "ok ", seconds: 60))
            // In the byte order of the key, and in that in which big numbers lie in memory.
            let whole = try workshop.secret("mx")
            for secret in [whole, whole.reversed()] {
                for process in instance.daemons() where process.role != "keys" {
                    #expect(try !memory(of: process.pid, holds: secret), "\(process.role)")
                }
                if let parent = instance.program { #expect(try !memory(of: parent.pid, holds: secret)) }
            }
            // It is there, or this looks for the wrong bytes.
            let keys = try #require(instance.daemons().first { $0.role == "keys" })
            let isHeld = try [whole, whole.reversed()].contains { try memory(of: keys.pid, holds: $0) }
            #expect(isHeld)
            load.endInput()
            #expect(load.output.wait(for: "finished", seconds: 60)?.hasSuffix("failed=0") == true)
            try instance.stop()
        }
    }
}
