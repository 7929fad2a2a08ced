// SPDX-License-Identifier: ISC

import Mail

@testable import Schedule

/// A small deterministic source of numbers (SplitMix64).
struct Numbers: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
}

extension Instant {
    static func at(_ seconds: Int64) -> Instant { Instant(milliseconds: seconds * 1000) }
}

extension DeliveryOutcome {
    static let ok = DeliveryOutcome.delivered(Reply(250, EnhancedStatus(2, 0, 0), "Ok"), reportsItself: false)
    static let busy = DeliveryOutcome.deferred(Reply(450, EnhancedStatus(4, 2, 1), "Busy"))
    static let down = DeliveryOutcome.deferred(Reply(451, EnhancedStatus(4, 4, 1), "No answer from host"))
    static let refused = DeliveryOutcome.failed(Reply(550, EnhancedStatus(5, 1, 1), "No such user"))
}

func relay(_ domain: String) -> RouteKey { .relay(action: "out", domain: domain) }
func local(_ user: String) -> RouteKey { .local(action: "in", user: user) }
func envelope(_ message: UInt32, _ number: UInt32) -> EnvelopeID { EnvelopeID(MessageID(message), number: number) }
func message(_ id: UInt32, created: Instant = .at(0)) -> QueuedMessage {
    QueuedMessage(MessageID(id), position: UInt64(id) * 4096, size: 5000, created: created)
}

let relayWorker = WorkerID(1)
let localWorker = WorkerID(2)

func makeQueue(_ limits: Limits = Limits()) -> RunQueue {
    // A destination has all of its places from the beginning, except in the stories about that.
    var limits = limits
    limits.relay.firstWindow = limits.relay.maxBatchesPerDestination
    limits.relay.leastWindow = limits.relay.maxBatchesPerDestination
    var queue = RunQueue(limits: limits)
    queue.attach(relayWorker, .relay)
    queue.attach(localWorker, .local)
    return queue
}

extension RunQueue {
    mutating func takeEnvelopes(_ now: Instant, limit: Int = 1000) -> [[EnvelopeID]] {
        take(now: now, limit: limit).map(\.envelopes)
    }

    func state(_ envelope: EnvelopeID) -> QueueEntry.State? { entry(envelope)?.state }
}
