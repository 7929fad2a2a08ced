// SPDX-License-Identifier: ISC

import CPosix
import Glibc

/// Named parts of an allow-list. In no group: clone, fork, execve, ptrace, process_vm_*, kill, bpf, mount, set*id.
public enum SystemCallGroup: String, CaseIterable, Hashable, Sendable {
    /// What each daemon's loop, memory and channels need.
    case base
    /// Reading at a position, from a file that came as a descriptor.
    case positionedReading
    /// Outgoing TCP connections.
    case streamSockets
    /// Outgoing datagrams beside them, for DNS.
    case datagramSockets
    /// Both ends of a stream, one of them to be given away.
    case socketPairs
    /// Files by name, and locks for reading them.
    case readOnlyFiles
    /// Files by name, writing and syncing: the spool, or a user's mailbox.
    case files
    /// Files in memory, which nobody else can open: what is encrypted on the disk is handed over in one.
    case memoryFiles
    /// Locks, modes and times of files that other programs use too.
    case sharedFiles
    /// Keeping memory out of the swap.
    case lockedMemory

    public var rules: [SystemCallRule] {
        switch self {
        case .base: SystemCallGroup.baseRules
        case .positionedReading: SystemCallRule.calls("pread64", "preadv", "preadv2")
        case .streamSockets: SystemCallGroup.socketRules(of: Int32(SOCK_STREAM.rawValue))
        case .datagramSockets:
            SystemCallGroup.socketRules(of: Int32(SOCK_DGRAM.rawValue)) + SystemCallRule.calls("sendmmsg", "recvmmsg")
        case .socketPairs: [SystemCallRule("socketpair", .integer(0, AF_UNIX))]
        case .readOnlyFiles: SystemCallGroup.readOnlyFileRules
        case .files: SystemCallGroup.fileRules
        case .memoryFiles: [SystemCallRule("memfd_create", .integer(1, Int32(MFD_CLOEXEC)))]
        case .sharedFiles: SystemCallGroup.sharedFileRules
        case .lockedMemory: SystemCallRule.calls("mlock", "mlock2", "munlock")
        }
    }

    private static var baseRules: [SystemCallRule] {
        streams + waiting + memory + time + signals + questions + descriptors
    }

    private static var streams: [SystemCallRule] {
        SystemCallRule.calls(
            "read", "write", "readv", "writev", "recvmsg", "sendmsg", "recvfrom", "close", "shutdown", "accept",
            "accept4", "getsockopt", "setsockopt", "getsockname", "getpeername", "fstat", "lseek")
            + [
                // send(2) on a connected socket; no address can be named.
                SystemCallRule("sendto", .equals(4, 0)),
                // fstat of the C library: the file of a descriptor, not one by name.
                SystemCallRule("newfstatat", .with(3, AT_EMPTY_PATH)),
                SystemCallRule("ioctl", .equals(1, UInt64(FIONREAD))),
                // stdio asks whether /dev/null is a terminal.
                SystemCallRule("ioctl", .differs(1, UInt64(FIONREAD)), verdict: .refused(ENOTTY)),
            ]
    }

    private static var waiting: [SystemCallRule] {
        SystemCallRule.calls(
            "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "select",
            "pselect6", "futex", "eventfd2", "timerfd_create", "timerfd_settime", "timerfd_gettime", "restart_syscall",
            "sched_yield")
    }

    private static var memory: [SystemCallRule] {
        // Memory is never made executable after the start: neither new nor old.
        SystemCallRule.calls("munmap", "mremap", "madvise", "brk", "getrandom")
            + [SystemCallRule("mmap", .without(2, PROT_EXEC)), SystemCallRule("mprotect", .without(2, PROT_EXEC))]
    }

    private static var time: [SystemCallRule] {
        SystemCallRule.calls(
            "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time", "times")
    }

    private static var signals: [SystemCallRule] {
        // A trap or abort shows as what it is: the process may send a signal to a thread of its own.
        SystemCallRule.calls(
            "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "sigaltstack", "exit", "exit_group")
            + [SystemCallRule("tgkill", .integer(0, getpid()))]
    }

    private static var questions: [SystemCallRule] {
        SystemCallRule.calls(
            "getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getrusage", "sched_getaffinity",
            "sysinfo", "uname", "rseq", "set_robust_list")
            + [
                SystemCallRule("prlimit64", .integer(0, 0), .equals(2, 0)),
                SystemCallRule("prctl", .integer(0, nameOfThread)),
            ]
    }

    private static var descriptors: [SystemCallRule] {
        SystemCallRule.calls("dup", "dup2", "dup3")
            + [F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL].map {
                SystemCallRule("fcntl", .integer(1, $0))
            }
    }

    private static func socketRules(of type: Int32) -> [SystemCallRule] {
        let families = [AF_INET, AF_INET6].map {
            SystemCallRule("socket", .integer(0, $0), .masked(1, mask: 0xF, bits: UInt64(type)))
        }
        return families + SystemCallRule.calls("connect", "bind", "sendto")
    }

    private static var readOnlyFileRules: [SystemCallRule] {
        // Landlock says which files, and that none is written. SQLite and LMDB ask for locks and for their own names.
        SystemCallRule.calls(
            "openat", "open", "newfstatat", "stat", "lstat", "statx", "access", "faccessat", "faccessat2", "readlink",
            "readlinkat", "getcwd", "pread64", "preadv", "preadv2", "fadvise64", "fstatfs", "statfs")
            + [F_GETLK, F_SETLK, F_SETLKW, lockOfFile, lockOfFile + 1, lockOfFile - 1].map {
                SystemCallRule("fcntl", .integer(1, $0))
            }
    }

    private static var fileRules: [SystemCallRule] {
        SystemCallRule.calls(
            "openat", "openat2", "newfstatat", "statx", "getdents64", "fstatfs", "statfs", "readlinkat", "faccessat",
            "faccessat2", "unlink", "unlinkat", "rmdir", "rename", "renameat", "renameat2", "link", "linkat", "mkdir",
            "mkdirat", "ftruncate", "fallocate", "fadvise64", "pread64", "preadv", "preadv2", "pwrite64", "pwritev",
            "pwritev2", "fdatasync", "fsync", "sync_file_range", "copy_file_range", "flock")
            + [F_GETLK, F_SETLK, F_SETLKW, lockOfFile, lockOfFile + 1, lockOfFile - 1].map {
                SystemCallRule("fcntl", .integer(1, $0))
            }
    }

    private static var sharedFileRules: [SystemCallRule] {
        SystemCallRule.calls(
            "open", "stat", "lstat", "access", "chdir", "fchdir", "fchmod", "fchmodat", "umask", "utimensat", "getcwd",
            "getgroups")
    }

    /// PR_SET_NAME, whose header Swift cannot read.
    private static let nameOfThread: Int32 = 15
    /// F_OFD_SETLK; F_OFD_GETLK is one less, F_OFD_SETLKW one more.
    private static let lockOfFile: Int32 = 37
}
