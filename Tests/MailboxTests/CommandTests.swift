// SPDX-License-Identifier: ISC

import Glibc
import IPC
import Launch
import Mail
import Posix
import Testing

@testable import Mailbox

/// martlet-mailbox as an agent of commands, and this test as Delivery.
private final class CommandAgent {
    private let channel: FileDescriptor
    private let pid: Int32
    private var input: [UInt8] = []

    init(
        _ duty: [String] = ["command", "-"], user: String = "_martletu", home: String, wrapper: String = "-",
        seconds: UInt32 = 60
    ) throws {
        let own = try FileDescriptor.open("/proc/self/exe", O_RDONLY)
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/fd/\(own.number)", &buffer, buffer.count - 1)
        let path = String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let directory = path.prefix(through: path.lastIndex(of: "/") ?? path.startIndex)
        let program = try ProgramSet.open(directory + "martlet-mailbox")
        let errors = try FileDescriptor.duplicate(2)
        let pair = try FileDescriptor.streamPair()
        let start = ProcessStart(
            name: "martlet-mailbox",
            arguments: duty + [user, home, "mx.example.org", "+-", "7", wrapper, "\(seconds)"],
            channel: pair.right.number, errors: errors.number)
        pid = try Spawner(programs: ProgramSet()).start(start, program: program)
        channel = try pair.left.duplicate()
        try channel.setNonblocking(false)
        var limit = timeval(tv_sec: 30, tv_usec: 0)
        setsockopt(channel.number, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var frame: [UInt8] = []
        Frame.append(EdgeGreeting(role: .local, generation: 1), correlation: 0, to: &frame)
        try channel.writeAll(frame)
    }

    deinit {
        shutdown(channel.number, Int32(SHUT_RDWR))
        _ = try? ChildProcess.wait(for: pid)
    }

    /// Gives a message to the agent, or as much of it as `sent`.
    func give(_ delivery: MailboxDelivery, _ content: [UInt8], piece: Int = 1 << 16) throws {
        var delivery = delivery
        delivery.length = UInt64(content.count)
        var frames: [UInt8] = []
        Frame.append(LocalToMailbox.deliver(delivery), correlation: 0, to: &frames)
        for start in stride(from: 0, to: content.count, by: piece) {
            let end = min(start + piece, content.count)
            Frame.append(LocalToMailbox.content(Array(content[start..<end])), correlation: 0, to: &frames)
        }
        try channel.writeAll(frames)
    }

    /// The next outcome that the agent tells.
    func outcome() throws -> (id: EnvelopeID, outcome: MailboxOutcome) {
        while true {
            if let header = try Frame.header(in: input, at: 0, end: input.count) {
                let frame = input
                input.removeFirst(header.payload.upperBound)
                if header.tag == EdgeGreeting.tag { continue }
                switch try MailboxToLocal(decoding: header, in: frame) {
                case .outcome(let id, let outcome): return (id, outcome)
                }
            }
            var chunk = [UInt8](repeating: 0, count: 65536)
            let count = try chunk.withUnsafeMutableBytes { buffer throws(SystemError) in
                try channel.read(into: buffer)
            }
            guard count > 0 else { throw SystemError("read", EPIPE) }
            input += chunk.prefix(count)
        }
    }

    func run(_ command: String, _ content: String = "Subject: a\r\n\r\nb\r\n") throws -> MailboxOutcome {
        try give(delivery(form: .alias(item: "|" + command)), Array(content.utf8))
        return try outcome().outcome
    }
}

@Suite struct CommandTests {
    private let directory = TemporaryDirectory()
    private func agent(_ user: String = "_martletu", seconds: UInt32 = 60) throws -> CommandAgent {
        try CommandAgent(user: user, home: directory.path, seconds: seconds)
    }

    @Test func `a command gets the message with LF, below the fields of the delivery`() throws {
        #expect(try agent().run("cat > out", "Subject: a\r\n\r\nb\rc\r\n") == .delivered)
        let fields = "Return-Path: <alice@example.org>\nDelivered-To: bob+lists@example.org\n"
        #expect(directory.read("out") == fields + "Subject: a\n\nb\rc\n")
    }

    @Test(
        arguments: [
            ("exit 0", .delivered), ("exit 1", .failed("exited abnormally")),
            ("exit 67", .failed("user unknown: exited abnormally")),
            ("exit 71", .deferred("system resource problem: exited abnormally")),
            ("exit 75", .deferred("temporary failure: exited abnormally")),
            ("echo one; echo two >&2; echo; exit 77", .failed("permission denied: \"two\"")),
            ("printf 'a\\001\"b'; exit 9", .failed(#""a\001\"b""#)),
            ("kill -TERM $$", .deferred("terminated; signal 15")), ("kill -ALRM $$", .deferred("terminated; timeout")),
        ] as [(String, MailboxOutcome)])
    func `the end of a command decides`(command: String, outcome: MailboxOutcome) throws {
        #expect(try agent().run(command) == outcome)
    }

    @Test func `much output leaves its last line`() throws {
        let outcome = try agent().run("head -c 3000000 /dev/zero | tr '\\000' x; echo; echo end; exit 1")
        #expect(outcome == .failed("\"end\""))
    }

    private static func state(of pid: Int32) -> String? {
        do {
            let file = try FileDescriptor.open("/proc/\(pid)/stat", O_RDONLY)
            let words = try file.readAll(limit: 4096).map { String(decoding: $0, as: UTF8.self).split(separator: " ") }
            return words.flatMap { $0.count > 2 ? String($0[2]) : nil }
        } catch {
            return nil
        }
    }

    @Test func `a command that takes too long is ended with all that it started`() throws {
        let outcome = try agent(seconds: 1).run("(sleep 600; echo > late) & echo $! > pid; sleep 600")
        #expect(outcome == .deferred("terminated; timeout"))
        let text = try #require(directory.read("pid"))
        let pid = try #require(Int32(text.dropLast()))
        // Killed at the same moment; its number may be there until somebody reaps it.
        var state = Self.state(of: pid)
        for _ in 0..<1000 where state != nil && state != "Z" {
            poll(nil, 0, 5)
            state = Self.state(of: pid)
        }
        #expect(state == nil || state == "Z")
    }

    @Test func `a long message must be read, a short one need not be`() throws {
        let agent = try agent()
        let long = String(repeating: "0123456789abcde\r\n", count: 60_000)
        #expect(try agent.run("true", long) == .deferred("mda exited prematurely"))
        #expect(try agent.run("exit 1", long) == .failed("exited abnormally"))
        #expect(try agent.run("exec <&-; exit 0") == .delivered)
        #expect(try agent.run("wc -l > out", long) == .delivered)
        #expect(directory.read("out") == "60002\n")
    }

    @Test func `what a command left behind holds up nothing`() throws {
        #expect(try agent().run("sleep 20 & cat > out") == .delivered)
    }

    @Test func `the environment is what the manual says and nothing else`() throws {
        let agent = try agent()
        var tagged = delivery(
            form: .alias(item: "|cat > /dev/null; tr '\\000' '\\n' < /proc/$$/environ > out; pwd >> out"))
        tagged.subaddress = "lists"
        let robert = Mail.Mailbox("robert@example.net")
        tagged.destination = try #require(robert)
        try agent.give(tagged, [])
        #expect(try agent.outcome().outcome == .delivered)
        let lines = try #require(directory.read("out")).split(separator: "\n").map(String.init)
        let home = directory.path
        #expect(
            lines == [
                "PATH=/usr/bin:/bin", "DOMAIN=example.org", "HOME=\(home)",
                "ORIGINAL_RECIPIENT=bob+lists@example.org", "RECIPIENT=robert@example.net", "SHELL=/bin/sh",
                "LOCAL=bob+lists", "LOGNAME=_martletu", "USER=_martletu", "SENDER=alice@example.org",
                "EXTENSION=lists", home,
            ])
        var notice = delivery(form: .alias(item: "|tr '\\000' '\\n' < /proc/$$/environ > out"))
        notice.sender = .null
        try agent.give(notice, [])
        #expect(try agent.outcome().outcome == .delivered)
        let text = try #require(directory.read("out"))
        #expect(text.hasSuffix("\nSENDER=\n"))
    }

    @Test func `thirty at once, seven at a time`() throws {
        let agent = try agent()
        let command =
            "|mkdir run.%{sender.user}; ls -d run.* | wc -l >> counts; cat > m.%{sender.user}; rmdir run.%{sender.user}"
        for number in 1...30 as ClosedRange<UInt32> {
            var one = delivery(number, form: .alias(item: command))
            one.sender = try #require(ReversePath("s\(number)@example.org"))
            try agent.give(one, Array(repeating: UInt8(truncatingIfNeeded: number), count: 100_000))
        }
        var seen: Set<EnvelopeID> = []
        for _ in 1...30 {
            let (id, outcome) = try agent.outcome()
            #expect(outcome == .delivered)
            #expect(seen.insert(id).inserted)
        }
        for number in 1...30 { #expect(directory.read("m.s\(number)")?.utf8.count ?? 0 > 100_000) }
        let counts = try #require(directory.read("counts")).split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
        #expect(counts.count == 30)
        #expect(counts.allSatisfy { $0 <= 7 })
    }

    @Test func `what the sender chose cannot speak to the shell`() throws {
        let agent = try agent()
        var evil = delivery(form: .alias(item: "|printf '%%s\\n' %{sender} > out; cat > /dev/null"))
        evil.sender = try #require(ReversePath("\"a;touch${IFS}evil;`id`\"@example.org"))
        try agent.give(evil, Array("x\r\n".utf8))
        #expect(try agent.outcome().outcome == .delivered)
        #expect(directory.read("out") == "a:touch::IFS:evil::id:@example.org\n")
        #expect(directory.read("evil") == nil)
    }

    @Test func `commas and quotes of an alias are not undone twice`() throws {
        #expect(try agent().run(#"echo 'a, b' "c\\d" > out"#) == .delivered)
        let expected = try #require(directory.read("out"))
        #expect(expected == "a, b c\\d\n")
    }

    @Test func `a line of a forward file is found by its number`() throws {
        try directory.write(".forward", "# mine\n\\bob, |cat > out\n\(directory.path)/box\n")
        let agent = try agent("bob")
        let expected: [MailboxOutcome] = [
            .deferred("~/.forward has changed"), .delivered, .delivered, .deferred("~/.forward has changed"),
        ]
        for (line, outcome) in expected.enumerated() {
            try agent.give(delivery(form: .forward(line: UInt16(line))), Array("Subject: a\r\n\r\nb\r\n".utf8))
            #expect(try agent.outcome().outcome == outcome, "\(line)")
        }
        #expect(directory.read("out")?.hasSuffix("Subject: a\n\nb\n") == true)
        #expect(directory.read("box")?.hasPrefix("From alice@example.org") == true)
        try directory.write(".forward", "bob@example.net, carol\n")
        try agent.give(delivery(form: .forward(line: 1)), [])
        #expect(try agent.outcome().outcome == .deferred("~/.forward has changed"))
        chmod("\(directory.path)/.forward", 0o666)
        try agent.give(delivery(form: .forward(line: 1)), [])
        #expect(try agent.outcome().outcome == .failed("Unsafe ~/.forward"))
    }

    @Test func `a message begins its own line behind one that a power cut has cut off`() throws {
        try directory.write(".forward", "\(directory.path)/box\n")
        try directory.write("box", "From carol@example.org Wed Nov 25 01:00:00 2026\n\ncut off by a power fail")
        let agent = try agent("bob")
        for number in 1...2 as ClosedRange<UInt32> {
            try agent.give(delivery(number, form: .forward(line: 0)), Array("Subject: a\r\n\r\nb\r\n".utf8))
            #expect(try agent.outcome().outcome == .delivered)
        }
        let lines = try #require(directory.read("box")).split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.count { $0.hasPrefix("From alice@example.org ") } == 2)
        #expect(lines.dropFirst(2).prefix(2) == ["cut off by a power fail", ""])
    }

    @Test func `an alias names no command of a person`() throws {
        let agent = try agent("bob")
        try agent.give(delivery(form: .alias(item: "|touch out")), [])
        #expect(try agent.outcome().outcome == .failed("No alias is delivered as bob"))
        #expect(directory.read("out") == nil)
        try agent.give(delivery(form: .action), [])
        #expect(try agent.outcome().outcome == .deferred("Not the agent of an action"))
    }
}

@Suite struct CommandReportTests {
    @Test func `only the end of a long line is kept, and it stays printable`() {
        var report = CommandReport()
        for _ in 0..<1000 { report.append(Array(repeating: 0x07, count: 1000)) }
        let line = report.lastLine ?? ""
        #expect(line.utf8.count == CommandReport.longestText + 2)
        #expect(line.utf8.allSatisfy { (0x20..<0x7F).contains($0) })
    }

    @Test(arguments: [
        ("", nil), ("\n\n", nil), (" \r\n", nil), ("a\r\n", "\"a\""), ("a\nb", "\"b\""), ("a\n \n", "\"a\""),
    ])
    func `the last line that says something`(output: String, line: String?) {
        var report = CommandReport()
        for byte in output.utf8 { report.append([byte]) }
        #expect(report.lastLine == line)
    }
}
