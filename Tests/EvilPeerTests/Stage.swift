// SPDX-License-Identifier: ISC

import Foundation
import Glibc

/// A Martlet in which one program was exchanged for one that somebody has taken over.
final class Stage {
    /// Where the programs under test are.
    static let programs: String = {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path
        let beside = CommandLine.arguments.first.map { URL(fileURLWithPath: $0).deletingLastPathComponent().path }
        let named = getenv("MARTLET_BIN").map { String(cString: $0) }
        // The runner lies beside the products, or deeper where it is a bundle.
        let places = [named, beside, Bundle.main.bundlePath, "\(root)/.build/debug"].compactMap(\.self)
        return places.first { access("\($0)/evil-peer", X_OK) == 0 } ?? places[0]
    }()

    static let hasPrograms =
        access("\(programs)/evil-peer", X_OK) == 0 && access("\(programs)/martletd", X_OK) == 0

    private static let names = [
        "martletd", "martlet-listener", "martlet-lookup", "martlet-resolver", "martlet-queue", "martlet-delivery",
        "martlet-keys", "martlet-account", "martlet-mailbox", "martlet-table",
        "martletctl",
    ]
    private static let nobody: uid_t = 65534

    let directory: String
    let port: Int
    private var parent: Process?
    private let evil: String

    var pid: pid_t { parent?.processIdentifier ?? -1 }
    var programDirectory: String { "\(directory)/bin" }
    /// What the taken over process is to name as a path.
    var forbiddenFile: String { "\(directory)/forbidden" }
    private var logPath: String { "\(directory)/log" }

    /// `evil` is the name of the program that is exchanged.
    init(_ evil: String, _ order: String, hasTLS: Bool = false) throws {
        self.evil = evil
        var template = Array("/tmp/evil.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw StageError("mkdtemp") }
        directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        port = try Stage.freePort()
        chmod(directory, 0o755)
        try FileManager.default.createDirectory(atPath: programDirectory, withIntermediateDirectories: true)
        for name in Stage.names {
            try put(name == evil ? "evil-peer" : name, as: name)
        }
        try give(order)
        var (pki, tls) = ("", "")
        if hasTLS {
            let words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=mx.example.org"
            let files = ["-keyout", "\(directory)/key", "-out", "\(directory)/certificate"]
            guard try run("openssl", words.split(separator: " ").map(String.init) + files) == 0 else {
                throw StageError("openssl req")
            }
            if geteuid() == 0 {
                for name in ["key", "certificate"] { chown("\(directory)/\(name)", Stage.nobody, Stage.nobody) }
            }
            pki = "pki \"mx.example.org\" cert \"\(directory)/certificate\" key \"\(directory)/key\""
            tls = "tls pki \"mx.example.org\""
        }
        let configuration = """
            \(pki)
            listen on 127.0.0.1 port \(port) \(tls)
            action "local" maildir "\(directory)/mail/%{user.username}/Maildir"
            action "out" relay host smtp://127.0.0.1:9
            match for domain "example.org" action "local"
            match from local for any action "out"

            """
        try configuration.write(toFile: "\(directory)/martlet.conf", atomically: true, encoding: .utf8)
        if geteuid() == 0 { chown(directory, Stage.nobody, Stage.nobody) }
    }

    deinit {
        if let parent, parent.isRunning {
            kill(parent.processIdentifier, SIGKILL)
            parent.waitUntilExit()
        }
        try? FileManager.default.removeItem(atPath: directory)
    }

    private func put(_ source: String, as name: String) throws {
        let target = "\(programDirectory)/\(name)"
        // Written anew: the user of the test may not be able to see where the programs were built.
        try? FileManager.default.removeItem(atPath: target)
        if link("\(Stage.programs)/\(source)", target) != 0 {
            // By another process: a descriptor of ours that is open for writing is inherited by whatever another test
            // starts at that moment, and until that is a program of its own the copy is busy and cannot be run.
            let copy = Process()
            copy.executableURL = URL(fileURLWithPath: "/bin/cp")
            copy.arguments = ["\(Stage.programs)/\(source)", target]
            try copy.run()
            copy.waitUntilExit()
        }
        chmod(target, 0o755)
    }

    /// Runs a program of the host, or of ours by its path, without input and output: its exit status.
    @discardableResult
    func run(_ program: String, _ arguments: [String]) throws -> Int32 {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [program] + arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus
    }

    /// Whether the first listener comes to terms with a client about TLS.
    func canHandshake() throws -> Bool {
        try run("openssl", ["s_client", "-connect", "127.0.0.1:\(port)", "-starttls", "smtp", "-brief"]) == 0
    }

    /// Has everything in the queue tried now.
    func schedule() throws {
        try run("\(programDirectory)/martletctl", ["--instance", directory, "schedule", "all"])
    }

    /// What the next of its processes will do.
    func give(_ order: String) throws {
        let text = order.replacingOccurrences(of: "FILE", with: forbiddenFile)
        try text.write(toFile: "\(programDirectory)/evil-order", atomically: true, encoding: .utf8)
        chmod("\(programDirectory)/evil-order", 0o644)
    }

    // MARK: Acts

    /// Starts the house and waits until it stands.
    func open() throws {
        let process = Process()
        let words = [
            "\(programDirectory)/martletd", "-d", "-f", "\(directory)/martlet.conf", "--instance", directory,
        ]
        let isRoot = geteuid() == 0
        process.executableURL = URL(fileURLWithPath: isRoot ? "/usr/bin/setpriv" : words[0])
        let user = ["--reuid=\(Stage.nobody)", "--regid=\(Stage.nobody)", "--clear-groups"]
        process.arguments = isRoot ? user + words : Array(words.dropFirst())
        process.currentDirectoryURL = URL(fileURLWithPath: "/")
        process.environment = [
            "PATH": "/usr/bin:/bin", "MARTLET_ALIVE_INTERVAL_MS": "200", "MARTLET_ALIVE_LIMIT_MS": "4000",
            "MARTLET_AGENT_LIMIT_MS": "2000",
        ]
        _ = FileManager.default.createFile(atPath: logPath, contents: nil)
        process.standardError = FileHandle(forWritingAtPath: logPath)
        process.standardOutput = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        // The threads of a test hold signals back, which a child would inherit.
        var none = sigset_t()
        var before = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        try process.run()
        parent = process
        guard eventually(within: 90, { !process.isRunning || log.contains("info: Martlet") }), process.isRunning else {
            throw StageError("martletd does not serve: \(log)")
        }
    }

    /// Lets the taken over processes begin.
    func unleash() {
        for role in rolesOfEvil { for child in children where child.role == role { kill(child.pid, SIGUSR1) } }
    }

    /// Ends martletd and puts the honest program back.
    func redeem() throws {
        if let parent {
            kill(parent.processIdentifier, SIGTERM)
            // Parent bounds the end at 15 s, and workers wait so long for a Queue that records nothing.
            guard eventually(within: 60, { !parent.isRunning }) else { throw StageError("does not end: \(log)") }
        }
        try put(evil, as: evil)
    }

    var rolesOfEvil: [String] {
        evil == "martlet-delivery" ? ["relay", "local"] : [String(evil.dropFirst("martlet-".count))]
    }

    // MARK: What can be seen

    var isOpen: Bool { parent?.isRunning == true }

    var log: String {
        FileManager.default.contents(atPath: logPath).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    struct Child: Hashable {
        let pid: pid_t
        let role: String
    }

    /// Parent's children, agents aside.
    var children: [Child] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { pid_t($0) }.compactMap { pid in
            guard let stat = Stage.read("/proc/\(pid)/stat"), let end = stat.lastIndex(of: ")") else { return nil }
            let fields = stat[stat.index(after: end)...].split(separator: " ")
            guard fields.count > 1, pid_t(fields[1]) == self.pid, fields[0] != "Z" else { return nil }
            let words = (Stage.read("/proc/\(pid)/cmdline") ?? "").split(separator: "\0").map(String.init)
            guard words.count > 1 else { return nil }
            return Child(pid: pid, role: words[1])
        }
    }

    /// The children of those roles.
    func pids(_ roles: String...) -> Set<pid_t> { Set(children.filter { roles.contains($0.role) }.map(\.pid)) }

    /// The largest memory of Parent and its honest children, in KiB.
    var largestMemory: Int {
        let honest = children.filter { !rolesOfEvil.contains($0.role) }.map(\.pid) + [pid]
        return honest.map { pid in
            let line = (Stage.read("/proc/\(pid)/status") ?? "").split(separator: "\n").first {
                $0.hasPrefix("VmHWM:")
            }
            return line.flatMap { Int($0.split(whereSeparator: \.isWhitespace)[1]) } ?? 0
        }.max() ?? 0
    }

    /// Every file below the mailboxes.
    var mail: [String] {
        let names = FileManager.default.enumerator(atPath: "\(directory)/mail")?.compactMap { $0 as? String } ?? []
        return names.filter { $0.contains("/new/") }
    }

    private static func read(_ path: String) -> String? {
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
    }

    private static func freePort() throws -> Int {
        guard let port = Client().bindAnywhere() else { throw StageError("no free port") }
        return port
    }
}

/// Why a scene cannot go on: one sentence.
struct StageError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Whether `condition` holds before the time is over; asked every few milliseconds.
func eventually(within seconds: Double, _ condition: () -> Bool) -> Bool {
    var left = Int(seconds * 50)
    while !condition() {
        guard left > 0 else { return false }
        left -= 1
        poll(nil, 0, 20)
    }
    return true
}
