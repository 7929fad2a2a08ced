// SPDX-License-Identifier: ISC

/// How fast content comes, counted over the time in which it was waited for.
nonisolated struct Pace {
    // In which no floor holds: a slow start is no attack.
    private static let graceMilliseconds: UInt64 = 60_000

    private var bytes: UInt64 = 0
    private var milliseconds: UInt64 = 0

    mutating func add(_ count: Int, milliseconds waited: UInt64) {
        bytes &+= UInt64(max(0, count))
        milliseconds &+= waited
    }

    /// Milliseconds for which more may be waited; `floor` is in bytes per second, zero for none.
    func left(atLeast floor: Int) -> UInt64 {
        guard floor > 0 else { return .max }
        let (product, overflow) = bytes.multipliedReportingOverflow(by: 1000)
        let allowed = overflow ? .max / 2 : product / UInt64(floor) + Self.graceMilliseconds
        return allowed > milliseconds ? allowed - milliseconds : 0
    }
}
