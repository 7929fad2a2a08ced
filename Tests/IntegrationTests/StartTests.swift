// SPDX-License-Identifier: ISC

import Foundation
import Glibc
import Testing

/// What cannot start says so in one clear line and ends.
private func expectRefusal(
    _ instance: Instance, _ words: String..., configuration: String? = nil,
    at place: SourceLocation = #_sourceLocation
) throws {
    let (status, lines) = try instance.startInVain(configuration)
    #expect(status == 1, "\(lines)", sourceLocation: place)
    let complaints = lines.filter { !$0.contains(" warn: ") && !$0.contains(" debug: ") }
    #expect(complaints.count == 1, "\(complaints)", sourceLocation: place)
    for word in words {
        #expect(lines.contains { $0.contains(word) }, "\(word) is not in \(lines)", sourceLocation: place)
    }
    #expect(eventually(within: 2) { instance.descendants().isEmpty }, sourceLocation: place)
}

extension WholeHouse.Unprivileged {
    struct Starts {
        @Test func `a port in use is named`() throws {
            let instance = try Instance()
            let other = try Sink(instance)
            try expectRefusal(
                instance, "127.0.0.1", "\(other.port)",
                configuration: instance.usual().replacingOccurrences(of: "\(instance.port)", with: "\(other.port)"))
        }

        @Test func `port 25 without rights is named`() throws {
            let instance = try Instance(unprivileged: true)
            try expectRefusal(
                instance, "127.0.0.1", "25", "ermission",
                configuration: instance.usual().replacingOccurrences(of: "port \(instance.port)", with: "port 25"))
        }

        @Test func `a configuration that is not there is named`() throws {
            let instance = try Instance()
            try expectRefusal(instance, "No such file or directory", "martlet.conf")
        }

        @Test func `a mistake in the configuration is named with its line`() throws {
            let instance = try Instance()
            try expectRefusal(instance, "martlet.conf:1:", configuration: "listen on lo port\n" + instance.usual())
        }

        @Test func `a spool that is open to others is refused`() throws {
            let instance = try Instance()
            try instance.start(instance.usual())
            try instance.stop()
            chmod(instance.spool, 0o755)
            try expectRefusal(instance, instance.spool, "0700")
        }

        @Test func `a second one in the same directory says so, and the first goes on`() throws {
            let instance = try Instance()
            try instance.start(instance.usual())
            let second = try Program(
                [Host.program("martletd"), "-d", "-f", instance.configurationPath, "--instance", instance.directory],
                as: instance.owner)
            #expect(second.wait(seconds: 60) == 1)
            second.errors.waitForEnd()
            #expect(second.errors.lines.count == 1)
            #expect(second.errors.text.contains("already running"))
            try instance.submit(to: ["\(instance.people[0])@example.org"])
            #expect(instance.mailbox(instance.people[0]).waitForMessages(1))
            try instance.stop()
        }

        private static let macros = """
            where = "example.org"
            action "local" maildir
            match for domain $where action "local"

            """

        @Test func `n and v print the configuration as it was understood, with the macros of D`() throws {
            let instance = try Instance()
            try instance.write(Self.macros)
            func check(_ options: String...) throws -> Program.Result {
                try Program.run(
                    [Host.program("martletd")] + options + ["-f", instance.configurationPath], as: instance.owner)
            }
            let written = try check("-nv")
            #expect(written.status == 0)
            #expect(written.output.contains("example.org"), "\(written.output)\(written.errors)")
            let defined = try check("-D", "where=example.net", "-n", "-v")
            #expect(defined.status == 0)
            #expect(defined.output.contains("example.net"), "\(defined.output)\(defined.errors)")
            #expect(!defined.output.contains("example.org"))
            let quiet = try check("-n", "-Dwhere=example.net")
            #expect(quiet.status == 0 && !quiet.output.contains("example"), "\(quiet.output)")
        }

        @Test func `a macro of D is in force in the server`() throws {
            let instance = try Instance()
            let configuration = "listen on 127.0.0.1 port \(instance.port)\n" + Self.macros
            try instance.start(configuration, ["-D", "where=example.net"])
            let client = try instance.client()
            try client.greet()
            try client.say("MAIL FROM:<alice@example.com>", "250")
            try client.say("RCPT TO:<\(instance.people[0])@example.net>", "250")
            try client.say("RCPT TO:<\(instance.people[0])@example.org>", "550")
            try client.say("QUIT", "221")
            try instance.stop()
        }

        @Test func `with F it stays in the foreground, and logs to the system`() throws {
            let instance = try Instance()
            try instance.write(instance.usual())
            let program = try Program(
                [Host.program("martletd"), "-F", "-f", instance.configurationPath, "--instance", instance.directory],
                as: instance.owner)
            defer { program.kill(SIGKILL) }
            let serves = try eventually { try instance.control("show", "status").status == 0 }
            #expect(serves, "\(program.errors.text)")
            // It is the server itself, not one that waits for it.
            #expect(HouseProcess(program.pid)?.name == "martletd")
            #expect(HouseProcess.descendants(of: program.pid).contains { $0.role == "queue" })
            try instance.submit(to: ["\(instance.people[0])@example.org"])
            #expect(instance.mailbox(instance.people[0]).waitForMessages(1))
            // What has no system log to go to is said here, as anything is that stays.
            let hasLog = access("/dev/log", F_OK) == 0
            #expect(program.errors.text.contains("mda delivery") == !hasLog, "\(program.errors.text)")
            program.kill(SIGTERM)
            #expect(program.wait(seconds: 30) == 0)
        }

        @Test func `one without privileges says that nothing is separated`() throws {
            let instance = try Instance(unprivileged: true)
            try instance.start(instance.usual())
            #expect(instance.log.wait(for: "not started by root", seconds: 60) != nil)
            try instance.submit(to: ["\(instance.people[0])@example.org"])
            #expect(instance.mailbox(instance.people[0]).waitForMessages(1))
            try instance.stop()
        }
    }
}

extension WholeHouse.Private {
    struct Starts {
        @Test func `a user that is missing is named, and what to do`() throws {
            let instance = try Instance()
            let passwd = try String(contentsOfFile: "/etc/passwd", encoding: .utf8)
            defer { try? passwd.write(toFile: "/etc/passwd", atomically: false, encoding: .utf8) }
            let others = passwd.split(separator: "\n").filter { !$0.hasPrefix("_martletq:") }.joined(separator: "\n")
            try (others + "\n").write(toFile: "/etc/passwd", atomically: false, encoding: .utf8)
            try expectRefusal(instance, "_martletq", "useradd", configuration: instance.usual())
        }

        @Test func `a configuration that anybody may change is refused`() throws {
            let instance = try Instance()
            try instance.write(instance.usual())
            chmod(instance.configurationPath, 0o666)
            try expectRefusal(instance, "martlet.conf", "writable by everyone")
            chmod(instance.configurationPath, 0o644)
            let part = try TableFiles(instance).write("part.conf", "queue ttl 5d\n")
            chmod(part, 0o666)
            try instance.write("include \"\(part)\"\n\(instance.usual())")
            let place = "martlet.conf:1:9: failed to include file \(part): writable by everyone"
            try expectRefusal(instance, place, "chmod o-w \(part)")
            let check = try Program.run([Host.program("martletd"), "-n", "-f", instance.configurationPath])
            #expect(check.status == 1 && check.errors.contains(place), "\(check.errors)")
        }
    }
}
