// SPDX-License-Identifier: ISC

import IPC
import Mail
import Testing

@testable import Control

@Suite struct ControlInvocationTests {
    nonisolated private static let message = MessageID(0x0123_4567)
    nonisolated private static let envelope = EnvelopeID(0x0123_4567_89ab_cdef)

    @Test(
        arguments: [
            ("show status", ControlCommand.showStatus),
            ("show queue", .showQueue(.all)),
            ("sh q", .showQueue(.all)),
            ("show queue 01234567", .showQueue(.message(message))),
            ("show env 0123456789abcdef", .showEnvelope(envelope)),
            ("show message 01234567", .showMessage(message)),
            ("show m 0123456789abcdef", .showMessage(message)),
            ("show stats", .showStatistics),
            ("sc all", .envelopes(.schedule, .all)),
            ("s all", .envelopes(.schedule, .all)),
            ("remove 01234567", .envelopes(.remove, .message(message))),
            ("remo 0123456789abcdef", .envelopes(.remove, .envelope(envelope))),
            ("pause envelope all", .envelopes(.pause, .all)),
            ("resume e 01234567", .envelopes(.resume, .message(message))),
            ("p mda", .pause(.mda)),
            ("pause mta", .pause(.mta)),
            ("resume smtp", .resume(.smtp)),
            ("h all", .envelopes(.hold, .all)),
            ("release all", .envelopes(.release, .all)),
            ("log v", .log(.verbose)),
            ("l b", .log(.brief)),
            ("stop", .stop),
            ("rematch 01234567", .envelopes(.rematch, .message(message))),
            ("audit", .audit),
            ("trace-message <a@b>", .traceMessage("<a@b>")),
            ("trace smtp", .trace(.smtp, .verbose)),
            ("untrace all", .trace(.all, .brief)),
            ("monitor", .monitor),
            ("discover /var/spool/smtpd/queue", .discover("/var/spool/smtpd/queue")),
            ("reload", .reload),
        ])
    func `words may be cut short`(line: String, command: ControlCommand) throws {
        #expect(try ControlInvocation.command(line.split(separator: " ").map(String.init)) == command)
    }

    // As smtpctl has them: its users have typed these for years.
    @Test(arguments: [
        ("rem all", "remove all"), ("remo all", "remove all"), ("t smtp", "trace smtp"), ("unt smtp", "untrace smtp"),
        ("tra mta", "trace mta"), ("sh q", "show queue"), ("sc all", "schedule all"),
        ("res sm", "resume smtp"), ("m", "monitor"), ("u t x", "update table x"), ("en x", "encrypt x"),
        ("e x", "encrypt x"), ("d /x", "discover /x"), ("sh d", "show destinations"), ("st", "stop"),
        ("rema all", "rematch all"),
        ("ex a@example.org b@example.org", "explain a@example.org b@example.org"),
    ])
    func `a word of the reference comes before one of ours that begins the same`(short: String, whole: String) throws {
        let meant = try ControlInvocation(parsing: whole.split(separator: " ").map(String.init))
        #expect(try ControlInvocation(parsing: short.split(separator: " ").map(String.init)) == meant)
    }

    @Test func `a spool is read offline, with the keys of a configuration`() throws {
        let invocation = try ControlInvocation(parsing: ["--offline", "-f", "/etc/m.conf", "show", "queue"])
        #expect(invocation.isOffline && invocation.configuration == "/etc/m.conf")
        #expect(invocation.command == .showQueue(.all))
        #expect(throws: ControlInvocation.Mistake.usage) {
            try ControlInvocation(parsing: ["-f", "/etc/m.conf", "show", "queue"])
        }
        #expect(throws: ControlInvocation.Mistake.usage) { try ControlInvocation(parsing: ["--offline", "-f"]) }
    }

    @Test func `what may mean several commands is not guessed`() {
        #expect(throws: ControlInvocation.Mistake.possibilities(["show status", "show stats"])) {
            try ControlInvocation.command(["sh", "stat"])
        }
        #expect(throws: ControlInvocation.Mistake.possibilities(["pause mda", "pause mta"])) {
            try ControlInvocation.command(["pause", "m"])
        }
        #expect(throws: ControlInvocation.Mistake.possibilities(["pause envelope EVPID|MSGID|all"])) {
            try ControlInvocation.command(["pause", "envelope"])
        }
        #expect(throws: ControlInvocation.Mistake.possibilities(["release EVPID|MSGID|all", "reload"])) {
            try ControlInvocation.command(["rel"])
        }
        #expect(
            ControlInvocation.Mistake.possibilities(["show status", "show stats"]).text
                == "possibilities are:\nshow status\nshow stats\n")
    }

    @Test(arguments: [
        "", "nonsense", "show nonsense", "stop now", "show status all", "-x", "--instance", "remove all all",
    ])
    func `what is no command shows the usage`(line: String) {
        #expect(throws: ControlInvocation.Mistake.usage) {
            try ControlInvocation(parsing: line.split(separator: " ").map(String.init))
        }
    }

    @Test(arguments: ["remove 123", "show queue 0123456789abcdef", "show envelope 01234567", "hold none", "show m all"])
    func `an argument of the wrong kind is named`(line: String) {
        let words = line.split(separator: " ").map(String.init)
        #expect(throws: ControlInvocation.Mistake.argument(words[words.count - 1])) {
            try ControlInvocation.command(words)
        }
    }

    @Test(
        arguments: [
            ("show queue --sender joe@example.org", QueueSelector(sender: AddressPattern("joe@example.org"))),
            ("show queue --sender <>", QueueSelector(sender: .nobody)),
            ("remove --domain example.org", QueueSelector(domain: Domain("example.org"))),
            ("--older 2h hold", QueueSelector(olderThan: .hours(2))),
            ("release all --state held", QueueSelector(state: .held)),
            (
                "schedule 01234567 --recipient @example.org",
                QueueSelector(.message(message), recipient: AddressPattern("@example.org"))
            ),
            ("remove --id 0123456789abcdef", .envelope(envelope)),
            ("show queue --id 01234567 --state pending", QueueSelector(.message(message), state: .pending)),
        ])
    func `filters say which envelopes are meant`(line: String, selector: QueueSelector) throws {
        switch try ControlInvocation(parsing: line.split(separator: " ").map(String.init)).command {
        case .showQueue(let found), .envelopes(_, let found): #expect(found == selector)
        default: Issue.record("\(line)")
        }
    }

    @Test(arguments: [
        "remove --older 2x", "remove --state lost", "remove --sender a@@b", "show queue --domain -",
        "remove --id 12", "remove --older -1s",
    ])
    func `a filter of no value is refused`(line: String) {
        #expect(throws: ControlInvocation.Mistake.self) {
            try ControlInvocation(parsing: line.split(separator: " ").map(String.init))
        }
    }

    @Test(arguments: ["show status --domain example.org", "remove 01234567 --id 01234567", "remove", "remove --sender"])
    func `a command without filters takes none, and nothing is removed without a word of which`(line: String) {
        #expect(throws: ControlInvocation.Mistake.self) {
            try ControlInvocation(parsing: line.split(separator: " ").map(String.init))
        }
    }

    @Test func `options stand anywhere`() throws {
        let invocation = try ControlInvocation(parsing: ["show", "--json", "queue", "--instance", "/srv/a"])
        #expect(invocation.form == .json)
        #expect(invocation.instance == "/srv/a")
        #expect(invocation.command == .showQueue(.all))
    }

    @Test func `no words of any kind can stop the reading`() {
        var random = TestRandom(seed: 7)
        let parts = [
            "s", "show", "st", "all", "01234567", "0123456789abcdef", "m", "pause", "r", "--json", "", "|", "e",
        ]
        for _ in 0..<5000 {
            let words = (0..<random.next(below: 5)).map { _ in parts[random.next(below: parts.count)] }
            _ = try? ControlInvocation(parsing: words)
        }
    }
}

@Suite struct PersonalityTests {
    @Test func `the name decides`() {
        #expect(Personality.choose(["/usr/sbin/sendmail", "-t"]) == (.submission, ["-t"]))
        #expect(Personality.choose(["send-mail"]) == (.submission, []))
        #expect(Personality.choose(["/usr/bin/mailq"]) == (.queueListing, []))
        #expect(Personality.choose(["newaliases", "-f", "x"]) == (.aliasRebuilding, ["-f", "x"]))
        #expect(Personality.choose(["martletctl", "makemap", "-U", "x"]) == (.mapMaking, ["-U", "x"]))
        #expect(Personality.choose(["smtpctl", "stop"]) == (.control, ["stop"]))
        #expect(Personality.choose(["martletctl", "sendmail", "-t"]) == (.submission, ["-t"]))
        #expect(
            Personality.choose(["martletctl", "--instance", "/a", "sendmail", "-t"])
                == (.submission, ["--instance", "/a", "-t"]))
        #expect(Personality.choose([]) == (.control, []))
    }

    @Test func `an instance has its sockets below its directory`() {
        #expect(Places(instance: nil).control == "/run/martlet/control")
        #expect(Places(instance: "/srv/a//").control == "/srv/a/run/control")
        #expect(Places(instance: "/srv/a").runtime == "/srv/a/run")
    }
}

@Suite struct SubmissionInvocationTests {
    @Test func `options stand alone or together`() throws {
        let invocation = try SubmissionInvocation(
            parsing: ["--instance", "/a", "-tv", "-F", "A B", "-fa@example.org", "-oi", "-oem", "-i", "-bm", "x", "-y"])
        #expect(invocation.instance == "/a")
        #expect(invocation.readsRecipients && invocation.isVerbose)
        #expect(invocation.fullName == "A B")
        #expect(invocation.sender == "a@example.org")
        #expect(invocation.recipients == ["x", "-y"])
        #expect(invocation.mode == .send)
    }

    @Test func `what callers pass and nobody needs is ignored`() throws {
        let invocation = try SubmissionInvocation(
            parsing: [
                "-A", "c", "-B8BITMIME", "-E", "-em", "-L", "tag", "-m", "-o", "Q", "-p", "x", "-x", "-S", "--", "-t",
            ])
        #expect(invocation.recipients == ["-t"])
        #expect(!invocation.readsRecipients)
    }

    @Test func `modes`() throws {
        #expect(try SubmissionInvocation(parsing: ["-bs"]).mode == .session)
        #expect(try SubmissionInvocation(parsing: ["-bp"]).mode == .listQueue)
        #expect(try SubmissionInvocation(parsing: ["-b", "m"]).mode == .send)
        #expect(try SubmissionInvocation(parsing: ["-bi"]).mode == .rebuildAliases)
        #expect(try SubmissionInvocation(parsing: ["-oA/etc/aliases", "-b", "i"]).mode == .rebuildAliases)
        guard case .unsupported = try SubmissionInvocation(parsing: ["-q30m"]).mode else {
            Issue.record("-q")
            return
        }
    }

    @Test func `delivery status notifications`() throws {
        let invocation = try SubmissionInvocation(parsing: ["-N", "success,Delay", "-Rhdrs", "-V", "a b"])
        #expect(invocation.notify == "SUCCESS,DELAY")
        #expect(invocation.returned == "HDRS")
        #expect(invocation.envelopeIdentifier == "a b")
    }

    @Test(arguments: [
        ["-J"], ["-z"], ["-f"], ["-F"], ["-N", "never,delay"], ["-N", ""], ["-R", "some"], ["-V", "\n"],
        ["-f", "a\nb"],
    ])
    func `what is wrong is refused`(arguments: [String]) {
        #expect(throws: SubmissionInvocation.Mistake.self) { try SubmissionInvocation(parsing: arguments) }
    }
}
