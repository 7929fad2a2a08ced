// SPDX-License-Identifier: ISC

import Glibc
import IPC
import Posix
import Testing

@testable import Launch

@Suite struct SpawnerTests {
    /// What a shell command writes to its output, with how it ended.
    func run(
        _ command: String, user: SystemUser? = nil, timeZone: String? = nil, channel: Int32? = nil
    ) throws -> (text: String, status: Launch.ExitStatus?) {
        let output = try FileDescriptor.pipe()
        let start = ProcessStart(
            name: "sh", arguments: ["-c", command], output: output.right.number, channel: channel, errors: 2, user: user
        )
        let spawner = Spawner(
            programs: try ProgramSet(directory: "/", roles: []), environment: ProcessEnvironment(timeZone: timeZone))
        let pid = try spawner.start(start, program: try ProgramSet.open("/bin/sh"))
        let reading = output.takeLeft()
        let text = String(decoding: try reading.readAll(limit: 1 << 16) ?? [], as: UTF8.self)
        return (text, try ChildProcess.wait(for: pid))
    }

    @Test func `the environment is fixed`() throws {
        setenv("MARTLET_TEST_LEAK", "yes", 1)
        let (text, status) = try run("/usr/bin/env", timeZone: "UTC")
        #expect(status == .exited(0))
        let lines = text.split(separator: "\n").filter { !$0.hasPrefix("PWD=") && !$0.hasPrefix("_=") }
        #expect(
            lines.sorted() == ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "SWIFT_BACKTRACE=enable=no", "TZ=UTC"])
    }

    @Test func `a child has four descriptors and no more`() throws {
        let channel = try FileDescriptor.streamPair()
        // An open descriptor that is not close-on-exec must not get through either.
        let leak = dup(2)
        defer { close(leak) }
        // Not by listing the directory, which opens one more.
        let list = "n=0; while [ $n -lt 64 ]; do [ -e /proc/$$/fd/$n ] && printf '%s ' $n; n=$((n + 1)); done"
        #expect(try run(list, channel: channel.right.number).text == "0 1 2 3 ")
        #expect(try run(list).text == "0 1 2 ")
    }

    @Test func `a program replaced on disk is not run before the next start`() throws {
        let directory = try TemporaryDirectory(isSpool: false)
        let path = directory.path + "/" + Role.queue.executable
        defer { unlink(path) }
        symlink("/bin/sh", path)
        let spawner = Spawner(programs: try ProgramSet(directory: directory.path, roles: [.queue]))
        unlink(path)
        symlink("/bin/false", path)
        let channel = try FileDescriptor.streamPair()
        let errors = try FileDescriptor.pipe()
        let pid = try spawner.start(
            .queue, arguments: ["-c", "echo told >&2; exit 7"], channel: channel.right, errors: errors.right)
        #expect(try ChildProcess.wait(for: pid) == .exited(7))
        let reading = errors.takeLeft()
        #expect(try reading.readAll(limit: 100) == Array("told\n".utf8))
    }

    @Test func `an exit code and a signal come back`() throws {
        #expect(try run("exit 75").status == .exited(75))
        #expect(try run("kill -TERM $$").status == .signalled(SIGTERM))
    }

    @Test func `a user's process is the user and at home`() throws {
        guard geteuid() == 0 else { return print("not root: users are not tested") }
        let user = SystemUser(name: "joe", identity: Identity(uid: 65534, gid: 65534), home: "/tmp")
        let (text, status) = try run("id -u; id -G; pwd; echo $HOME $USER", user: user)
        #expect(status == .exited(0))
        #expect(text == "65534\n65534\n/tmp\n/tmp joe\n")
        let root = SystemUser(name: "root", identity: Identity(uid: 0, gid: 0), home: "/root")
        #expect(throws: LaunchError.rootIdentity) { _ = try run("true", user: root) }
    }

    @Test func `what cannot be run is said`() throws {
        #expect(throws: LaunchError.program("/nowhere", SystemError("open", ENOENT))) {
            _ = try ProgramSet.open("/nowhere")
        }
        #expect(throws: LaunchError.program("/etc/passwd", SystemError("open", EACCES))) {
            _ = try ProgramSet.open("/etc/passwd")
        }
        #expect(throws: LaunchError.self) { _ = try ProgramSet(directory: "/", roles: [.queue]) }
        #expect(throws: LaunchError.zeroByte) { _ = try run("a\u{0}b") }
        let spawner = Spawner(programs: try ProgramSet(directory: "/", roles: []))
        let pair = try FileDescriptor.streamPair()
        #expect(throws: LaunchError.self) { _ = try spawner.start(.queue, channel: pair.left, errors: pair.right) }
    }

    @Test func `users are found by name and number`() throws {
        let root = try SystemUser.named("root")
        #expect(root?.identity == Identity(uid: 0, gid: 0))
        #expect(root?.home == "/root")
        #expect(try SystemUser.numbered(0)?.name == "root")
        #expect(try SystemUser.named("no-such-user-here") == nil)
        #expect(try SystemUser.named("") == nil)
        #expect(try SystemUser.named("root\u{0}x") == nil)
    }
}
