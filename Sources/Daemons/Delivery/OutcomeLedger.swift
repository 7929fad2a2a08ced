// SPDX-License-Identifier: ISC

import Mail

/// What this worker owes to Queue: one outcome for each envelope, kept until Queue says that it is recorded.
///
/// An envelope waits, then begins, then is decided, then forgotten. Only a waiting one can be cancelled.
nonisolated struct OutcomeLedger: Sendable {
    enum Acceptance: Hashable, Sendable {
        case new
        /// It waits or has begun here already: nothing more to do.
        case underWay
        /// It was decided here before; the outcome may have been lost on its way.
        case decided(DeliveryOutcome)
    }

    private enum Stage: Sendable {
        case waiting
        case begun
        case decided(DeliveryOutcome)
    }

    private var stages: [EnvelopeID: Stage] = [:]
    private(set) var begunCount = 0
    private(set) var decidedCount = 0

    var count: Int { stages.count }
    var waitingCount: Int { stages.count - begunCount - decidedCount }

    mutating func accept(_ id: EnvelopeID) -> Acceptance {
        switch stages[id] {
        case nil:
            stages[id] = .waiting
            return .new
        case .waiting, .begun: return .underWay
        case .decided(let outcome): return .decided(outcome)
        }
    }

    func isKnown(_ id: EnvelopeID) -> Bool { stages[id] != nil }

    /// False when it was cancelled meanwhile, and so must not begin.
    mutating func begin(_ id: EnvelopeID) -> Bool {
        guard case .waiting = stages[id] else { return false }
        stages[id] = .begun
        begunCount += 1
        return true
    }

    /// False when there is nothing to decide: it was cancelled, or decided before.
    mutating func decide(_ id: EnvelopeID, _ outcome: DeliveryOutcome) -> Bool {
        switch stages[id] {
        case nil, .decided: return false
        case .waiting: break
        case .begun: begunCount -= 1
        }
        stages[id] = .decided(outcome)
        decidedCount += 1
        return true
    }

    mutating func recorded(_ ids: [EnvelopeID]) {
        for id in ids {
            guard case .decided = stages[id] else { continue }
            stages[id] = nil
            decidedCount -= 1
        }
    }

    /// Those of them that had not begun.
    mutating func cancel(_ ids: [EnvelopeID]) -> [EnvelopeID] {
        ids.filter { id in
            guard case .waiting = stages[id] else { return false }
            stages[id] = nil
            return true
        }
    }

    /// What a new Queue must not give out again, in ascending order.
    var inFlight: [EnvelopeID] { stages.keys.sorted() }

    /// The outcomes that a new Queue has not heard, in ascending order.
    var kept: [(EnvelopeID, DeliveryOutcome)] {
        stages.keys.sorted().compactMap { id in
            guard case .decided(let outcome) = stages[id] else { return nil }
            return (id, outcome)
        }
    }
}
