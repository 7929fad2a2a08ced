// SPDX-License-Identifier: ISC

import CPosix
import Glibc
public import Posix

/// Signals by what they mean here.
public enum Signal {
    public static let hangUp: Int32 = SIGHUP
    public static let interrupt: Int32 = SIGINT
    public static let terminate: Int32 = SIGTERM
    public static let kill: Int32 = SIGKILL
    public static let childEnded: Int32 = SIGCHLD
}

/// What a process knows of itself and may change.
public enum ThisProcess {
    public static var pid: Int32 { getpid() }
    public static var uid: UInt32 { geteuid() }
    public static var gid: UInt32 { getegid() }
    public static var isRoot: Bool { uid == 0 }

    /// Where its program lies, links resolved.
    public static var executable: String? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PATH_MAX)) { buffer in
            guard let base = buffer.baseAddress else { return nil }
            let count = readlink("/proc/self/exe", base, buffer.count)
            guard count > 0, count < buffer.count else { return nil }
            return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }

    /// `path` as seen from the root directory.
    public static func absolute(_ path: String) -> String {
        if path.hasPrefix("/") { return path }
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PATH_MAX)) { buffer in
            guard let base = buffer.baseAddress, let here = getcwd(base, buffer.count) else { return path }
            return "\(String(cString: here))/\(path)"
        }
    }

    public static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    public static func isTerminal(_ number: Int32) -> Bool { isatty(number) == 1 }

    /// Raises the limit of descriptors as far as it goes; the limit.
    public static func raiseDescriptorLimit() -> UInt64 {
        var limit = rlimit()
        guard getrlimit(RLIMIT_NOFILE, &limit) == 0 else { return 1024 }
        limit.rlim_cur = limit.rlim_max
        setrlimit(RLIMIT_NOFILE, &limit)
        getrlimit(RLIMIT_NOFILE, &limit)
        return UInt64(limit.rlim_cur)
    }

    /// Makes descriptors 0, 1 and 2 usable, so that no socket ever gets one of these numbers.
    public static func fillStandardDescriptors() {
        while true {
            let number = open("/dev/null", O_RDWR)
            if number < 0 { return }
            if number > 2 {
                close(number)
                return
            }
        }
    }

    /// Lets go of the terminal or pipe that was descriptor 0, 1 or 2.
    public static func closeStandardDescriptors() {
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        guard null >= 0 else { return }
        for number: Int32 in 0...2 { dup2(null, number) }
        if null > 2 { close(null) }
    }

    /// A descriptor of its own for standard error.
    public static func standardError() throws(SystemError) -> FileDescriptor {
        FileDescriptor(owning: try SystemError.check("fcntl", martlet_duplicate(2, 4)))
    }

    /// Does not die with the process that started it.
    public static func outliveParent() { _ = martlet_outlive_parent() }

    /// Files are created as `mode` says, whatever the caller's mask was.
    public static func setFileMask(_ mask: UInt32) { umask(mode_t(mask)) }

    /// Writes to standard output (1) or error (2), all of it.
    public static func say(_ text: String, on number: Int32 = 2) { say(Array(text.utf8), on: number) }

    public static func say(_ bytes: [UInt8], on number: Int32 = 2) {
        var bytes = bytes[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { buffer in
                FileDescriptor.retrying { write(number, buffer.baseAddress, buffer.count) }
            }
            if count <= 0 { return }
            bytes = bytes.dropFirst(count)
        }
    }

    public static func leave(_ status: Int32) -> Never { exit(status) }
}

extension SystemError {
    /// The caller lacks a right.
    public var isPermission: Bool { code == EACCES || code == EPERM }
    public var isAbsence: Bool { code == ENOENT || code == ENOTDIR }
}
