// SPDX-License-Identifier: ISC

/// What the queue has counted since its start.
public struct Statistics: Hashable, Sendable {
    public var incoming = 0
    public var expired = 0
    public var removed = 0
    public var updated = 0
    public var delivered = 0
    public var deferred = 0
    public var failed = 0
    public var loops = 0

    public init() {}
}

extension RunQueue {
    /// Counters under the reference's names, in order of name, for `show stats`.
    public var counters: [(name: String, value: Int)] {
        [
            ("scheduler.delivery.loop", statistics.loops),
            ("scheduler.delivery.ok", statistics.delivered),
            ("scheduler.delivery.permfail", statistics.failed),
            ("scheduler.delivery.tempfail", statistics.deferred),
            ("scheduler.envelope", count),
            ("scheduler.envelope.expired", statistics.expired),
            ("scheduler.envelope.incoming", statistics.incoming),
            ("scheduler.envelope.inflight", inFlight),
            ("scheduler.envelope.removed", statistics.removed),
            ("scheduler.envelope.updated", statistics.updated),
            ("scheduler.ramqueue.envelope", count),
            ("scheduler.ramqueue.message", messages.count),
            ("scheduler.ramqueue.update", statistics.updated),
        ]
    }
}
