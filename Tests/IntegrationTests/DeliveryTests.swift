// SPDX-License-Identifier: ISC

import Foundation
import Glibc
import Testing

/// A message with all that is easily damaged on the way: dots, blanks, 8-bit bytes, long and empty lines.
private let delicate = """
    From: Alice <alice@example.org>
    To: somebody@example.org
    Subject: =?utf-8?q?M=C3=B6we?=
    Date: Mon, 23 Nov 2026 12:00:00 +0000
    Message-ID: <delicate@example.org>
    X-Folded: one
    \ttwo
    MIME-Version: 1.0
    Content-Type: text/plain; charset=utf-8
    Content-Transfer-Encoding: 8bit

    .
    ..
    .hidden
    From here on: Möwe, 雨燕
      blanks in front, and behind  \("")

    \(String(repeating: "x", count: 900))

    the last line

    """

/// The message as it was before trace fields were added.
private func original(_ message: String) -> String {
    var lines = message.replacingOccurrences(of: "\r\n", with: "\n").components(separatedBy: "\n")[...]
    let added = ["return-path:", "delivered-to:", "x-original-to:", "received:"]
    while let line = lines.first, added.contains(where: { line.lowercased().hasPrefix($0) }) {
        lines = lines.dropFirst()
        while let next = lines.first, next.hasPrefix(" ") || next.hasPrefix("\t") { lines = lines.dropFirst() }
    }
    return lines.joined(separator: "\n")
}

extension WholeHouse.Unprivileged {
    /// Other people's clients and servers.
    struct Deliveries {
        enum Client: String, CaseIterable {
            case swaks
            case curl
            case smtplib

            /// Whether it ends the last line itself.
            var endsLines: Bool { self == .swaks }

            /// Hands in the message that lies in `file`.
            func send(_ file: String, to recipient: String, port: Int) throws -> Program.Result {
                switch self {
                case .swaks:
                    try Program.run([
                        "swaks", "--server", "127.0.0.1:\(port)", "--from", "alice@example.org", "--to", recipient,
                        "--data", "@\(file)", "--silent", "3",
                    ])
                case .curl:
                    try Program.run([
                        "curl", "-sS", "--crlf", "--mail-from", "alice@example.org", "--mail-rcpt", recipient,
                        "--upload-file", file, "smtp://127.0.0.1:\(port)/client.example.org",
                    ])
                case .smtplib:
                    try Program.run([
                        "python3", "-c",
                        """
                        import smtplib, sys
                        client = smtplib.SMTP("127.0.0.1", int(sys.argv[1]))
                        client.sendmail("alice@example.org", [sys.argv[2]],
                            open(sys.argv[3], "rb").read().replace(b"\\n", b"\\r\\n"))
                        client.quit()
                        """, "\(port)", recipient, file,
                    ])
                }
            }
        }

        @Test(arguments: Client.allCases)
        func `every byte of a message arrives, in a Maildir and at the next hop`(client: Client) throws {
            let instance = try Instance()
            let sink = try Sink(instance)
            try instance.start(instance.usual(relay: instance.relay(to: sink)))
            let file = "\(instance.directory)/message"
            try (client.endsLines ? String(delicate.dropLast()) : delicate).write(
                toFile: file, atomically: true, encoding: .utf8)
            let person = instance.people[0]
            for recipient in ["\(person)@example.org", "bob@example.com"] {
                let result = try client.send(file, to: recipient, port: instance.port)
                #expect(result.status == 0, "\(result.output)\(result.errors)")
            }
            #expect(instance.mailbox(person).waitForMessages(1))
            #expect(sink.waitForMessages(1))
            let arrived = instance.mailbox(person).messages.map(original) + sink.contents().map(original)
            #expect(arrived == [delicate, delicate])
            let trace = try #require(sink.contents().first?.headerField("Received"))
            #expect(trace.contains("(Martlet)"))
            #expect(try instance.isQueueEmpty())
            try instance.stop()
        }
    }
}

extension WholeHouse.Unprivileged {
    @Suite(.enabled(if: Host.hasPostfix, "\(Host.withoutPostfix)"))
    struct ManyDeliveries {
        static let count = Host.isPrivate ? 2000 : 200
        static let size = 5000

        /// Runs smtp-source with 20 sessions; `-N` puts a number before each recipient.
        private func flood(_ instance: Instance, to recipient: String, _ options: [String] = []) throws {
            let result = try Program.run(
                [
                    Host.postfix("smtp-source"), "-s", "20", "-m", "\(Self.count)", "-l", "\(Self.size)", "-f",
                    "alice@example.org", "-t", recipient,
                ] + options + ["127.0.0.1:\(instance.port)"], environment: Host.postfixEnvironment, seconds: 120)
            #expect(result.status == 0, "\(result.errors)")
        }

        /// The body that smtp-source sends, as it comes without a Martlet between.
        private func body(_ instance: Instance) throws -> String {
            let sink = try Sink(instance)
            let result = try Program.run(
                [Host.postfix("smtp-source"), "-l", "\(Self.size)", "127.0.0.1:\(sink.port)"],
                environment: Host.postfixEnvironment)
            #expect(result.status == 0, "\(result.errors)")
            try #require(sink.waitForMessages(1))
            return try #require(sink.contents().first).messageBody
        }

        /// How many there are, how many of them differ, and whether each is whole.
        private func check(_ messages: [String], body: String, at place: SourceLocation = #_sourceLocation) {
            #expect(messages.count == Self.count, sourceLocation: place)
            let identifiers = Set(messages.compactMap { $0.headerField("Message-Id") })
            #expect(identifiers.count == Self.count, sourceLocation: place)
            let damaged = messages.filter { $0.messageBody != body }.count
            #expect(damaged == 0, "of \(messages.count)", sourceLocation: place)
        }

        @Test func `smtp-source fills Maildirs, every message once`() throws {
            let instance = try Instance()
            let people = instance.people.dropFirst(instance.people.count > 100 ? 1 : 0)
            let aliases = (0...Self.count + 20).map {
                "\($0)user: \(people[people.startIndex + $0 % people.count])\n"
            }
            let table = "\(instance.directory)/aliases"
            try aliases.joined().write(toFile: table, atomically: true, encoding: .utf8)
            chmod(table, 0o644)
            try instance.start(
                """
                listen on 127.0.0.1 port \(instance.port)
                table people file:\(table)
                action "local" \(instance.maildirMethod) alias <people>
                match for domain "example.org" action "local"

                """)
            try flood(instance, to: "user@example.org", ["-N"])
            let isThere = eventually(within: 60) { instance.deliveredCount >= Self.count }
            #expect(isThere, "\(instance.deliveredCount) delivered; \(instance.queueText.suffix(500))")
            #expect(try instance.isQueueEmpty())
            check(instance.delivered, body: try body(instance))
            let used = people.filter { instance.mailbox($0).count > 0 }
            #expect(used.count == people.count)
            for person in people { #expect(instance.mailbox(person).unfinished.isEmpty) }
            try instance.stop()
        }

        @Test func `smtp-source reaches smtp-sink through it, every message once`() throws {
            let instance = try Instance()
            let port = try Host.freePort()
            let directory = "\(instance.directory)/dump"
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            // It does not run as root.
            let user = geteuid() == 0 ? Host.account("nobody") : nil
            if let user { chown(directory, user.uid, user.gid) }
            let sink = try Program(
                [Host.postfix("smtp-sink"), "-d", "\(directory)/m.", "127.0.0.1:\(port)", "200"],
                environment: Host.postfixEnvironment, as: user,
                in: directory)
            let isThere = eventually { (try? SMTPClient(port: port)) != nil }
            try #require(isThere, "\(sink.errors.text)")
            try instance.start(instance.usual(relay: "host smtp://127.0.0.1:\(port)"))
            try flood(instance, to: "bob@example.com")
            let isEmpty = try instance.isQueueEmpty(within: 60)
            #expect(isEmpty, "\(instance.queueText.suffix(500))")
            let names = try FileManager.default.contentsOfDirectory(atPath: directory)
            let messages = names.compactMap {
                FileManager.default.contents(atPath: "\(directory)/\($0)").map { String(decoding: $0, as: UTF8.self) }
            }
            // It ends each of its files with an empty line.
            check(messages.filter { !$0.isEmpty }, body: try body(instance) + "\n")
            sink.kill(SIGKILL)
            sink.wait()
            try instance.stop()
        }
    }
}
