// SPDX-License-Identifier: ISC

public import Mail

/// How many connections at a time a destination is trusted with.
///
/// It begins with one. Each success adds one more until the destination has once shown that it has had enough; from then
/// on as many successes as there are connections add one, and each such sign halves the number.
public struct Concurrency: Hashable, Sendable {
    // Connections that broke together were broken by one thing.
    private static let oneSign = Interval.seconds(1)
    // A destination that has been left alone is asked anew, and is not held to what it once said.
    private static let memory = Interval.minutes(10)
    // More than any limit allows.
    private static let most = 1000.0

    private var window = 1.0
    private var threshold = Self.most
    private var lastSign: Instant?
    private var lastUse: Instant?
    /// What the destination last said or did to slow us down; nil when all is well.
    public private(set) var reason: String?

    public init() {}

    public var connections: Int { max(1, Int(window)) }

    /// A connection was greeted, or a message taken.
    public mutating func succeeded(now: Instant) {
        lastUse = now
        if window < threshold {
            window += 1
        } else {
            window += 1 / window
            // Back where it had enough: that is over.
            if window >= threshold * 2 { reason = nil }
        }
        window = min(window, Self.most)
    }

    /// A connection failed, or the destination said 421 or 4.7.x.
    public mutating func refused(because reason: String, now: Instant) {
        lastUse = now
        self.reason = reason
        if let lastSign, lastSign + Self.oneSign > now { return }
        lastSign = now
        window = max(1, (window / 2).rounded(.down))
        threshold = window
    }

    /// Whether there is nothing in it that a new one would not know.
    public func isForgotten(now: Instant) -> Bool { lastUse.map { $0 + Self.memory <= now } ?? true }
}

extension Reply {
    /// The destination has had enough of us for now: RFC 5321 section 4.2.3 (421), RFC 3463 section 3.8 (4.7.x).
    public var asksForLess: Bool { code == 421 || (isTemporary && enhancedStatus?.subject == 7) }
}
