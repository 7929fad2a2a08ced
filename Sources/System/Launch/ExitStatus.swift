// SPDX-License-Identifier: ISC

import CPosix
import Glibc
public import Posix

/// How a process ended.
public enum ExitStatus: Hashable, Sendable, CustomStringConvertible {
    case exited(Int32)
    case signalled(Int32)

    /// nil for a process that only stopped.
    init?(waitStatus status: Int32) {
        let signal = martlet_signal_number(status)
        if martlet_exited_normally(status) != 0 {
            self = .exited(martlet_exit_status(status))
        } else if signal != 0 {
            self = .signalled(signal)
        } else {
            return nil
        }
    }

    public var isSuccess: Bool { self == .exited(0) }

    /// Whether the process did what its filter forbids.
    public var violatedSandbox: Bool { self == .signalled(SIGSYS) }

    public var description: String {
        switch self {
        case .exited(let code): "exited \(code)"
        case .signalled(let signal): "killed by signal \(signal) (\(String(cString: strsignal(signal))))"
        }
    }
}

/// A child that has ended and whose number is free again.
public struct ReapedChild: Hashable, Sendable {
    public let pid: Int32
    public let status: ExitStatus
}

/// The ends of children, for whoever started them.
public enum ChildProcess {
    /// The next child that has ended; nil when none has. Never waits. Called until it says nil at each SIGCHLD.
    public static func reap() throws(SystemError) -> ReapedChild? {
        try wait(-1, WNOHANG)
    }

    /// How the child `pid` ended, waited for; only for tools and tests, a loop uses `reap`.
    public static func wait(for pid: Int32) throws(SystemError) -> ExitStatus? {
        try wait(pid, 0)?.status
    }

    /// Sends `signal` to a child that has not been reaped yet.
    public static func send(_ signal: Int32, to pid: Int32) throws(SystemError) {
        // 0 and below would mean a whole group of processes.
        guard pid > 1 else { throw SystemError("kill", ESRCH) }
        try SystemError.check("kill", kill(pid, signal))
    }

    /// Sends `signal` to a child that leads a group of processes, and to the whole group.
    public static func send(_ signal: Int32, toGroupOf pid: Int32) throws(SystemError) {
        guard pid > 1 else { throw SystemError("kill", ESRCH) }
        try SystemError.check("kill", kill(-pid, signal))
    }

    private static func wait(_ pid: Int32, _ options: Int32) throws(SystemError) -> ReapedChild? {
        var status: Int32 = 0
        let ended = FileDescriptor.retrying { waitpid(pid, &status, options) }
        if ended < 0, errno == ECHILD { return nil }
        guard try SystemError.check("waitpid", ended) > 0 else { return nil }
        return ExitStatus(waitStatus: status).map { ReapedChild(pid: ended, status: $0) }
    }
}
