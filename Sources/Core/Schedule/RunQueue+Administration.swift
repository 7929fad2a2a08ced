// SPDX-License-Identifier: ISC

public import Mail

/// What a verb of the administrator is about.
public enum Selection: Hashable, Sendable {
    case all
    case message(MessageID)
    case envelope(EnvelopeID)
    /// Those of them that are here.
    case these([EnvelopeID])
}

/// What became of a wish to remove.
public struct Removal: Hashable, Sendable {
    /// Forgotten now.
    public var removed: [EnvelopeID] = []
    /// In flight: forgotten when their outcome comes, unless it is a delivery.
    public var pending: [EnvelopeID] = []

    public init() {}
}

extension RunQueue {
    /// Makes waiting recipients due now; returns how many there were. Suspended and held ones stay where they are.
    public mutating func schedule(_ selection: Selection, now: Instant) -> Int {
        var count = 0
        for slot in slots(selection) where recipients[slot].state == .waiting {
            count += 1
            guard recipients[slot].due > now.milliseconds else { continue }
            leaveLine(slot)
            wait(slot, until: now, now: now)
        }
        return count
    }

    public mutating func remove(_ selection: Selection, now: Instant) -> Removal {
        var removal = Removal()
        for slot in slots(selection) {
            let envelope = identifier(slot)
            switch recipients[slot].state {
            case .inFlight:
                recipients[slot].flags.insert(.removeAfter)
                removal.pending.append(envelope)
                continue
            case .waiting:
                leaveLine(slot)
            case .suspended, .held, .awaitingNotice:
                break
            }
            statistics.removed += 1
            removal.removed.append(envelope)
            forget(slot)
        }
        return removal
    }

    /// Keeps recipients from being tried until `resume`; returns those it concerned.
    public mutating func suspend(_ selection: Selection) -> [EnvelopeID] {
        park(selection, as: .suspended)
    }

    /// Lets suspended recipients wait for their next try again.
    public mutating func resume(_ selection: Selection, now: Instant) -> [EnvelopeID] {
        unpark(selection, from: .suspended, now: now)
    }

    /// Keeps recipients from being tried until `release`, whether suspended or not; returns those it concerned.
    public mutating func hold(_ selection: Selection) -> [EnvelopeID] {
        park(selection, as: .held)
    }

    /// Makes held recipients due now, and forgives their messages the workers that died.
    public mutating func release(_ selection: Selection, now: Instant) -> [EnvelopeID] {
        unpark(selection, from: .held, now: now)
    }

    /// Sends a recipient that is not in flight another way from now on; false when there is none that can be.
    public mutating func reroute(_ envelope: EnvelopeID, to key: RouteKey, now: Instant) -> Bool {
        guard let slot = index[envelope.value] else { return false }
        let old = recipients[slot].route
        guard routes[Int(old)].key != key else { return false }
        let isWaiting: Bool
        switch recipients[slot].state {
        case .waiting: isWaiting = true
        case .suspended, .held: isWaiting = false
        case .inFlight, .awaitingNotice: return false
        }
        let due = Instant(milliseconds: recipients[slot].due)
        if isWaiting {
            leaveLine(slot)
            recipients[slot].state = .suspended
        }
        let new = route(for: key)
        recipients[slot].route = new
        routes[Int(new)].recipients += 1
        routes[Int(old)].recipients -= 1
        reclaim(old)
        if isWaiting { wait(slot, until: due, now: now) }
        return true
    }

    /// What the workers have in hand: to be called off when there is little time left.
    public func inFlight(of worker: WorkerID) -> [EnvelopeID] {
        var found: [EnvelopeID] = []
        for (number, batch) in batches.enumerated() where batch.remaining > 0 && batch.worker == worker {
            for slot in batch.members where isInFlight(slot, in: number) { found.append(identifier(slot)) }
        }
        return found
    }

    private mutating func park(_ selection: Selection, as state: RecipientState) -> [EnvelopeID] {
        var parked: [EnvelopeID] = []
        for slot in slots(selection) {
            switch recipients[slot].state {
            case .waiting:
                leaveLine(slot)
                recipients[slot].state = state
            case .inFlight:
                recipients[slot].flags.insert(state == .held ? .holdAfter : .suspendAfter)
            case .suspended:
                guard state == .held else { continue }
                recipients[slot].state = .held
            case .held, .awaitingNotice:
                continue
            }
            parked.append(identifier(slot))
        }
        return parked
    }

    private mutating func unpark(
        _ selection: Selection, from state: RecipientState, now: Instant
    ) -> [EnvelopeID] {
        let wish: RecipientFlags = state == .held ? .holdAfter : .suspendAfter
        var freed: [EnvelopeID] = []
        for slot in slots(selection) {
            let recipient = recipients[slot]
            if recipient.state == .inFlight, recipient.flags.contains(wish) {
                recipients[slot].flags.remove(wish)
            } else if recipient.state == state {
                var due = max(Instant(milliseconds: recipient.due), now)
                if state == .held {
                    due = now
                    let deliveryClass = routes[Int(recipient.route)].key.deliveryClass
                    messages[recipient.message].setDeaths(0, in: deliveryClass)
                }
                wait(slot, until: due, now: now)
            } else {
                continue
            }
            freed.append(identifier(slot))
        }
        return freed
    }

    private func slots(_ selection: Selection) -> [UInt32] {
        switch selection {
        case .envelope(let envelope):
            return index[envelope.value].map { [$0] } ?? []
        case .message(let message):
            return slots(of: message)
        case .these(let envelopes):
            return envelopes.compactMap { index[$0.value] }
        case .all:
            var all: [UInt32] = []
            all.reserveCapacity(count)
            index.visit(from: 0) { _, slot in
                all.append(slot)
                return true
            }
            return all
        }
    }
}
