// SPDX-License-Identifier: ISC

import Glibc
public import Mail

/// The clocks of the system.
public enum SystemClock {
    /// Wall-clock time.
    public static func now() -> Timestamp {
        var value = timespec()
        clock_gettime(CLOCK_REALTIME, &value)
        return Timestamp(seconds: Int64(value.tv_sec))
    }

    /// Wall-clock time in microseconds since 1970.
    public static func microseconds() -> Int64 {
        var value = timespec()
        clock_gettime(CLOCK_REALTIME, &value)
        return Int64(value.tv_sec) &* 1_000_000 &+ Int64(value.tv_nsec / 1000)
    }

    /// Milliseconds that only ever go forward, sleep of the machine included.
    public static func monotonicMilliseconds() -> UInt64 {
        var value = timespec()
        clock_gettime(CLOCK_BOOTTIME, &value)
        return UInt64(value.tv_sec) &* 1000 &+ UInt64(value.tv_nsec / 1_000_000)
    }

    /// Seconds east of UTC and the zone's abbreviation at `moment`. `prepare` must have run before a chroot.
    public static func zone(at moment: Timestamp) -> (offset: Int, name: String) {
        var seconds = time_t(moment.seconds)
        var parts = tm()
        guard localtime_r(&seconds, &parts) != nil else { return (0, "UTC") }
        return (parts.tm_gmtoff, parts.tm_zone.map { String(cString: $0) } ?? "UTC")
    }

    /// Reads the zone file once, while it can still be opened.
    public static func prepare() { tzset() }
}

/// Numbers that cannot be guessed.
public enum Randomness {
    public static func integer<Value: FixedWidthInteger & UnsignedInteger>(_: Value.Type = Value.self) -> Value {
        var generator = SystemRandomNumberGenerator()
        return generator.next()
    }
}
