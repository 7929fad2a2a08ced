// SPDX-License-Identifier: ISC

/// A system call that a profile lets through, and with which arguments. All conditions must hold.
public struct SystemCallRule: Hashable, Sendable {
    public let name: String
    public let conditions: [Condition]
    public let verdict: Verdict

    /// What becomes of a call that the rule matches; one that no rule matches kills the process.
    public enum Verdict: Hashable, Sendable {
        case allowed
        /// The call is not made and fails with this errno: for what a library merely asks.
        case refused(Int32)
    }

    /// A comparison with one of the six arguments, counted from 0. Memory behind a pointer cannot be seen.
    public enum Condition: Hashable, Sendable {
        /// The whole register.
        case equals(UInt32, UInt64)
        case differs(UInt32, UInt64)
        /// The bits of `mask` are those of `bits`.
        case masked(UInt32, mask: UInt64, bits: UInt64)

        /// An `int` has this value. The kernel looks at the low half of the register only, and so does this.
        static func integer(_ argument: UInt32, _ value: Int32) -> Condition {
            .masked(argument, mask: 0xFFFF_FFFF, bits: UInt64(UInt32(bitPattern: value)))
        }

        /// None of these bits is set.
        static func without(_ argument: UInt32, _ bits: Int32) -> Condition {
            .masked(argument, mask: UInt64(UInt32(bitPattern: bits)), bits: 0)
        }

        /// All of these bits are set.
        static func with(_ argument: UInt32, _ bits: Int32) -> Condition {
            let bits = UInt64(UInt32(bitPattern: bits))
            return .masked(argument, mask: bits, bits: bits)
        }
    }

    init(_ name: String, _ conditions: Condition..., verdict: Verdict = .allowed) {
        self.name = name
        self.conditions = conditions
        self.verdict = verdict
    }

    /// Calls with any arguments.
    static func calls(_ names: String...) -> [SystemCallRule] { names.map { SystemCallRule($0) } }
}
