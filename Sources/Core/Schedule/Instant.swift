// SPDX-License-Identifier: ISC

public import Mail

/// A moment of elapsed time in milliseconds, from any fixed beginning; it never jumps as the wall clock may.
///
/// Signed, since a message may be older than the machine's last start, where monotonic clocks begin.
public struct Instant: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var milliseconds: Int64

    public init(milliseconds: Int64) { self.milliseconds = milliseconds }

    /// The moment that the wall clock called `stored`, seen from `now`; never later than `now`.
    public init(_ stored: Timestamp, wall: Timestamp, now: Instant) {
        let (age, isOverflow) = wall.seconds.subtractingReportingOverflow(stored.seconds)
        let bounded = isOverflow ? (stored < wall ? Self.oldest : 0) : max(0, min(age, Self.oldest))
        milliseconds = now.milliseconds &- bounded &* 1000
    }

    /// What the wall clock shows, or showed, at this moment.
    public func timestamp(wall: Timestamp, now: Instant) -> Timestamp {
        Timestamp(seconds: wall.seconds &+ (milliseconds &- now.milliseconds) / 1000)
    }

    public var description: String { "\(milliseconds)ms" }
    public static func < (left: Instant, right: Instant) -> Bool { left.milliseconds < right.milliseconds }
    public static func + (left: Instant, right: Interval) -> Instant {
        let seconds = max(-oldest, min(right.seconds, oldest))
        let (sum, isOverflow) = left.milliseconds.addingReportingOverflow(seconds * 1000)
        return Instant(milliseconds: isOverflow ? (seconds < 0 ? .min : .max) : sum)
    }

    // A hundred years: a stored time of nonsense must not overflow what is computed from it.
    private static let oldest: Int64 = 100 * 366 * 86400
}
