// SPDX-License-Identifier: ISC

import Glibc
import Posix

/// A file beside a mailbox that says, by being there, that the mailbox is locked. Removed when it is let go.
nonisolated final class DotLock {
    // Longer than anybody holds one: who left it behind has died (liblockfile has the same).
    static let staleSeconds = 300

    // nil where the directory is not ours to write to: then nobody has such locks there.
    private let path: String?

    private init(_ path: String?) { self.path = path }

    deinit {
        if let path { unlink(path) }
    }

    /// The lock; nil when somebody else has it.
    static func take(for mailbox: String) throws(SystemError) -> DotLock? {
        let path = mailbox + ".lock"
        do {
            try make(path)
            return DotLock(path)
        } catch {
            switch error.code {
            case EEXIST:
                removeStale(path)
                return nil
            case EACCES, EPERM, EROFS, ENAMETOOLONG:
                return DotLock(nil)
            default:
                throw error
            }
        }
    }

    // The number of a process says to others that it is not stale as long as that lives; 0 is nobody's.
    private static func make(_ path: String) throws(SystemError) {
        let file = try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o444)
        do {
            try file.writeAll(Array("\(getpid())\n".utf8))
        } catch {
            unlink(path)
            throw error
        }
    }

    private static func removeStale(_ path: String) {
        var status = stat()
        var now = timespec()
        guard lstat(path, &status) == 0, clock_gettime(CLOCK_REALTIME, &now) == 0,
            now.tv_sec - status.st_mtim.tv_sec > staleSeconds
        else { return }
        unlink(path)
    }
}
