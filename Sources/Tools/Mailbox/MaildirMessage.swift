// SPDX-License-Identifier: ISC

import Bytes
import Glibc
import IPC
import Mail
import Posix

/// One message on its way into a Maildir: written in `tmp`, its bytes sent to the disk, renamed into `new`, synced.
///
/// The bytes leave before the rename, so that no name in `new` ever points to missing ones; the one fsync behind it
/// makes bytes and name safe together, since the rename is a change of the file itself to every file system of Linux
/// that logs (ext4, XFS, Btrfs, F2FS). A sync before and another of the directory would cost two waits for the log.
///
/// Its name comes from the envelope, so that a delivery that is repeated, because the answer to the first one got lost,
/// adds no second message: it puts the same bytes in the place of the first, or finds it among those already seen, and
/// syncs that.
nonisolated final class MaildirMessage {
    // What is gathered before it is written.
    private static let blockSize = 64 * 1024
    // Entries of `cur` that are looked through for a message that its user has already seen.
    private static let mostScanned = 20_000
    // A first attempt begins sooner after the acceptance; only a later one can be a repetition.
    private static let firstAttemptSeconds: Int64 = 2

    enum JunkFolder {
        case unused
        case used
    }

    let id: EnvelopeID
    let name: String
    private(set) var folder: MaildirFolder
    private(set) var outcome: MailboxOutcome?
    private let junkUse: JunkFolder
    private var junk = JunkHeader()
    private var file: FileDescriptor?
    /// Nothing of it is changed, line ends neither.
    private let isBinary: Bool
    private var lineEnds = LineEnds()
    private var output: [UInt8] = []

    /// Opens the file. Failures show in `outcome`.
    init(
        _ delivery: MailboxDelivery, in folder: MaildirFolder, hostName: String, now: Timestamp,
        junk: JunkFolder = .unused
    ) {
        id = delivery.id
        name = Self.fileName(delivery.id, delivery.created, hostName)
        self.folder = folder
        junkUse = junk
        isBinary = delivery.isBinary
        let mayBeRepeated = now - delivery.created >= .seconds(Self.firstAttemptSeconds)
        var hasStale = false
        do {
            if unlinkat(folder.temporary.number, name, 0) == 0 { hasStale = true }
            if hasStale || mayBeRepeated, let seen = Self.seenName(name, in: folder.current) {
                try Self.syncSeen(seen, in: folder.current)
                outcome = .delivered
                return
            }
            file = try FileDescriptor.open(
                name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600, in: folder.temporary.number)
            output = delivery.addedFields
            if isBinary { output = output.flatMap { $0 == .lineFeed ? [.carriageReturn, $0] : [$0] } }
        } catch {
            fail(error)
        }
    }

    static func fileName(_ id: EnvelopeID, _ created: Timestamp, _ hostName: String) -> String {
        let host = hostName.utf8.prefix(128).map { byte in
            byte.isAlphanumeric || byte == .dot || byte == UInt8(ascii: "-") ? byte : UInt8(ascii: "_")
        }
        return "\(created.seconds).\(id).\(String(decoding: host, as: UTF8.self))"
    }

    func append(_ content: [UInt8]) {
        guard outcome == nil else { return }
        switch junkUse {
        case .used: junk.scan(content)
        case .unused: break
        }
        if isBinary { output += content } else { lineEnds.convert(content, into: &output) }
        if output.count >= Self.blockSize { write() }
    }

    /// All content has come.
    func end() {
        guard outcome == nil else { return }
        lineEnds.finish(into: &output)
        write()
    }

    /// Moves messages that have ended into their mailboxes, and returns only when all that can be is on the disk.
    static func commit(_ messages: [MaildirMessage]) {
        // All are on their way before any is waited for, so that the disk sees them together.
        for message in messages where message.outcome == nil { message.startWriting() }
        for message in messages where message.outcome == nil { message.finishWriting() }
        for message in messages where message.outcome == nil { message.publish() }
        for message in messages where message.outcome == nil { message.sync() }
        for message in messages where message.outcome == nil { message.outcome = .delivered }
    }

    /// Forgets the message, whose content will not come to its end.
    func abandon() {
        if file != nil { unlinkat(folder.temporary.number, name, 0) }
        file = nil
    }

    private func write() {
        guard let number = file?.number else { return }
        var start = 0
        while start < output.count {
            let count = output.withUnsafeBytes { buffer in
                FileDescriptor.retrying {
                    Glibc.write(number, buffer.baseAddress.map { $0 + start }, buffer.count - start)
                }
            }
            guard count > 0 else { return fail(SystemError("write", count == 0 ? ENOSPC : errno)) }
            start += count
        }
        output.removeAll(keepingCapacity: output.capacity <= Self.blockSize * 2)
    }

    private func startWriting() {
        guard let number = file?.number else { return }
        // Only a hint: what it does not do is done behind it.
        sync_file_range(number, 0, 0, UInt32(SYNC_FILE_RANGE_WRITE))
    }

    private func finishWriting() {
        guard let number = file?.number else { return }
        let flags = UInt32(SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER)
        if FileDescriptor.retrying({ sync_file_range(number, 0, 0, flags) }) == 0 { return }
        // A file system that cannot: the whole sync it is.
        if FileDescriptor.retrying({ fdatasync(number) }) != 0 { fail(SystemError("fdatasync")) }
    }

    private func publish() {
        do {
            var target = folder
            if junk.isJunk { target = try folder.junkFolder() }
            var result = renameat(folder.temporary.number, name, target.new.number, name)
            if result != 0, errno == EXDEV {
                // The folder for junk lies elsewhere: better in the wrong folder than nowhere.
                target = folder
                result = renameat(folder.temporary.number, name, target.new.number, name)
            }
            try SystemError.check("rename", result)
            folder = target
        } catch {
            fail(error)
        }
    }

    private func sync() {
        guard let number = file?.number else { return }
        let result = FileDescriptor.retrying { fsync(number) }
        let error = SystemError("fsync")
        file = nil
        // What was renamed stays: the next attempt puts the same name, whole, in its place.
        if result != 0 { outcome = .failure(error, "Cannot sync the mailbox") }
    }

    private func fail(_ error: SystemError) {
        abandon()
        outcome = .failure(error, "Cannot write to the mailbox")
    }

    // With its flags a message is called `NAME:2,FLAGS`.
    private static func seenName(_ name: String, in directory: borrowing FileDescriptor) -> String? {
        for flags in [":2,", ":2,S"] where MaildirFolder.exists(name + flags, in: directory.number) {
            return name + flags
        }
        guard let copy = try? FileDescriptor.open(".", O_DIRECTORY | O_RDONLY, in: directory.number) else {
            return nil
        }
        guard let stream = fdopendir(copy.release()) else { return nil }
        defer { closedir(stream) }
        let wanted = Array((name + ":").utf8)
        for _ in 0..<mostScanned {
            guard let entry = readdir(stream) else { return nil }
            let found = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                bytes.starts(with: wanted) ? String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self) : nil
            }
            if let found { return found }
        }
        return nil
    }

    // The attempt that put it there may have ended before its sync, or its sync failed.
    private static func syncSeen(_ name: String, in directory: borrowing FileDescriptor) throws(SystemError) {
        do {
            let file = try FileDescriptor.open(name, O_RDONLY | O_NONBLOCK | O_NOCTTY, in: directory.number)
            try file.sync()
        } catch {
            // Its user has moved it on since.
            guard error.code == ENOENT else { throw error }
        }
    }
}
