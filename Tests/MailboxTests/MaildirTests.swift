// SPDX-License-Identifier: ISC

import Bytes
import Glibc
import IPC
import Mail
import Posix
import Testing

@testable import Mailbox

@Suite @MainActor struct MaildirTests {
    private let directory = TemporaryDirectory()
    private var path: String { "\(directory.path)/Maildir" }
    private static let name = "1000.0000abcd00000001.mx.example.org"

    private func deliver(
        _ delivery: MailboxDelivery, _ content: String, now: Int64 = 1000, junk: MaildirMessage.JunkFolder = .unused,
        tag: String? = nil
    ) throws -> MailboxOutcome? {
        var folder = try MaildirFolder.open(path)
        if let tag { folder = try folder.subfolder(tag) }
        let message = MaildirMessage(
            delivery, in: folder, hostName: "mx.example.org", now: Timestamp(seconds: now), junk: junk)
        for byte in content.utf8 { message.append([byte]) }
        message.end()
        MaildirMessage.commit([message])
        return message.outcome
    }

    @Test func `a message is in new, under the name of its envelope, with LF`() throws {
        #expect(try deliver(delivery(), "Subject: a\r\n\r\nb\rc\r\n") == .delivered)
        #expect(directory.names("Maildir") == ["cur", "new", "tmp"])
        #expect(directory.names("Maildir/tmp").isEmpty)
        #expect(directory.names("Maildir/new") == [Self.name])
        let expected =
            "Return-Path: <alice@example.org>\nDelivered-To: bob+lists@example.org\nSubject: a\n\nb\rc\n"
        #expect(directory.read("Maildir/new/\(Self.name)") == expected)
    }

    @Test func `the null path has no Return-Path`() throws {
        var notice = delivery()
        notice.sender = .null
        #expect(try deliver(notice, "a\r\n") == .delivered)
        #expect(directory.read("Maildir/new/\(Self.name)") == "Delivered-To: bob+lists@example.org\na\n")
    }

    @Test func `a repeated delivery adds no second message`() throws {
        #expect(try deliver(delivery(), "a\r\n") == .delivered)
        #expect(try deliver(delivery(), "a\r\n") == .delivered)
        #expect(directory.names("Maildir/new") == [Self.name])
        #expect(directory.names("Maildir/tmp").isEmpty)
    }

    @Test func `what a crash left short in new is made whole by the next attempt`() throws {
        _ = try MaildirFolder.open(path)
        try directory.write("Maildir/new/\(Self.name)", "Return-Path: <alice@exa")
        #expect(try deliver(delivery(), "a\r\n") == .delivered)
        #expect(directory.names("Maildir/new") == [Self.name])
        #expect(directory.read("Maildir/new/\(Self.name)")?.hasSuffix("a\n") == true)
    }

    @Test func `a repeated delivery finds the message that its user has seen`() throws {
        #expect(try deliver(delivery(), "a\r\n") == .delivered)
        for flags in [":2,S", ":2,FRS"] {
            let seen = "\(directory.path)/Maildir/cur/\(Self.name)\(flags)"
            #expect(rename("\(path)/new/\(Self.name)", seen) == 0)
            #expect(try deliver(delivery(), "a\r\n", now: 1500) == .delivered)
            #expect(directory.names("Maildir/new").isEmpty)
            #expect(rename(seen, "\(path)/new/\(Self.name)") == 0)
        }
    }

    @Test func `what its user has seen is synced before it counts as delivered`() throws {
        _ = try MaildirFolder.open(path)
        // A pipe cannot be synced: it stands for a file on a disk that fails.
        for name in ["\(Self.name):2,S", "\(Self.name):2,FRS"] {
            let seen = "\(path)/cur/\(name)"
            #expect(mkfifo(seen, 0o600) == 0)
            #expect(
                try deliver(delivery(), "a\r\n", now: 1500)
                    == .failure(SystemError("fsync", EINVAL), "Cannot write to the mailbox"))
            #expect(unlink(seen) == 0)
        }
    }

    @Test func `what an earlier attempt left in tmp is replaced`() throws {
        _ = try MaildirFolder.open(path)
        try directory.write("Maildir/tmp/\(Self.name)", "half")
        #expect(try deliver(delivery(), "a\r\n") == .delivered)
        #expect(directory.names("Maildir/tmp").isEmpty)
        #expect(directory.read("Maildir/new/\(Self.name)")?.hasSuffix("a\n") == true)
    }

    @Test func `a group is committed together`() throws {
        let folder = try MaildirFolder.open(path)
        let messages = (1...5).map { number in
            let message = MaildirMessage(
                delivery(UInt32(number)), in: folder, hostName: "h", now: Timestamp(seconds: 1000))
            message.append(Array("x\r\n".utf8))
            message.end()
            return message
        }
        #expect(directory.names("Maildir/new").isEmpty)
        MaildirMessage.commit(messages)
        #expect(messages.allSatisfy { $0.outcome == .delivered })
        #expect(directory.names("Maildir/new").count == 5)
    }

    @Test func `a message that is given up leaves nothing`() throws {
        let folder = try MaildirFolder.open(path)
        let message = MaildirMessage(delivery(), in: folder, hostName: "h", now: Timestamp(seconds: 1000))
        message.append(Array(repeating: 0x61, count: 200_000))
        message.abandon()
        #expect(directory.names("Maildir/tmp").isEmpty)
        #expect(directory.names("Maildir/new").isEmpty)
    }

    @Test func `a tag leads to its folder where there is one`() throws {
        #expect(try deliver(delivery(1), "a\r\n", tag: "lists") == .delivered)
        _ = try MaildirFolder.open("\(path)/.lists")
        #expect(try deliver(delivery(2), "a\r\n", tag: "lists") == .delivered)
        #expect(directory.names("Maildir/new").count == 1)
        #expect(directory.names("Maildir/.lists/new").count == 1)
    }

    @Test(arguments: ["", ".", "..", ".x", "\u{0}"])
    func `a tag is no way out of the mailbox`(_ tag: String) {
        #expect(MaildirFolder.folderName(tag) == nil)
    }

    @Test func `special characters of a tag become colons`() {
        #expect(MaildirFolder.folderName("a!b/../c") == ".a:b:..:c")
    }

    @Test func `spam goes to its folder, once`() throws {
        #expect(try deliver(delivery(), "X-Spam: yes\r\n\r\n", junk: .used) == .delivered)
        #expect(try deliver(delivery(), "X-Spam: yes\r\n\r\n", junk: .used) == .delivered)
        #expect(directory.names("Maildir/.Junk/new") == [Self.name])
        #expect(directory.names("Maildir/new").isEmpty)
    }

    @Test func `spam that a failed sync may have left short is made whole by the next attempt`() throws {
        #expect(try deliver(delivery(), "X-Spam: yes\r\n\r\nall of it\r\n", junk: .used) == .delivered)
        try directory.write("Maildir/.Junk/new/\(Self.name)", "X-Spam")
        #expect(try deliver(delivery(), "X-Spam: yes\r\n\r\nall of it\r\n", junk: .used) == .delivered)
        #expect(directory.names("Maildir/.Junk/new") == [Self.name])
        #expect(directory.read("Maildir/.Junk/new/\(Self.name)")?.hasSuffix("\nall of it\n") == true)
    }

    @Test func `a file where the mailbox should be defers`() throws {
        try directory.write("Maildir", "x")
        #expect(throws: SystemError.self) { try MaildirFolder.open(path) }
    }
}
