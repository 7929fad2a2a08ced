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
