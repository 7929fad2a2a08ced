// SPDX-License-Identifier: ISC

public import Mail

extension RunQueue {
    /// Recipients whose time to live has passed while they waited, at least `limit` of them if there are so many; they
    /// await a notice now. What is in flight expires with its next deferral; what is suspended or held does not age out.
    public mutating func expire(now: Instant, limit: Int) -> [EnvelopeID] {
        var expired: [EnvelopeID] = []
        while expired.count < limit, let entry = expiryTop(), entry.at <= now.milliseconds {
            _ = expiries.pop()
            messages[entry.slot].armed = .max
            liveExpiries -= 1
            var next = Int64.max
            for slot in slots(of: MessageID(messages[entry.slot].id)) where recipients[slot].state == .waiting {
                let end = expiry(recipients[slot])
                guard end <= now.milliseconds else {
                    next = min(next, end)
                    continue
                }
                leaveLine(slot)
                recipients[slot].state = .awaitingNotice
                recipients[slot].flags = .expired
                expired.append(identifier(slot))
            }
            if next != .max { armExpiry(entry.slot, at: next) }
        }
        statistics.expired += expired.count
        return expired
    }

    /// Looks at the message at `at` or before.
    mutating func armExpiry(_ message: UInt32, at: Int64) {
        guard at < messages[message].armed else { return }
        if messages[message].armed == .max { liveExpiries += 1 }
        messages[message].armed = at
        expiries.push(TimerEntry(at: at, slot: message, serial: messages[message].serial))
        sweepExpiries()
    }

    /// Drops the leftovers of messages that are gone, as most are long before they would expire.
    mutating func sweepExpiries() {
        guard expiries.count > liveExpiries * 2 + Self.leftoverExpiries else { return }
        let messages = self.messages
        expiries.retain {
            messages.contains($0.slot) && messages[$0.slot].serial == $0.serial && messages[$0.slot].armed == $0.at
        }
    }

    mutating func expiryTop() -> TimerEntry? {
        while let top = expiries.top {
            if messages.contains(top.slot), messages[top.slot].serial == top.serial,
                messages[top.slot].armed == top.at
            {
                return top
            }
            _ = expiries.pop()
        }
        return nil
    }

    private static let leftoverExpiries = 1024
}
