// SPDX-License-Identifier: ISC

import Glibc
import IPC
import Posix

@testable import Launch

/// One run of profile-probe: a process that enters a profile and makes one attempt.
struct Probe {
    /// Whether the probe starts as root and gives that up itself, or has never been root.
    enum Start: CaseIterable {
        case asRoot
        case unprivileged

        /// Those that this host lets us test.
        static var possible: [Start] {
            if geteuid() == 0 { return allCases }
            print("not root: users, root directories and namespaces of daemons are not tested")
            return [.unprivileged]
        }
    }

    struct Outcome {
        var lines: [String] = []
        var status: Launch.ExitStatus?
        /// /proc/PID/status and other files of the process after its confinement, before its attempt.
        var processStatus: [String: String] = [:]
        var limits = ""
        /// Whether others of its user could read its memory: the kernel gives their files in /proc to root if not.
        var isDumpable = true
        var namespaces: [String: String] = [:]

        /// What the attempt returned, nil when it was not survived.
        var result: (value: Int, code: Int32)? {
            guard let line = lines.last(where: { $0.hasPrefix("result ") }) else { return nil }
            let words = line.split(separator: " ")
            guard words.count == 3, let value = Int(words[1]), let code = Int32(words[2]) else { return nil }
            return (value, code)
        }

        var isReady: Bool { lines.contains("ready") }
    }

    var profile: String
    var start = Start.unprivileged
    var option = "plain"
    /// Where the probe's descriptor 2 leads.
    var errors = "/dev/null"

    init(_ profile: String, _ start: Start = .unprivileged) {
        self.profile = profile
        self.start = start
    }

    static let nobody = SystemUser(name: "nobody", identity: Identity(uid: 65534, gid: 65534), home: "/")

    func attempt(_ words: String...) throws -> Outcome { try attempt(words) }

    func attempt(_ words: [String]) throws -> Outcome {
        let directory = try TemporaryDirectory(isSpool: usesSpool)
        let input = try FileDescriptor.pipe()
        let output = try FileDescriptor.pipe()
        let errors = try FileDescriptor.open(errors, O_WRONLY)
        let program = try ProgramSet.open(try Probe.path())
        var process = ProcessStart(
            name: "profile-probe", arguments: [profile, directory.path, option] + words, input: input.left.number,
            output: output.right.number, errors: errors.number)
        if start == .unprivileged, geteuid() == 0 { process.user = Probe.nobody }
        let spawner = Spawner(
            programs: try ProgramSet(directory: "/", roles: []), environment: ProcessEnvironment(timeZone: nil))
        let pid = try spawner.start(process, program: program)
        return try follow(pid, consume input, consume output)
    }

    private func follow(
        _ pid: Int32, _ input: consuming DescriptorPair, _ output: consuming DescriptorPair
    ) throws -> Outcome {
        var outcome = Outcome()
        // Only the probe holds the writing end from here, so that its death ends the reading.
        let reading = output.takeLeft()
        var text: [UInt8] = []
        var asked = false
        while true {
            var chunk = [UInt8](repeating: 0, count: 4096)
            let count = try chunk.withUnsafeMutableBytes { try reading.read(into: $0) }
            if count == 0 { break }
            text += chunk.prefix(count)
            if !asked, String(decoding: text, as: UTF8.self).contains("ready\n") {
                asked = true
                try inspect(pid, &outcome)
                try input.right.writeAll([1])
            }
        }
        outcome.lines = String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init)
        outcome.status = try ChildProcess.wait(for: pid)
        return outcome
    }

    private func inspect(_ pid: Int32, _ outcome: inout Outcome) throws {
        for line in try Probe.read("/proc/\(pid)/status").split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { continue }
            outcome.processStatus[String(parts[0])] = parts[1].split(whereSeparator: { $0 == " " || $0 == "\t" })
                .joined(separator: " ")
        }
        var facts = stat()
        if stat("/proc/\(pid)/environ", &facts) == 0 { outcome.isDumpable = facts.st_uid != 0 }
        guard geteuid() == 0 else { return }
        outcome.limits = try Probe.read("/proc/\(pid)/limits")
        for name in ["net", "ipc", "mnt"] { outcome.namespaces[name] = Probe.link("/proc/\(pid)/ns/\(name)") }
        outcome.namespaces["root"] = Probe.link("/proc/\(pid)/root")
    }

    static func read(_ path: String) throws -> String {
        String(decoding: try FileDescriptor.open(path, O_RDONLY).readAll(limit: 1 << 16) ?? [], as: UTF8.self)
    }

    static func link(_ path: String) -> String {
        var target = [UInt8](repeating: 0, count: 4096)
        let count = target.withUnsafeMutableBytes { buffer in
            buffer.baseAddress.map { readlink(path, $0, buffer.count) } ?? -1
        }
        return String(decoding: target.prefix(max(0, count)), as: UTF8.self)
    }

    private var usesSpool: Bool { profile == "queue" || profile == "mailbox" }

    /// The probe stands beside the program that runs the tests.
    private static func path() throws -> String {
        let own = link("/proc/self/exe")
        return own.prefix(through: own.lastIndex(of: "/") ?? own.startIndex) + "profile-probe"
    }
}

extension DescriptorPair {
    /// The left end; the right one is closed.
    consuming func takeLeft() -> FileDescriptor {
        FileDescriptor(owning: dup(left.number))
    }
}

/// A directory that goes away with this value: empty and root's, or a spool of the probe's user.
final class TemporaryDirectory {
    let path: String

    init(isSpool: Bool) throws {
        var template = Array("/tmp/martlet-launch-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemError("mkdtemp") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        chmod(path, 0o755)
        if isSpool, geteuid() == 0 { chown(path, 65534, 65534) }
    }

    deinit {
        unlink(path + "/probe")
        rmdir(path)
    }
}
