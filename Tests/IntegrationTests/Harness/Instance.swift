// SPDX-License-Identifier: ISC

import Foundation
import Glibc
import Testing

/// A private directory with a Martlet in it.
final class Instance {
    let directory: String
    let port: Int
    private(set) var program: Program?
    /// Whom martletd runs as where that is not us.
    let owner: Host.Account?
    /// Whether the daemons have users of their own and mail goes to the homes of people.
    let isSeparated: Bool
    /// Local recipients; each has a Maildir.
    let people: [String]
    private var environment: [String: String]

    var configurationPath: String { "\(directory)/martlet.conf" }
    var spool: String { "\(directory)/spool" }
    var controlDirectory: String { "\(directory)/run/control" }
    /// What martletd has logged, the last one that was started.
    private(set) var log = LineCollector(-1)
    /// For the message of a story that failed.
    var lastWords: String { log.lines.suffix(30).joined(separator: "\n") }

    /// Makes the directory; nothing runs yet. With `unprivileged` martletd is no root even where it could be.
    init(
        name: String = "m", unprivileged: Bool = false, environment: [String: String] = [:]
    ) throws {
        isSeparated = Host.isPrivate && !unprivileged
        owner = geteuid() == 0 && !isSeparated ? Host.account("nobody") : nil
        self.environment = environment
        var template = Array("\(Host.variable("TMPDIR") ?? "/tmp")/\(name).XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Failure("mkdtemp: \(String(cString: strerror(errno)))") }
        directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        chmod(directory, 0o755)
        port = try Host.freePort()
        people =
            isSeparated
            ? ["gilles"] + (1...100).map { "user" + String(repeating: "0", count: 3 - "\($0)".count) + "\($0)" }
            : ["news", "games", "man", "lp", "mail", "uucp", "proxy", "sync", "daemon", "bin"]
        if let owner { chown(directory, owner.uid, owner.gid) }
        for person in people { try? FileManager.default.removeItem(atPath: maildir(person)) }
    }

    deinit {
        program?.kill(SIGKILL)
        program?.wait(seconds: 5)
        // A failed story keeps nothing either: what it saw is in its messages.
        try? FileManager.default.removeItem(atPath: directory)
    }

    func maildir(_ person: String) -> String {
        isSeparated
            ? (Host.account(person)?.home ?? "/nonexistent") + "/Maildir" : "\(directory)/mail/\(person)/Maildir"
    }

    /// `maildir`, and where to where that is not the usual place.
    var maildirMethod: String {
        isSeparated ? "maildir" : "maildir \"\(directory)/mail/%{user.username}/Maildir\""
    }

    /// Everything of example.org and this host goes to Maildirs, the rest to `relay`.
    func usual(relay: String = "", extra: String = "") -> String {
        """
        listen on 127.0.0.1 port \(port)
        action "local" \(maildirMethod)
        action "out" relay \(relay)
        \(extra)
        match for local action "local"
        match for domain "example.org" action "local"
        match for any action "out"

        """
    }

    func relay(to sink: Sink) -> String { "host smtp://127.0.0.1:\(sink.port)" }

    func write(_ configuration: String) throws {
        try configuration.write(toFile: configurationPath, atomically: true, encoding: .utf8)
        chmod(configurationPath, 0o644)
    }

    /// The most descriptors that martletd and its children may have; nil for those of the host.
    var descriptorLimit: Int?

    /// Starts martletd without waiting for anything.
    func launch(_ options: [String] = []) throws {
        let limit = descriptorLimit.map { ["/usr/bin/prlimit", "--nofile=\($0)"] } ?? []
        program = try Program(
            limit + [Host.program("martletd"), "-d", "-f", configurationPath, "--instance", directory] + options,
            environment: environment, as: owner)
        if let program { log = program.errors }
    }

    /// Starts martletd and waits until it serves.
    func start(_ configuration: String, _ options: [String] = []) throws {
        try write(configuration)
        try start(options)
    }

    func start(_ options: [String] = []) throws {
        try launch(options)
        guard log.wait(for: "info: Martlet", seconds: 90) != nil else {
            throw Failure("martletd does not serve: \(log.text)")
        }
    }

    /// Starts one that must not come up: its exit status and everything it said.
    func startInVain(_ configuration: String? = nil, seconds: Double = 60) throws -> (status: Int32?, lines: [String]) {
        if let configuration { try write(configuration) }
        try launch()
        let program = try #require(program)
        let status = program.wait(seconds: seconds)
        program.errors.waitForEnd(seconds: 2)
        return (status, program.errors.lines)
    }

    /// Ends martletd in good order, once every recipient is accounted for.
    func stop(at place: SourceLocation = #_sourceLocation) throws {
        let program = try #require(program)
        try checkAccount(at: place)
        program.kill(SIGTERM)
        let status = program.wait(seconds: 30)
        #expect(status == 0, "\(program.errors.text.suffix(2000))", sourceLocation: place)
        self.program = nil
    }

    /// Ends everything as a power failure would, the disk aside; whether all of them were gone within a second.
    @discardableResult
    func crash() throws -> Bool {
        let program = try #require(program)
        let all = descendants()
        program.kill(SIGKILL)
        program.wait(seconds: 5)
        self.program = nil
        return eventually(within: 1) { all.allSatisfy { !HouseProcess.lives($0.pid, started: $0.started) } }
    }

    func client() throws -> SMTPClient { try SMTPClient(port: port) }

    /// Brings one message in by SMTP.
    func submit(
        from sender: String = "alice@example.org", to recipients: [String], _ content: String = "Subject: test\n\nbody",
        at place: SourceLocation = #_sourceLocation
    ) throws {
        let client = try client()
        try client.greet(at: place)
        try client.submit(from: sender, to: recipients, content, at: place)
        try client.say("QUIT", "221", at: place)
    }

    /// Runs martletctl on this instance.
    @discardableResult
    func control(_ words: String..., as user: Host.Account? = nil) throws -> Program.Result {
        try Program.run(
            [Host.program("martletctl"), "--instance", directory] + words, as: user ?? owner)
    }

    /// Every recipient that was ever accepted here has ended in one way, or is in the queue.
    func checkAccount(at place: SourceLocation = #_sourceLocation) throws {
        // A story may have left Queue in pieces, or paused, or without a disk: then there is nobody to ask.
        var account = try control("audit")
        if account.errors.contains("cannot keep") || account.errors.contains("doesn't seem") { return }
        // One that is being replaced is asked again.
        _ = try eventually(within: 20) {
            if account.output.contains("missing=") { return true }
            account = try control("audit")
            return account.output.contains("missing=")
        }
        #expect(
            account.status == 0 && account.output.contains("missing=0\n"), "\(account.output)\(account.errors)",
            sourceLocation: place)
    }

    /// What `audit` counts under a name.
    func accountOf(_ name: String) throws -> Int? {
        try control("audit").lines.first { $0.hasPrefix("\(name)=") }.flatMap { Int($0.dropFirst(name.count + 1)) }
    }

    func queueLines() throws -> [String] {
        let result = try control("show", "queue")
        guard result.status == 0 else { throw Failure("show queue: \(result.errors)") }
        return result.lines
    }

    var queueText: String { (try? queueLines().joined(separator: "\n")) ?? "no answer" }

    func isQueueEmpty(within seconds: Double = 60) throws -> Bool {
        try eventually(within: seconds) { try queueLines().isEmpty }
    }

    // MARK: Processes

    /// Parent's children and what they have started, agents too.
    func descendants() -> [HouseProcess] {
        guard let program else { return [] }
        return HouseProcess.descendants(of: program.pid)
    }

    /// The daemons that live now.
    func daemons() -> [HouseProcess] { descendants().filter { $0.role != "account" && $0.name != "martlet-mailbox" } }

    func pids() -> Set<pid_t> { Set(daemons().map(\.pid)) }
}
