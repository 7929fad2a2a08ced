// SPDX-License-Identifier: ISC

/// When a child that died is started again: at once, then later and later while it keeps dying young. Never given up.
nonisolated struct Replacement: Hashable, Sendable {
    /// One that lived so long was well; the next death begins anew.
    static let matureAge: UInt64 = 60_000
    static let firstPause: UInt64 = 100
    static let longestPause: UInt64 = 30_000

    private var pause: UInt64 = 0

    /// The milliseconds to wait after the death of a child that lived for `age` milliseconds.
    mutating func died(atAge age: UInt64) -> UInt64 {
        if age >= Self.matureAge { pause = 0 }
        defer { pause = pause == 0 ? Self.firstPause : min(pause * 2, Self.longestPause) }
        return pause
    }
}
