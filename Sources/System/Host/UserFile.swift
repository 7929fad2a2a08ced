// SPDX-License-Identifier: ISC

import CPosix
import Glibc
import Posix

/// A file in a user's home directory, read with that user's rights and no other's.
public enum UserFile {
    public enum Answer: Hashable, Sendable {
        case content([UInt8])
        case absent
        /// Permanently unusable, and why.
        case insecure(String)
        case temporaryFailure(String)
    }

    /// Reads `name` below `home`. Root takes the file system identity of the user meanwhile (the effective user and group
    /// and no supplementary group): what the user may not read is not read, a network file system included.
    ///
    /// The directory and the file must belong to the user or to root and be writable by nobody else; every directory above
    /// them, too. A sticky home directory means that the user's files are being worked on (delivery is to be tried again).
    public static func read(
        _ name: String, home: String, uid: UInt32, gid: UInt32, limit: Int
    ) -> Answer {
        guard uid != 0 else { return readAsCaller(name, home, uid, limit) }
        return withRights(uid, gid) { readAsCaller(name, home, uid, limit) }
    }

    /// Reads the list of addresses at `path` with the rights of a user who is not root. No link, nothing that everybody may
    /// write; the administrator has named it, so its owner is not asked for.
    public static func readList(_ path: String, uid: UInt32, gid: UInt32, limit: Int) -> Answer {
        guard geteuid() != 0 || (uid != 0 && gid != 0) else { return .insecure("not read as root") }
        guard path.hasPrefix("/"), !path.utf8.contains(0) else { return .insecure("no absolute path") }
        return withRights(uid, gid) {
            do {
                let file = try FileDescriptor.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
                let facts = try file.facts()
                guard facts.isRegular else { return .insecure("not a regular file") }
                guard facts.mode & 0o002 == 0 else { return .insecure("writable by everyone") }
                guard facts.size < Int64(limit), let content = try file.readAll(limit: limit - 1) else {
                    return .insecure("too long")
                }
                // Nothing of /proc is a list either, where every file says that it is empty.
                guard content.count == Int(facts.size), try file.isUnchanged(since: facts) else {
                    return .temporaryFailure("changed while it was read")
                }
                return .content(content)
            } catch let error as SystemError {
                return error.code == ENOENT ? .absent : .temporaryFailure("\(error)")
            } catch {
                return .temporaryFailure("\(error)")
            }
        }
    }

    // Root takes the file system identity of the user meanwhile. Only this thread does: beside a daemon's there is no other.
    static func withRights(_ uid: UInt32, _ gid: UInt32, _ read: () -> Answer) -> Answer {
        guard geteuid() == 0 else { return read() }
        guard martlet_take_identity(uid, gid) == 0 else {
            let failure = SystemError("setresuid")
            takeRootBack()
            return .temporaryFailure("\(failure)")
        }
        let answer = read()
        takeRootBack()
        return answer
    }

    // Without root there is no answering for another user. The change has cleared the parent-death signal.
    private static func takeRootBack() {
        guard martlet_take_identity(0, 0) == 0, martlet_bind_to_parent(getppid()) == 0 else { exit(1) }
    }

    private static func readAsCaller(_ name: String, _ home: String, _ uid: UInt32, _ limit: Int) -> Answer {
        guard home.hasPrefix("/") else { return .insecure("home directory is not absolute") }
        let directory: FileDescriptor
        switch openHome(home, uid) {
        case .failure(let refusal): return refusal.answer
        case .success(let number): directory = FileDescriptor(owning: number)
        }
        let file: FileDescriptor
        do {
            file = try FileDescriptor.open(
                name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, in: directory.number)
        } catch {
            switch error.code {
            case ENOENT: return .absent
            case ELOOP: return .insecure("\(name) is a link")
            case EACCES, EPERM: return .insecure("\(name) may not be read")
            default: return .temporaryFailure("\(error)")
            }
        }
        do {
            let facts = try file.facts()
            guard facts.isRegular else { return .insecure("\(name) is not a regular file") }
            guard facts.owner == uid || facts.owner == 0 else { return .insecure("\(name) belongs to another user") }
            guard !facts.isWritableByOthers else { return .insecure("\(name) is writable by others") }
            // Anybody can give a file of root's a second name, here too.
            guard facts.owner == uid || facts.links == 1 else { return .insecure("\(name) has more than one name") }
            guard facts.size < Int64(limit), let content = try file.readAll(limit: limit - 1) else {
                return .insecure("\(name) is too long")
            }
            // Half of it could send the mail anywhere.
            guard try file.isUnchanged(since: facts) else {
                return .temporaryFailure("\(name) changed while it was read")
            }
            return .content(content)
        } catch {
            return .temporaryFailure("\(error)")
        }
    }

    private struct Refusal: Error {
        let answer: Answer
    }

    // The path is walked from the root by descriptors, so that what was checked is what is used. Links in it are followed
    // (/home is one on many hosts); each directory that is passed through is checked for itself.
    private static func openHome(_ home: String, _ uid: UInt32) -> Result<Int32, Refusal> {
        func refuse(_ answer: Answer) -> Result<Int32, Refusal> { .failure(Refusal(answer: answer)) }
        guard let path = resolved(home) else {
            // Users of the system often have no home, and mail all the same.
            if errno == ENOENT { return refuse(.absent) }
            if errno == EACCES { return refuse(.insecure("home may not be entered")) }
            return refuse(.temporaryFailure("\(SystemError("realpath"))"))
        }
        var number: Int32
        do {
            number = try FileDescriptor.open("/", O_RDONLY | O_DIRECTORY).release()
            for part in path.split(separator: "/") {
                let above = FileDescriptor(owning: number)
                guard isPassable(try above.facts(), uid) else {
                    return refuse(.insecure("a directory above is unsafe"))
                }
                number = try FileDescriptor.open(
                    String(part), pathOnly | O_DIRECTORY | O_NOFOLLOW, in: above.number
                ).release()
            }
            let directory = FileDescriptor(owning: number)
            let facts = try directory.facts()
            guard facts.mode & 0o1000 == 0 else { return refuse(.temporaryFailure("home directory is sticky")) }
            guard isSafe(facts, uid) else { return refuse(.insecure("home directory is unsafe")) }
            return .success(directory.release())
        } catch {
            return refuse(.temporaryFailure("\(error)"))
        }
    }

    private static func resolved(_ path: String) -> String? {
        guard let real = realpath(path, nil) else { return nil }
        defer { free(real) }
        return String(cString: real)
    }

    private static func isSafe(_ facts: FileFacts, _ uid: UInt32) -> Bool {
        (facts.owner == uid || facts.owner == 0) && !facts.isWritableByOthers
    }

    // In a sticky directory nobody can put something else in the place of what a user owns there.
    private static func isPassable(_ facts: FileFacts, _ uid: UInt32) -> Bool {
        isSafe(facts, uid) || (facts.owner == 0 && facts.mode & 0o1000 != 0)
    }

    /// O_PATH, which Swift sees only under _GNU_SOURCE: a directory that may only be passed through is enough.
    private static let pathOnly: Int32 = 0o10000000
}

/// A time limit that the kernel keeps, even for a process that waits inside a library.
public enum Alarm {
    /// The process dies so many seconds from now; 0 takes it back.
    public static func set(seconds: UInt32) { alarm(seconds) }
}
