// SPDX-License-Identifier: ISC

/// How fast content comes, counted over the time in which it was waited for.
nonisolated struct Pace {
    private var bytes: UInt64 = 0
    private var milliseconds: UInt64 = 0
    private var start: UInt64 = 0
    private var before = 0

    /// A wait begins with so many bytes that nobody has looked at.
    mutating func waits(since now: UInt64, having available: Int) {
        start = now
        before = available
    }

    /// It has come to its end, with what has come.
    mutating func heard(at now: UInt64, having available: Int) {
        bytes &+= UInt64(max(0, available - before))
        milliseconds &+= now - min(start, now)
    }

    /// Milliseconds for which more may be waited; `floor` is in bytes per second, zero for none, and `grace` is the time
    /// in which it does not hold.
    func left(atLeast floor: Int, after grace: UInt64) -> UInt64 {
        guard floor > 0 else { return .max }
        let (product, overflow) = bytes.multipliedReportingOverflow(by: 1000)
        let allowed = overflow ? .max / 2 : product / UInt64(floor) + grace
        return allowed > milliseconds ? allowed - milliseconds : 0
    }
}
