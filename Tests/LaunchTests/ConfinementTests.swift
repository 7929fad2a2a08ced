// SPDX-License-Identifier: ISC

import Glibc
import IPC
import Posix
import Testing

@testable import Launch

/// What /proc says of a process in its profile, from outside.
@Suite struct ConfinementTests {
    @Test(arguments: ProfileTests.daemons) func `the kernel says that the rights are gone`(daemon: String) throws {
        for start in Probe.Start.possible {
            let outcome = try Probe(daemon, start).attempt("getpid")
            let status = outcome.processStatus
            #expect(outcome.isReady, "\(outcome.lines)")
            #expect(status["NoNewPrivs"] == "1")
            #expect(status["Seccomp"] == "2")
            #expect(status["Threads"] == "1")
            for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] { #expect(status[set] == "0000000000000000", "\(set)") }
            if geteuid() == 0 {
                #expect(status["Uid"] == "65534 65534 65534 65534")
                #expect(status["Gid"] == "65534 65534 65534 65534")
            }
            if start == .asRoot {
                #expect(status["CapBnd"] == "0000000000000000")
                #expect((status["Groups"] ?? "").isEmpty)
                #expect(outcome.namespaces["root"]?.hasPrefix("/tmp/martlet-launch-") == true)
            } else {
                #expect(outcome.lines.contains { $0.hasPrefix("note not started by root") })
            }
        }
    }

    @Test(arguments: ProfileTests.daemons + ["table", "mailbox"])
    func `nobody of the same user may look into its memory`(program: String) throws {
        for start in Probe.Start.possible where start == .unprivileged || ProfileTests.daemons.contains(program) {
            let outcome = try Probe(program, start).attempt("getpid")
            #expect(outcome.isReady, "\(outcome.lines)")
            #expect(!outcome.isDumpable, "\(program) \(start)")
        }
    }

    @Test(arguments: ProfileTests.daemons) func `limits are lowered`(daemon: String) throws {
        guard geteuid() == 0 else { return print("not root: limits of daemons are not read") }
        let limits = try Probe(daemon, .asRoot).attempt("getpid").limits.split(separator: "\n")
        func has(_ name: String, _ value: String) -> Bool {
            limits.contains { line in
                line.hasPrefix(name)
                    && line.dropFirst(name.count).split(separator: " ").prefix(2).allSatisfy { $0 == value }
            }
        }
        #expect(has("Max core file size", "0"))
        #expect(has("Max open files", "64"))
        #expect(has("Max processes", "0"))
        #expect(has("Max file size", "0") == (daemon != "queue"))
    }

    @Test(arguments: ProfileTests.daemons) func `those without a network have an empty one`(daemon: String) throws {
        guard geteuid() == 0 else { return print("not root: namespaces are not tested") }
        let outcome = try Probe(daemon, .asRoot).attempt("getpid")
        if outcome.lines.contains(where: { $0.contains("namespace") }) { return print("no namespaces on this host") }
        let connects = daemon == "relay" || daemon == "resolver"
        for name in ["net", "ipc", "mnt"] {
            let isShared = outcome.namespaces[name] == Probe.link("/proc/self/ns/\(name)")
            #expect(isShared == connects, "\(daemon) \(name)")
        }
    }

    @Test(arguments: ProfileTests.daemons) func `a file is written by those with files only`(daemon: String) throws {
        let directory = try TemporaryDirectory(isSpool: false)
        var probe = Probe(daemon)
        probe.errors = directory.path + "/probe"
        try FileDescriptor.open(probe.errors, O_CREAT | O_WRONLY, mode: 0o600).writeAll([])
        let outcome = try probe.attempt("write", "2", "page", "1")
        #expect(outcome.result?.code == (daemon == "queue" ? 0 : EFBIG), "\(daemon) \(outcome.lines)")
    }

    @Test func `a kernel without Landlock is named and lived with`() throws {
        for start in Probe.Start.possible {
            var probe = Probe("queue", start)
            probe.option = "no-landlock"
            let outcome = try probe.attempt("getpid")
            #expect(outcome.lines.contains("note the kernel has no Landlock"), "\(outcome.lines)")
            #expect(outcome.isReady)
        }
        let plain = try Probe("queue").attempt("getpid")
        #expect(plain.lines.contains("note the kernel has no Landlock") == (Landlock.version == nil))
    }

    @Test func `an agent that runs commands keeps their set-id programs possible`() throws {
        let status = try Probe("mailbox-commands").attempt("getpid").processStatus
        #expect(status["NoNewPrivs"] == "0")
        #expect(status["Seccomp"] == "0")
        let own = try Probe("mailbox").attempt("getpid").processStatus
        #expect(own["NoNewPrivs"] == "1")
        #expect(own["Seccomp"] == "2")
    }

    @Test func `a root directory that others may write, or that is not empty, is refused`() throws {
        let directory = try TemporaryDirectory(isSpool: false)
        _ = try RootDirectory.empty(at: directory.path)
        chmod(directory.path, 0o777)
        #expect(throws: LaunchError.self) { _ = try RootDirectory.empty(at: directory.path) }
        chmod(directory.path, 0o755)
        try FileDescriptor.open(directory.path + "/probe", O_CREAT | O_WRONLY, mode: 0o600).writeAll([])
        #expect(throws: LaunchError.unsafeRoot("\(directory.path) is not empty")) {
            _ = try RootDirectory.empty(at: directory.path)
        }
        #expect(throws: LaunchError.self) { _ = try RootDirectory.empty(at: directory.path + "/missing") }
    }

    @Test func `root is no identity`() {
        #expect(throws: LaunchError.rootIdentity) { try Identity(uid: 0, gid: 65534).take() }
        #expect(throws: LaunchError.rootIdentity) { try Identity(uid: 65534, gid: 0).take() }
    }
}
