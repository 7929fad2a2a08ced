// SPDX-License-Identifier: ISC

public import Mail

/// What comes back from a worker: from one that died, all that it had in hand.
public struct WorkerLoss: Hashable, Sendable {
    /// Back in line and due at once.
    public var returned: [EnvelopeID] = []
    /// Put on hold: their message was alone in hand when the worker died. To be named in the log.
    public var held: [EnvelopeID] = []
    /// Parked or removed as an administrator had asked while they were in flight.
    public var parked: [EnvelopeID] = []
    public var removed: [EnvelopeID] = []

    public init() {}
}

extension RunQueue {
    /// From now on the worker is given work of the class.
    public mutating func attach(_ worker: WorkerID, _ deliveryClass: DeliveryClass) {
        guard !classes[deliveryClass.index].workers.contains(worker) else { return }
        classes[deliveryClass.index].workers.append(worker)
    }

    /// Marks as in flight what a worker says it has in hand, after the queue was recovered; false when it may not.
    public mutating func adopt(_ envelope: EnvelopeID, by worker: WorkerID, now: Instant) -> Bool {
        guard let slot = index[envelope.value] else { return false }
        let deliveryClass = routes[Int(recipients[slot].route)].key.deliveryClass
        guard classes[deliveryClass.index].workers.contains(worker) else { return false }
        // Parked while it was in flight, and the wish was recorded: it may have been delivered all the same.
        let wish: RecipientFlags
        switch recipients[slot].state {
        case .waiting:
            wish = []
            leaveLine(slot)
        case .suspended: wish = .suspendAfter
        case .held: wish = .holdAfter
        case .inFlight, .awaitingNotice: return false
        }
        open(
            BatchRecord(
                message: recipients[slot].message, route: recipients[slot].route, worker: worker, members: [slot],
                remaining: 1, isAlone: false), now: now)
        recipients[slot].flags = wish
        return true
    }

    /// Takes back what a dead worker had in hand, and counts its death against the messages.
    public mutating func release(worker: WorkerID, now: Instant) -> WorkerLoss {
        for index in classes.indices { classes[index].workers.removeAll { $0 == worker } }
        var loss = WorkerLoss()
        var counted: Set<UInt64> = []
        var lost: [UInt32] = []
        var poison: [(UInt32, DeliveryClass)] = []
        for (number, batch) in batches.enumerated() where batch.remaining > 0 && batch.worker == worker {
            lost += batch.members.filter { recipients.contains($0) && isInFlight($0, in: number) }
            let deliveryClass = routes[Int(batch.route)].key.deliveryClass
            let key = UInt64(batch.message) << 1 | UInt64(deliveryClass.rawValue)
            guard counted.insert(key).inserted else { continue }
            let deaths = messages[batch.message].deaths(in: deliveryClass)
            if deaths < MessageRecord.mostDeaths { messages[batch.message].setDeaths(deaths + 1, in: deliveryClass) }
            if batch.isAlone, deaths + 1 >= Self.deathsOfPoison { poison.append((batch.message, deliveryClass)) }
        }
        for slot in lost { giveBack(slot, &loss, now: now) }
        for (message, deliveryClass) in poison { holdPoison(message, deliveryClass, &loss) }
        return loss
    }

    /// Takes back an attempt that had not begun, and of which nothing is to be counted; nil when it is not in flight. At
    /// most one of the lists has something in it.
    public mutating func takeBack(_ envelope: EnvelopeID, now: Instant) -> WorkerLoss? {
        guard let slot = index[envelope.value], recipients[slot].state == .inFlight else { return nil }
        var loss = WorkerLoss()
        giveBack(slot, &loss, now: now)
        return loss
    }

    /// Whether an administrator wants what is in flight to go no further.
    public func isCalledOff(_ envelope: EnvelopeID) -> Bool {
        guard let slot = index[envelope.value], recipients[slot].state == .inFlight else { return false }
        return !recipients[slot].flags.isDisjoint(with: .wishes)
    }

    /// A slot whose outcome came may be in use again for another recipient.
    func isInFlight(_ slot: UInt32, in batch: Int) -> Bool {
        recipients[slot].state == .inFlight && Int(recipients[slot].batch) == batch
    }

    private mutating func giveBack(_ slot: UInt32, _ loss: inout WorkerLoss, now: Instant) {
        let envelope = identifier(slot)
        let wishes = recipients[slot].flags.intersection(.wishes)
        recipients[slot].flags = []
        recipients[slot].state = .suspended
        close(slot, now: now)
        if wishes.contains(.removeAfter) {
            statistics.removed += 1
            loss.removed.append(envelope)
            forget(slot)
        } else if wishes.isEmpty {
            loss.returned.append(envelope)
            wait(slot, until: now, now: now)
        } else {
            if wishes.contains(.holdAfter) { recipients[slot].state = .held }
            loss.parked.append(envelope)
        }
    }

    private mutating func holdPoison(
        _ message: UInt32, _ deliveryClass: DeliveryClass, _ loss: inout WorkerLoss
    ) {
        for slot in slots(of: MessageID(messages[message].id)) where recipients[slot].state == .waiting {
            guard routes[Int(recipients[slot].route)].key.deliveryClass == deliveryClass else { continue }
            leaveLine(slot)
            recipients[slot].state = .held
            loss.held.append(identifier(slot))
        }
        let held = Set(loss.held)
        loss.returned.removeAll { held.contains($0) }
    }
}
