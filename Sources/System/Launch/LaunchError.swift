// SPDX-License-Identifier: ISC

public import Posix

/// Why a process could not be confined or started. Whoever meets one of these does not go on: a process that could not
/// give up its rights must not meet the network.
public enum LaunchError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A step of the confinement, named, that the kernel refused.
    case step(ConfinementStep, SystemError)
    /// The identity is root's, which is none that a daemon may take.
    case rootIdentity
    /// The kernel says that a right remains which was given up.
    case rightRemains(ConfinementStep)
    /// The process has more than one thread: the kernel would confine only the one that asks.
    case threads(Int)
    /// The root directory may be written by others, or is not empty though it must be.
    case unsafeRoot(String)
    /// A system call that the filter cannot name or express.
    case filter(systemCall: String, code: Int32)
    /// A program that cannot be opened, or is none.
    case program(String, SystemError)
    /// A program that any user of the host may overwrite.
    case writableProgram(String)
    /// The start of a program failed.
    case start(String, SystemError)
    /// An argument or a variable contains a zero byte.
    case zeroByte

    public var description: String {
        switch self {
        case .step(let step, let error): "\(step.rawValue): \(error)"
        case .rootIdentity: "a daemon does not run as root"
        case .rightRemains(let step): "\(step.rawValue): a right remains"
        case .threads(let count): "\(count) threads before the confinement"
        case .unsafeRoot(let reason): "root directory: \(reason)"
        case .filter(let systemCall, let code): "seccomp: \(systemCall): \(SystemError("rule", code))"
        case .program(let name, let error): "\(name): \(error)"
        case .writableProgram(let name): "\(name): writable by everyone"
        case .start(let name, let error): "\(name): \(error)"
        case .zeroByte: "zero byte in an argument"
        }
    }
}

/// What a confinement consists of, in the order in which it is done.
public enum ConfinementStep: String, CaseIterable, Hashable, Sendable {
    case namespaces
    case lockedMemory = "locked memory"
    case root
    case boundingSet = "bounding set"
    case identity
    case capabilities
    case noNewPrivileges = "no_new_privs"
    case parent
    case landlock
    case threads
    case limits
    case seccomp
}

extension ConfinementStep {
    /// Runs a part of this step, whose failure is the step's.
    func check<Value>(_ part: () throws(SystemError) -> Value) throws(LaunchError) -> Value {
        do {
            return try part()
        } catch {
            throw .step(self, error)
        }
    }

    /// The same for a call that says -1 and errno.
    func check(_ call: StaticString, _ result: Int32) throws(LaunchError) {
        guard result >= 0 else { throw .step(self, SystemError(call)) }
    }
}
