// SPDX-License-Identifier: ISC

import Mail

extension RunQueue {
    /// Chooses due work for at most `limit` recipients in at most so many pieces, routes and classes in turn, and marks
    /// it in flight. The number of recipients cuts through a batch, that of pieces does not. The mailboxes of one message
    /// are one piece, see `Batch.joined`.
    public mutating func take(now: Instant, limit: Int = .max, pieces: Int = .max) -> [Batch] {
        fireTimers(now: now)
        var room = limit
        var taken: [Batch] = []
        var begun = 0
        var bundles: Set<Batch.Bundle> = []
        var idle = 0
        while room > 0, idle < classes.count {
            let deliveryClass = turn
            turn = deliveryClass == .relay ? .local : .relay
            guard begun < pieces || deliveryClass == .local && continues(bundles, now: now) else {
                idle += 1
                continue
            }
            if let batch = takeBatch(deliveryClass, now: now, room: min(room, self.room(deliveryClass))) {
                room -= batch.envelopes.count
                taken.append(batch)
                if batch.bundle.map({ bundles.insert($0).inserted }) ?? true { begun += 1 }
                idle = 0
            } else {
                idle += 1
            }
        }
        return taken
    }

    /// When `take` or `expire` has something to do next, if no other event comes before; nil for never.
    public mutating func nextDue(now: Instant) -> Instant? {
        var next = expiryTop()?.at ?? .max
        for deliveryClass in DeliveryClass.allCases where mayTake(deliveryClass) {
            if let suspect = suspectTop(deliveryClass) {
                let start = max(suspect.at, classes[deliveryClass.index].nextAlone)
                // Until the class is empty, only the end of a batch can start a suspect.
                if start <= now.milliseconds, classes[deliveryClass.index].batches > 0 { continue }
                next = min(next, start)
            }
            if !classes[deliveryClass.index].ring.isEmpty { return now }
            if let timer = timerTop(deliveryClass) { next = min(next, timer.at) }
        }
        return next == .max ? nil : Instant(milliseconds: max(next, now.milliseconds))
    }

    private func mayTake(_ deliveryClass: DeliveryClass) -> Bool {
        let index = deliveryClass.index
        return !classes[index].isPaused && !classes[index].runsAlone && !classes[index].workers.isEmpty
            && room(deliveryClass) > 0 && roomInBytes(deliveryClass) > 0
    }

    private mutating func takeBatch(_ deliveryClass: DeliveryClass, now: Instant, room: Int) -> Batch? {
        guard mayTake(deliveryClass) else { return nil }
        let index = deliveryClass.index
        if hasReadySuspect(deliveryClass, now: now) { return takeSuspect(deliveryClass, now: now, room: room) }
        while let number = classes[index].ring.popFirst() {
            let route = Int(number)
            routes[route].isInRing = false
            guard let top = clearedTop(number, now: now) else {
                routes[route].ready = 0
                unpark(routes[route].action, 1, now: now)
                reclaim(number)
                continue
            }
            guard top.at <= now.milliseconds else {
                routes[route].ready = 0
                unpark(routes[route].action, 1, now: now)
                activate(number, now: now)
                continue
            }
            // The end of its own batches brings it back, or that of others of its action.
            guard mayGrow(number) else {
                park(number)
                continue
            }
            if let batch = takeRegular(number, now: now, room: room) { return batch }
        }
        // The lines may have turned out to hold suspects only.
        return hasReadySuspect(deliveryClass, now: now) ? takeSuspect(deliveryClass, now: now, room: room) : nil
    }

    /// Whether the next mailbox in line is one for a message that goes to others of this turn anyway.
    private mutating func continues(_ bundles: Set<Batch.Bundle>, now: Instant) -> Bool {
        let local = DeliveryClass.local
        guard mayTake(local), !hasReadySuspect(local, now: now), let number = classes[local.index].ring.first,
            let top = clearedTop(number, now: now), top.at <= now.milliseconds, mayGrow(number),
            let worker = worker(for: number)
        else { return false }
        let position = messages[recipients[top.slot].message].position
        return bundles.contains(Batch.Bundle(position: position, worker: worker))
    }

    private mutating func takeRegular(_ number: UInt32, now: Instant, room: Int) -> Batch? {
        let route = Int(number)
        let size = min(room, batchSize(routes[route].key.deliveryClass))
        var members: [UInt32] = []
        var message: UInt32?
        while members.count < size, let top = clearedTop(number, now: now), top.at <= now.milliseconds,
            message == nil || recipients[top.slot].message == message
        {
            _ = routes[route].due.pop()
            routes[route].live -= 1
            message = recipients[top.slot].message
            members.append(top.slot)
        }
        routes[route].ready = max(0, routes[route].ready - members.count)
        if let moment = paced(members, routes[route].key, now: now) {
            for member in members {
                wait(member, until: moment, now: now)
                recipients[member].flags.insert(.paced)
            }
            return nil
        }
        return begin(members, on: number, isAlone: false, now: now)
    }

    /// When the rates let this message go; nil for now. It counts once for all of the recipients that go together.
    private mutating func paced(_ members: [UInt32], _ key: RouteKey, now: Instant) -> Instant? {
        guard !pace.isUnlimited, case .relay(_, let domain) = key, let first = members.first,
            !recipients[first].flags.contains(.paced)
        else { return nil }
        let moment = pace.moment(sender: recipients[first].sender, domain: domain, now: now)
        return moment > now ? moment : nil
    }

    private mutating func hasReadySuspect(_ deliveryClass: DeliveryClass, now: Instant) -> Bool {
        guard let top = suspectTop(deliveryClass) else { return false }
        return max(top.at, classes[deliveryClass.index].nextAlone) <= now.milliseconds
    }

    private mutating func takeSuspect(_ deliveryClass: DeliveryClass, now: Instant, room: Int) -> Batch? {
        let index = deliveryClass.index
        guard classes[index].batches == 0 else { return nil }
        let size = min(room, batchSize(deliveryClass))
        var members: [UInt32] = []
        var first: RecipientRecord?
        while members.count < size, let top = suspectTop(deliveryClass), top.at <= now.milliseconds {
            let recipient = recipients[top.slot]
            if let first, recipient.message != first.message || recipient.route != first.route { break }
            first = first ?? recipient
            _ = classes[index].suspects.pop()
            classes[index].liveSuspects -= 1
            members.append(top.slot)
        }
        guard let number = first?.route else { return nil }
        classes[index].runsAlone = true
        classes[index].aloneSince = now.milliseconds
        return begin(members, on: number, isAlone: true, now: now)
    }

    /// Marks recipients, who are out of line already, as in flight together.
    private mutating func begin(_ members: [UInt32], on number: UInt32, isAlone: Bool, now: Instant) -> Batch? {
        guard let first = members.first, let worker = worker(for: number) else { return nil }
        let message = recipients[first].message
        open(
            BatchRecord(
                message: message, route: number, worker: worker, members: members, remaining: members.count,
                cost: limits.cost(ofSize: messages[message].size), isAlone: isAlone), now: now)
        if !isAlone { activate(number, now: now) }
        let record = messages[message]
        return Batch(
            message: QueuedMessage(
                MessageID(record.id), position: record.position, size: record.size,
                created: Instant(milliseconds: record.created)),
            route: routes[Int(number)].key, worker: worker, envelopes: members.map(identifier), isAlone: isAlone)
    }

    /// A route stays with one worker while anything of it is in flight, and as long as the workers stay the same.
    private func worker(for number: UInt32) -> WorkerID? {
        let route = Int(number)
        if routes[route].batches > 0, let worker = routes[route].worker { return worker }
        let workers = classes[routes[route].key.deliveryClass.index].workers
        return workers.isEmpty ? nil : workers[route % workers.count]
    }

    /// Enters a batch into the books.
    mutating func open(_ batch: BatchRecord, now: Instant) {
        let number: UInt32
        if let free = freeBatches.popLast() {
            number = free
            batches[Int(free)] = batch
        } else {
            number = UInt32(batches.count)
            batches.append(batch)
        }
        let route = Int(batch.route)
        let deliveryClass = routes[route].key.deliveryClass.index
        let charge = startSharing(batch)
        routes[route].batches += 1
        routes[route].inFlight += batch.members.count
        routes[route].bytes += batch.cost
        routes[route].worker = batch.worker
        classes[deliveryClass].batches += 1
        classes[deliveryClass].inFlight += batch.members.count
        classes[deliveryClass].bytes += charge
        inFlight += batch.members.count
        countIn(batch)
        let created = Instant(milliseconds: messages[batch.message].created)
        for slot in batch.members {
            if recipients[slot].flags.contains(.hostDown) { routes[route].hostDown -= 1 }
            recipients[slot].flags = []
            recipients[slot].state = .inFlight
            recipients[slot].stamp = serial()
            recipients[slot].batch = number
            recipients[slot].due = now.milliseconds
            recipients[slot].lastTry = Self.age(now, since: created) &+ 1
        }
    }

    /// Takes a recipient out of its batch, and the batch out of the books after the last one.
    mutating func close(_ slot: UInt32, now: Instant) {
        let number = Int(recipients[slot].batch)
        let route = Int(batches[number].route)
        let deliveryClass = routes[route].key.deliveryClass
        inFlight -= 1
        routes[route].inFlight -= 1
        classes[deliveryClass.index].inFlight -= 1
        batches[number].remaining -= 1
        guard batches[number].remaining == 0 else { return }
        let batch = batches[number]
        batches[number].members = []
        freeBatches.append(UInt32(number))
        routes[route].batches -= 1
        routes[route].bytes -= batch.cost
        classes[deliveryClass.index].batches -= 1
        classes[deliveryClass.index].bytes -= stopSharing(batch)
        if batch.isAlone {
            let spent = now.milliseconds &- classes[deliveryClass.index].aloneSince
            classes[deliveryClass.index].runsAlone = false
            classes[deliveryClass.index].nextAlone = now.milliseconds &+ max(Self.shortestPause, spent)
        }
        countOut(batch, now: now)
        activate(batch.route, now: now)
    }

    // The mailboxes of one message share its content in the memory of the worker: the first brings it, the last takes it.

    private mutating func startSharing(_ batch: BatchRecord) -> Int {
        switch routes[Int(batch.route)].key.deliveryClass {
        case .relay: return batch.cost
        case .local:
            messages[batch.message].localBatches &+= 1
            return messages[batch.message].localBatches == 1 ? batch.cost : 0
        }
    }

    private mutating func stopSharing(_ batch: BatchRecord) -> Int {
        switch routes[Int(batch.route)].key.deliveryClass {
        case .relay: return batch.cost
        case .local:
            messages[batch.message].localBatches &-= 1
            return messages[batch.message].localBatches == 0 ? batch.cost : 0
        }
    }

    // Milliseconds between two suspects for everybody else.
    private static let shortestPause: Int64 = 1000
}
