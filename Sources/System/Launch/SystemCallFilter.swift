// SPDX-License-Identifier: ISC

import CSeccomp
import Glibc

/// An allow-list of system calls, loaded into the kernel by libseccomp for this process and for all time.
public struct SystemCallFilter: Sendable {
    /// What becomes of a call that no rule matches.
    public enum Otherwise: Sendable {
        /// The process dies of SIGSYS.
        case killed
        /// Everything else is allowed: a filter that only refuses.
        case allowed
    }

    public let rules: [SystemCallRule]
    public let otherwise: Otherwise

    /// Rules of one call add up; a rule without a condition stands for all others of its call.
    public init(_ rules: [SystemCallRule], otherwise: Otherwise = .killed) {
        let unconditional = Set(rules.lazy.filter(\.conditions.isEmpty).map(\.name))
        var seen: Set<SystemCallRule> = []
        self.rules = rules.filter { rule in
            (rule.conditions.isEmpty || !unconditional.contains(rule.name)) && seen.insert(rule).inserted
        }
        self.otherwise = otherwise
    }

    /// A filter that lets everything through but makes these calls fail, as an old kernel would.
    public init(refusing names: [String], with code: Int32) {
        self.init(names.map { SystemCallRule($0, verdict: .refused(code)) }, otherwise: .allowed)
    }

    /// Whether some call with this name is let through.
    public func mentions(_ name: String) -> Bool { rules.contains { $0.name == name && $0.verdict == .allowed } }

    /// Loads the filter for all threads. A name that this libseccomp does not know is a call that it cannot let through:
    /// it is left out, and stays forbidden.
    public func load() throws(LaunchError) {
        let otherwise = otherwise == .killed ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ALLOW
        guard let context = seccomp_init(otherwise) else {
            throw .filter(systemCall: "seccomp_init", code: ENOMEM)
        }
        defer { seccomp_release(context) }
        // Calls by the numbers of another architecture (the 32-bit entry) die too, and threads do not escape.
        for (attribute, value) in [(SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), (SCMP_FLTATR_CTL_TSYNC, 1)] {
            let result = seccomp_attr_set(context, attribute, value)
            guard result == 0 else { throw .filter(systemCall: "seccomp_attr_set", code: -result) }
        }
        for rule in rules {
            let number = seccomp_syscall_resolve_name(rule.name)
            if number == SystemCallFilter.unknownCall { continue }
            let action: UInt32 =
                switch rule.verdict {
                case .allowed: SCMP_ACT_ALLOW
                case .refused(let code): SystemCallFilter.refusal | UInt32(truncatingIfNeeded: code) & 0xFFFF
                }
            let comparisons = rule.conditions.map(SystemCallFilter.comparison)
            let result = seccomp_rule_add_array(context, action, number, UInt32(comparisons.count), comparisons)
            // A call that this architecture has under no number of its own cannot be made here either.
            guard result == 0 || result == -EDOM else { throw .filter(systemCall: rule.name, code: -result) }
        }
        let result = seccomp_load(context)
        guard result == 0 else { throw .filter(systemCall: "seccomp_load", code: -result) }
    }

    private static func comparison(_ condition: SystemCallRule.Condition) -> scmp_arg_cmp {
        switch condition {
        case .equals(let argument, let value):
            scmp_arg_cmp(arg: argument, op: SCMP_CMP_EQ, datum_a: value, datum_b: 0)
        case .differs(let argument, let value):
            scmp_arg_cmp(arg: argument, op: SCMP_CMP_NE, datum_a: value, datum_b: 0)
        case .masked(let argument, let mask, let bits):
            scmp_arg_cmp(arg: argument, op: SCMP_CMP_MASKED_EQ, datum_a: mask, datum_b: bits)
        }
    }

    /// SCMP_ACT_ERRNO(0) and __NR_SCMP_ERROR, macros that Swift cannot read.
    private static let refusal: UInt32 = 0x0005_0000
    private static let unknownCall: Int32 = -1
}
