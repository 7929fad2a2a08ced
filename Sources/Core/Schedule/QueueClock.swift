// SPDX-License-Identifier: ISC

public import Mail

/// The age of the queue in seconds that have passed: what retry and expiry count by, and no wall clock can turn.
///
/// While a process lives it follows the monotonic clock. From one process to the next it follows the wall clock, but by
/// a day at most: a host that wakes up in another decade expires nothing for it. In a new spool it begins with what the
/// wall clock says, so that messages without an age of their own can be placed by their date.
public struct QueueClock: Hashable, Sendable {
    /// What is stored now and then, and given to the next process.
    public struct Mark: Hashable, Sendable {
        public var age: Int64
        public var wall: Timestamp

        public init(age: Int64, wall: Timestamp) {
            self.age = age
            self.wall = wall
        }
    }

    /// The longest time that passes between two processes.
    public static let longestAbsence = Interval.days(1)

    private let age: Int64
    private let start: Instant

    public init(after last: Mark?, wall: Timestamp, now: Instant) {
        start = now
        guard let last else {
            age = wall.seconds
            return
        }
        let (absence, isOverflow) = wall.seconds.subtractingReportingOverflow(last.wall.seconds)
        let bounded = isOverflow ? 0 : max(0, min(absence, Self.longestAbsence.seconds))
        age = last.age &+ bounded
    }

    public func age(at now: Instant) -> Int64 { age &+ (now.milliseconds &- start.milliseconds) / 1000 }

    public func mark(wall: Timestamp, now: Instant) -> Mark { Mark(age: age(at: now), wall: wall) }

    /// The moment at which the queue was so old; never later than `now`.
    public func instant(ofAge birth: Int64, now: Instant) -> Instant {
        let (elapsed, isOverflow) = age(at: now).subtractingReportingOverflow(birth)
        let bounded = isOverflow ? (birth < 0 ? Self.oldest : 0) : max(0, min(elapsed, Self.oldest))
        return Instant(milliseconds: now.milliseconds &- bounded &* 1000)
    }

    // A hundred years, as for an Instant: nonsense must not overflow what is computed from it.
    private static let oldest: Int64 = 100 * 366 * 86400
}
