// SPDX-License-Identifier: ISC

import Glibc
import Posix
import Testing

@testable import Mailbox

@Suite @MainActor struct MboxFileTests {
    private let directory = TemporaryDirectory()
    private var path: String { "\(directory.path)/bob" }

    private func open(_ kind: MboxFile.Kind = .spool) throws(MboxFile.Refusal) -> MboxFile {
        try MboxFile(path, kind)
    }

    @Test func `messages are added behind each other`() throws {
        for text in ["a\n\n", "b\n\n"] {
            let file = try open()
            #expect(try file.lock())
            try file.append(Array(text.utf8))
            try file.sync()
        }
        #expect(directory.read("bob") == "a\n\nb\n\n")
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
    }

    @Test(arguments: [
        ("", ""), ("\n", "\n\n"), ("a\n\n", "a\n\n"), ("a\n", "a\n\n"), ("a", "a\n\n"), ("cut off", "cut off\n\n"),
    ])
    func `the last message is ended before the next one begins`(found: String, ended: String) throws {
        try directory.write("bob", found)
        let file = try open()
        #expect(try file.lock())
        try file.endLastMessage()
        #expect(file.length == ended.utf8.count)
        try file.append(Array("From".utf8))
        #expect(directory.read("bob") == ended + "From")
    }

    @Test func `half a message is taken back`() throws {
        try directory.write("bob", "old\n\n")
        let file = try open()
        #expect(try file.lock())
        let start = file.length
        try file.append(Array("half".utf8))
        try file.truncate(to: start)
        #expect(directory.read("bob") == "old\n\n")
    }

    @Test func `a lock keeps others out until it is given back`() throws {
        var first: MboxFile? = try open()
        let second = try open()
        #expect(try first?.lock() == true)
        #expect(try second.lock() == false)
        first = nil
        #expect(try second.lock())
    }

    @Test func `a lock file of another program keeps us out, ours keeps others out, and neither stays`() throws {
        let lockPath = path + ".lock"
        try directory.write("bob.lock", "1\n")
        #expect(try open().lock() == false)
        #expect(unlink(lockPath) == 0)
        var file: MboxFile? = try open()
        #expect(try file?.lock() == true)
        #expect(directory.read("bob.lock") == "\(getpid())\n")
        file = nil
        #expect(directory.read("bob.lock") == nil)
    }

    @Test func `a lock file that somebody left behind is removed`() throws {
        try directory.write("bob.lock", "1\n")
        var times = [timespec(), timespec()]
        clock_gettime(CLOCK_REALTIME, &times[0])
        times[0].tv_sec -= DotLock.staleSeconds + 10
        times[1] = times[0]
        #expect(utimensat(AT_FDCWD, path + ".lock", times, 0) == 0)
        #expect(try open().lock() == false)
        #expect(try open().lock())
    }

    @Test func `a file of the user's own choice has no lock file beside it, but is locked as files are`() throws {
        let file = try open(.own)
        #expect(try file.lock())
        #expect(directory.read("bob.lock") == nil)
        let other = try FileDescriptor.open(path, O_WRONLY)
        #expect(flock(other.number, LOCK_EX | LOCK_NB) != 0)
    }

    @Test func `links, second names and other kinds of files are refused`() throws {
        try directory.write("target", "x")
        #expect(symlink("\(directory.path)/target", path) == 0)
        #expect(throws: MboxFile.Refusal.self) { try open() }
        #expect(unlink(path) == 0)
        #expect(link("\(directory.path)/target", path) == 0)
        #expect(throws: MboxFile.Refusal.unsafe("it has more than one name")) { try open() }
        #expect(unlink(path) == 0)
        #expect(mkdir(path, 0o700) == 0)
        #expect(throws: MboxFile.Refusal.self) { try open() }
        #expect(rmdir(path) == 0)
        #expect(mkfifo(path, 0o600) == 0)
        #expect(throws: MboxFile.Refusal.self) { try open() }
        #expect(directory.read("target") == "x")
    }

    @Test func `a file that was replaced is not the mailbox any more`() throws {
        let file = try open()
        #expect(file.isCurrent)
        try directory.write("other", "")
        #expect(rename("\(directory.path)/other", path) == 0)
        #expect(!file.isCurrent)
    }
}
