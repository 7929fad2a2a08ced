// SPDX-License-Identifier: ISC

public import Mail

/// What an administrator is told of one destination.
public struct QueuedDestination: Hashable, Sendable {
    public let action: String
    public let domain: String
    public let recipients: Int
    /// Messages that a worker has in hand, and how many it may have.
    public let inFlight: Int
    public let window: Int
    /// The recipient that is tried next, and when; nil when nobody waits.
    public let next: EnvelopeID?
    public let due: Instant?
}

extension RunQueue {
    /// The relay destinations that something is queued for, by domain; at most `limit`.
    public mutating func relayDestinations(now: Instant, limit: Int) -> [QueuedDestination] {
        var found: [QueuedDestination] = []
        for (key, number) in routeNumbers {
            guard case .relay(let action, let domain) = key, routes[Int(number)].recipients > 0 else { continue }
            let top = clearedTop(number, now: now)
            let route = routes[Int(number)]
            found.append(
                QueuedDestination(
                    action: action, domain: domain, recipients: route.recipients, inFlight: route.batches,
                    window: min(limits.relay.maxBatchesPerDestination, route.window),
                    next: top.map { identifier($0.slot) },
                    due: top.map { max(Instant(milliseconds: $0.at), now) }))
        }
        found.sort { ($0.domain, $0.action) < ($1.domain, $1.action) }
        return Array(found.prefix(limit))
    }
}
