// SPDX-License-Identifier: ISC

public import Mail

/// What follows from the outcome of one attempt.
public enum Consequence: Hashable, Sendable {
    /// Delivered: the recipient is forgotten.
    case done
    /// Waits again. `warning`: the sender is to be told of the delay, once for this interval.
    case retry(at: Instant, attempts: Int, warning: Interval?)
    /// Waits for an administrator, who suspended or held it while it was in flight.
    case parked(attempts: Int)
    /// Refused for good: awaits a notice, then `settle`.
    case failed
    /// Deferred beyond its time to live: awaits a notice, then `settle`.
    case expired
    /// Removed by an administrator while it was in flight, and not delivered: forgotten.
    case removed
    /// Nothing of that name is in flight.
    case unknown
}

extension RunQueue {
    /// Enters how an attempt ended.
    public mutating func outcome(_ envelope: EnvelopeID, _ outcome: DeliveryOutcome, now: Instant) -> Consequence {
        guard let slot = index[envelope.value], recipients[slot].state == .inFlight else { return .unknown }
        let route = recipients[slot].route
        exonerate(slot)
        // Out of flight before its batch may end: the end of a batch looks at lines.
        let wishes = recipients[slot].flags.intersection(.wishes)
        switch outcome {
        case .delivered:
            statistics.delivered += 1
            routes[Int(route)].window = min(limits.relay.maxBatchesPerDestination, routes[Int(route)].window + 1)
            close(slot, now: now)
            forget(slot)
            wake(route, now: now)
            return .done
        case .deferred(let reply):
            statistics.deferred += 1
            if reply.blamesHost {
                routes[Int(route)].window = max(limits.relay.leastWindow, routes[Int(route)].window / 2)
            }
            return postpone(slot, wishes: wishes, hostIsDown: reply.blamesHost, now: now)
        case .failed(let reply):
            if reply.enhancedStatus == Self.loopDetected { statistics.loops += 1 } else { statistics.failed += 1 }
            close(slot, now: now)
            if wishes.contains(.removeAfter) {
                statistics.removed += 1
                forget(slot)
                return .removed
            }
            recipients[slot].state = .awaitingNotice
            recipients[slot].flags = []
            return .failed
        }
    }

    private mutating func postpone(
        _ slot: UInt32, wishes: RecipientFlags, hostIsDown: Bool, now: Instant
    ) -> Consequence {
        if recipients[slot].attempts < .max { recipients[slot].attempts += 1 }
        statistics.updated += 1
        recipients[slot].flags = []
        let recipient = recipients[slot]
        let attempts = Int(recipient.attempts)
        close(slot, now: now)
        if wishes.contains(.removeAfter) {
            statistics.removed += 1
            forget(slot)
            return .removed
        }
        if expiry(recipient) <= now.milliseconds {
            statistics.expired += 1
            recipients[slot].state = .awaitingNotice
            recipients[slot].flags = .expired
            return .expired
        }
        let created = Instant(milliseconds: messages[recipient.message].created)
        let policy = routes[Int(recipient.route)].key.deliveryClass.retryPolicy
        let next = policy.next(created: created, after: now)
        if wishes.contains(.holdAfter) || wishes.contains(.suspendAfter) {
            recipients[slot].state = wishes.contains(.holdAfter) ? .held : .suspended
            recipients[slot].due = next.milliseconds
            return .parked(attempts: attempts)
        }
        if hostIsDown {
            recipients[slot].flags.insert(.hostDown)
            routes[Int(recipient.route)].hostDown += 1
        }
        wait(slot, until: next, now: now)
        return .retry(at: next, attempts: attempts, warning: warning(slot, created: created, next: next))
    }

    /// Enters a warning of the caller's own; nil when the age is not reached before `next` or the warning was given.
    public mutating func warn(_ envelope: EnvelopeID, atAge age: Interval, before next: Instant) -> Interval? {
        guard let slot = index[envelope.value], Int64(recipients[slot].lastWarning) < age.seconds else { return nil }
        guard next >= Instant(milliseconds: messages[recipients[slot].message].created) + age else { return nil }
        recipients[slot].lastWarning = UInt32(clamping: age.seconds)
        return age
    }

    /// The first interval that passes before the next try and was not told yet.
    private mutating func warning(_ slot: UInt32, created: Instant, next: Instant) -> Interval? {
        let told = Int64(recipients[slot].lastWarning)
        for interval in warnIntervals where next >= created + interval && told < interval.seconds {
            recipients[slot].lastWarning = UInt32(clamping: interval.seconds)
            return interval
        }
        return nil
    }

    /// A message whose turn alone ended without a death is a suspect no more.
    private mutating func exonerate(_ slot: UInt32) {
        let batch = batches[Int(recipients[slot].batch)]
        guard batch.isAlone, batch.remaining == 1 else { return }
        let deliveryClass = routes[Int(batch.route)].key.deliveryClass
        messages[batch.message].setDeaths(0, in: deliveryClass)
    }

    /// After a success, makes recipients of the route due that waited because the host was down; a bounded number at once.
    private mutating func wake(_ number: UInt32, now: Instant) {
        let route = Int(number)
        let most = limits.relay.maxDeferred
        guard routes[route].hostDown > 0, routes[route].ready <= most / 2 else { return }
        var seen: [DueEntry] = []
        var stay: [DueEntry] = []
        var ready = 0
        // Those with a priority first: which are more than can be used soon, is decided by it.
        while stay.count < most, ready + routes[route].ready < most, let top = routes[route].later.pop() {
            guard isLive(top) else { continue }
            var entry = top
            if recipients[top.slot].flags.contains(.hostDown) {
                awaken(&entry, now: now)
                ready += 1
                seen.append(entry)
            } else {
                stay.append(entry)
            }
        }
        while seen.count < most, ready + routes[route].ready < most, let top = clearedDue(number) {
            _ = routes[route].due.pop()
            var entry = top
            if top.at <= now.milliseconds {
                ready += 1
            } else if recipients[top.slot].flags.contains(.hostDown) {
                awaken(&entry, now: now)
                ready += 1
            }
            seen.append(entry)
        }
        for entry in seen { routes[route].due.push(entry) }
        for entry in stay { routes[route].later.push(entry) }
        routes[route].ready = min(most, routes[route].ready + ready)
        activate(number, now: now)
    }

    private mutating func awaken(_ entry: inout DueEntry, now: Instant) {
        entry.at = now.milliseconds
        recipients[entry.slot].due = now.milliseconds
        recipients[entry.slot].flags.remove(.hostDown)
        routes[Int(recipients[entry.slot].route)].hostDown -= 1
        place(&entry, mayWait: true)
    }

    // RFC 3463 section 3.5: routing loop detected.
    private static let loopDetected = EnhancedStatus(5, 4, 6)
}

extension Reply {
    /// The host or the way to it is at fault, not this message (RFC 3463 section 3.5; RFC 5321 section 4.2.3 for 421).
    var blamesHost: Bool { code == 421 || enhancedStatus?.subject == 4 }
}
