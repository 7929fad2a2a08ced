// SPDX-License-Identifier: ISC

public import Mail

/// When to try again: `creation + base * n * n`, the attempts moving apart as a message grows old.
public struct RetryPolicy: Hashable, Sendable {
    public let base: Interval

    public init(base: Interval) { self.base = base }

    public static let relay = RetryPolicy(base: .seconds(400))
    public static let local = RetryPolicy(base: .seconds(10))
    /// For a notice that could not be injected.
    public static let notice = RetryPolicy(base: .seconds(10))

    /// The first step that lies later than `now`. How often a message was tried does not matter: tries beside the steps,
    /// by order of an administrator or because the host has taken other mail, put the next one off no further, and so
    /// bring no warning of delay before its time.
    public func next(created: Instant, after now: Instant) -> Instant {
        let base = max(1, self.base.seconds &* 1000)
        let elapsed = max(0, now.milliseconds &- created.milliseconds)
        // n * n * base > elapsed holds for every n above the root of the quotient.
        let root = Int64((Double(elapsed) / Double(base)).squareRoot())
        var step = max(root - 1, 0)
        while now.milliseconds >= created.milliseconds &+ base &* step &* step { step += 1 }
        return Instant(milliseconds: created.milliseconds &+ base &* step &* step)
    }
}
