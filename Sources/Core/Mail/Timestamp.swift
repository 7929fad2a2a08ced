// SPDX-License-Identifier: ISC

/// A moment of wall-clock time, in whole seconds since 1970-01-01 00:00 UTC.
public struct Timestamp: Hashable, Comparable, Sendable {
    public var seconds: Int64

    public init(seconds: Int64) { self.seconds = seconds }

    public static func < (left: Timestamp, right: Timestamp) -> Bool { left.seconds < right.seconds }
    public static func + (left: Timestamp, right: Interval) -> Timestamp {
        Timestamp(seconds: left.seconds &+ right.seconds)
    }
    public static func - (left: Timestamp, right: Timestamp) -> Interval {
        Interval(seconds: left.seconds &- right.seconds)
    }
}

/// A length of time in whole seconds, as the configuration and the log write it.
public struct Interval: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var seconds: Int64

    public init(seconds: Int64) { self.seconds = seconds }

    public static func seconds(_ count: Int64) -> Interval { Interval(seconds: count) }
    public static func minutes(_ count: Int64) -> Interval { Interval(seconds: count * 60) }
    public static func hours(_ count: Int64) -> Interval { Interval(seconds: count * 3600) }
    public static func days(_ count: Int64) -> Interval { Interval(seconds: count * 86400) }

    public static func < (left: Interval, right: Interval) -> Bool { left.seconds < right.seconds }
    public static func + (left: Interval, right: Interval) -> Interval {
        Interval(seconds: left.seconds &+ right.seconds)
    }

    /// `1d2h3m4s`, parts that are zero left out; `0s` for nothing at all.
    public var description: String {
        var rest = max(0, seconds)
        var text = ""
        for (unit, size) in [("d", Int64(86400)), ("h", 3600), ("m", 60), ("s", 1)] {
            if rest / size > 0 { text += "\(rest / size)\(unit)" }
            rest %= size
        }
        return text.isEmpty ? "0s" : text
    }
}
