// SPDX-License-Identifier: ISC

import Bytes
import Glibc
import Posix

/// An mbox file that is open and, once `lock` says so, ours alone. Closing it gives the lock back.
nonisolated final class MboxFile {
    enum Refusal: Error, Hashable {
        /// Not a file that mail may be written to.
        case unsafe(String)
        case failed(SystemError)
    }

    /// Which files are taken.
    enum Kind {
        /// In a directory that others may write to: never through a link, and ours.
        case spool
        /// Named by the user himself.
        case own
    }

    // F_OFD_SETLK of Linux: the lock belongs to the open file, and conflicts with those of fcntl(2) and of lockf(3).
    private static let setLock: Int32 = 37

    private let descriptor: FileDescriptor
    private let path: String
    private let kind: Kind
    private(set) var length: off_t = 0
    private var dotLock: DotLock?

    init(_ path: String, _ kind: Kind) throws(Refusal) {
        self.path = path
        self.kind = kind
        var flags = O_CREAT | O_NONBLOCK | O_NOCTTY | O_APPEND
        switch kind {
        case .spool: flags |= O_NOFOLLOW
        case .own: break
        }
        let status: stat
        do {
            descriptor = try Self.open(path, flags)
            status = try descriptor.status()
        } catch {
            throw .failed(error)
        }
        guard status.isRegularFile else { throw .unsafe("not a regular file") }
        switch kind {
        case .spool:
            guard status.st_uid == geteuid() else { throw .unsafe("owned by somebody else") }
            guard status.st_nlink == 1 else { throw .unsafe("it has more than one name") }
        case .own: break
        }
    }

    // Readable too, so that its end can be looked at; one that may only be written to is taken as it is.
    private static func open(_ path: String, _ flags: Int32) throws(SystemError) -> FileDescriptor {
        do {
            return try FileDescriptor.open(path, flags | O_RDWR, mode: 0o600)
        } catch {
            guard error.code == EACCES else { throw error }
            return try FileDescriptor.open(path, flags | O_WRONLY, mode: 0o600)
        }
    }

    /// Takes the lock, in each of the ways in which mail readers do; false when somebody else has one of them.
    func lock() throws(Refusal) -> Bool {
        guard try lockRange() else { return false }
        do {
            switch kind {
            case .spool:
                guard let lock = try DotLock.take(for: path) else { return false }
                dotLock = lock
            case .own:
                // Who writes to a file of somebody's own choice may know no other lock.
                if flock(descriptor.number, LOCK_EX | LOCK_NB) != 0 {
                    if errno == EWOULDBLOCK { return false }
                    throw SystemError("flock")
                }
            }
            length = try descriptor.status().st_size
        } catch let error as SystemError {
            throw .failed(error)
        } catch {
            throw .failed(SystemError("lock"))
        }
        return true
    }

    private func lockRange() throws(Refusal) -> Bool {
        var request = flock()
        request.l_type = Int16(F_WRLCK)
        request.l_whence = Int16(SEEK_SET)
        if fcntl(descriptor.number, Self.setLock, &request) != 0 {
            if errno == EAGAIN || errno == EACCES { return false }
            throw .failed(SystemError("lock"))
        }
        return true
    }

    /// Whether the path still names this file: a mail reader may have put another one in its place.
    var isCurrent: Bool {
        var named = stat()
        guard fstatat(AT_FDCWD, path, &named, 0) == 0, let opened = try? descriptor.status() else { return false }
        return named.st_ino == opened.st_ino && named.st_dev == opened.st_dev
    }

    /// Gives the last message the line end and the empty line that a power cut or an editor has left off: the next one
    /// would be a part of it.
    func endLastMessage() throws(SystemError) {
        length = try descriptor.status().st_size
        var end: [UInt8] = [0, 0]
        let wanted = min(end.count, Int(length))
        let count = FileDescriptor.retrying { pread(descriptor.number, &end, wanted, length - off_t(wanted)) }
        // A file that may not be read has the end that it has.
        if count < 0, errno == EBADF { return }
        try SystemError.check("pread", count)
        guard count > 0 else { return }
        let found = end[..<count].reversed().prefix { $0 == .lineFeed }.count
        if found < end.count { try append(Array(repeating: .lineFeed, count: end.count - found)) }
    }

    /// Adds to the end of the file.
    func append(_ bytes: [UInt8]) throws(SystemError) {
        try descriptor.writeAll(bytes)
        length += off_t(bytes.count)
    }

    /// Takes back everything behind `length`.
    func truncate(to length: off_t) throws(SystemError) {
        try SystemError.check("ftruncate", ftruncate(descriptor.number, length))
        self.length = length
    }

    func sync() throws(SystemError) { try descriptor.syncData() }
}
