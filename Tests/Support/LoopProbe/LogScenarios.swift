// SPDX-License-Identifier: ISC

import Channel
import Glibc
import Posix
import Reactor

enum LogScenarios {
    private static func file() throws -> FileDescriptor {
        FileDescriptor(owning: try SystemError.check("memfd_create", memfd_create("log", UInt32(MFD_CLOEXEC))))
    }

    private static func lines(of file: borrowing FileDescriptor) throws -> [String] {
        let size = Int(try file.status().st_size)
        let text = String(decoding: try file.read(at: 0, count: size), as: UTF8.self)
        return text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
    }

    /// A line is a line, whatever was put into it, and lines leave at the end of the turn.
    static func lines() async throws {
        let file = try file()
        let log = Log(try file.duplicate(), isStream: true, ident: "smtpd", name: "queue", isVerbose: false)
        log.info("a\r\nb\0c\u{1B}[1m\u{7F}d \u{E4}")
        log.debug("not said")
        log.warning("careful")
        Check.equal(try lines(of: file), [], "lines before the end of the turn")
        await Loop.pause(milliseconds: 1)
        Check.equal(try lines(of: file), ["a??b?c?[1m?d \u{E4}", "warn: careful"], "lines")
        log.isVerbose = true
        log.debug("said")
        log.flush()
        Check.equal(try lines(of: file).last, "queue: debug: said", "a line of a verbose log")
    }

    /// Lines that nobody takes are counted, not kept.
    static func bound() async throws {
        let file = try file()
        let log = Log(try file.duplicate(), isStream: true, ident: "smtpd", name: "queue", isVerbose: false)
        let text = String(repeating: "x", count: 199)
        for _ in 0..<10_000 { log.info(text) }
        await Loop.pause(milliseconds: 1)
        let lines = try lines(of: file)
        let kept = lines.count - 1
        Check.that(kept > 5000 && kept * 200 <= 1 << 20, "kept \(kept) lines")
        Check.equal(lines.last, "warn: \(10_000 - kept) lines of the log were lost", "the last line")
        log.info("again")
        log.flush()
        Check.equal(try self.lines(of: file).last, "again", "after that")
    }

    static func datagrams() async throws {
        var numbers: [Int32] = [-1, -1]
        let type = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        try SystemError.check("socketpair", socketpair(AF_UNIX, type, 0, &numbers))
        let log = Log(
            FileDescriptor(owning: numbers[0]), isStream: false, ident: "smtpd", name: "queue", isVerbose: false)
        log.info("one\ntwo")
        log.critical("three")
        log.flush()
        let prefix = "smtpd[\(getpid())]: "
        Check.equal(String(decoding: System.read(numbers[1], 512), as: UTF8.self), "<22>\(prefix)one?two", "info")
        Check.equal(String(decoding: System.read(numbers[1], 512), as: UTF8.self), "<18>\(prefix)three", "critical")
        // A log that is not read keeps nobody waiting.
        for _ in 0..<10_000 { log.info("more") }
        log.flush()
        close(numbers[1])
        log.info("to nobody")
        log.flush()
    }
}
