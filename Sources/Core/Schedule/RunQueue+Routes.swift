// SPDX-License-Identifier: ISC

// The lines of the routes: numbers, the ring, timers, and the sweeping of leftovers.

extension RunQueue {
    mutating func route(for key: RouteKey) -> UInt32 {
        if let known = routeNumbers[key] { return known }
        let number: UInt32
        let record = RouteRecord(
            key: key, action: action(of: key), window: limits.relay.firstWindow, serial: serial())
        if let free = freeRoutes.popLast() {
            number = free
            routes[Int(free)] = record
        } else {
            number = UInt32(routes.count)
            routes.append(record)
        }
        routeNumbers[key] = number
        return number
    }

    /// Gives the number of a route back when nobody goes that way any more.
    mutating func reclaim(_ number: UInt32) {
        let index = Int(number)
        guard routes[index].recipients == 0, routes[index].batches == 0, !routes[index].isInRing else { return }
        let key = routes[index].key
        guard routeNumbers[key] == number else { return }
        routeNumbers[key] = nil
        routes[index] = RouteRecord(key: key, window: limits.relay.firstWindow, serial: serial())
        freeRoutes.append(number)
    }

    /// Puts a route where it belongs: into the ring when it has due work, else under a timer.
    mutating func activate(_ number: UInt32, now: Instant) {
        let index = Int(number)
        guard !routes[index].isInRing, let top = clearedTop(number, now: now) else { return }
        let deliveryClass = routes[index].key.deliveryClass
        if top.at <= now.milliseconds {
            guard routes[index].batches < batchLimit(number) else { return }
            routes[index].isInRing = true
            classes[deliveryClass.index].ring.append(number)
        } else if top.at < routes[index].armed {
            routes[index].armed = top.at
            classes[deliveryClass.index].timers.push(
                TimerEntry(at: top.at, slot: number, serial: routes[index].serial))
            sweepTimers(deliveryClass)
        }
    }

    /// Brings routes into the ring whose timer has passed.
    mutating func fireTimers(now: Instant) {
        for deliveryClass in DeliveryClass.allCases {
            while let entry = timerTop(deliveryClass), entry.at <= now.milliseconds {
                _ = classes[deliveryClass.index].timers.pop()
                routes[Int(entry.slot)].armed = .max
                activate(entry.slot, now: now)
            }
        }
    }

    /// The next timer of a class that counts.
    mutating func timerTop(_ deliveryClass: DeliveryClass) -> TimerEntry? {
        while let top = classes[deliveryClass.index].timers.top {
            let route = Int(top.slot)
            if routes[route].serial == top.serial, routes[route].armed == top.at { return top }
            _ = classes[deliveryClass.index].timers.pop()
        }
        return nil
    }

    /// The first recipient in line, one that is due before all that are not.
    mutating func clearedTop(_ number: UInt32, now: Instant) -> DueEntry? {
        let index = Int(number)
        while let top = routes[index].later.top {
            let isWaiting = isLive(top)
            guard !isWaiting || top.at <= now.milliseconds else { break }
            _ = routes[index].later.pop()
            guard isWaiting else { continue }
            var entry = top
            place(&entry, mayWait: routes[index].live > 1)
            routes[index].due.push(entry)
        }
        guard let first = clearedDue(number) else { return routes[index].later.top }
        guard let later = routes[index].later.top, later < first else { return first }
        return later
    }

    /// The first of `due`; leftovers before it are dropped, and suspects go to their own line.
    mutating func clearedDue(_ number: UInt32) -> DueEntry? {
        let index = Int(number)
        while let top = routes[index].due.top {
            guard isLive(top) else {
                _ = routes[index].due.pop()
                continue
            }
            guard isSuspect(recipients[top.slot]) else { return top }
            _ = routes[index].due.pop()
            routes[index].live -= 1
            let deliveryClass = routes[index].key.deliveryClass
            recipients[top.slot].flags.insert(.suspect)
            classes[deliveryClass.index].suspects.push(top)
            classes[deliveryClass.index].liveSuspects += 1
        }
        return nil
    }

    /// The first suspect in line, leftovers dropped.
    mutating func suspectTop(_ deliveryClass: DeliveryClass) -> DueEntry? {
        while let top = classes[deliveryClass.index].suspects.top {
            if isLive(top) { return top }
            _ = classes[deliveryClass.index].suspects.pop()
        }
        return nil
    }

    func isLive(_ entry: DueEntry) -> Bool {
        guard recipients.contains(entry.slot) else { return false }
        let recipient = recipients[entry.slot]
        return recipient.stamp == entry.stamp && recipient.state == .waiting
    }

    func batchLimit(_ number: UInt32) -> Int {
        let route = routes[Int(number)]
        switch route.key.deliveryClass {
        case .relay: return min(limits.relay.maxBatchesPerDestination, route.window)
        case .local: return limits.local.maxSessionPerUser
        }
    }

    /// How many more recipients a class may have in flight.
    func room(_ deliveryClass: DeliveryClass) -> Int {
        let all = limits.scheduler.maxInflight
        let own = classes[deliveryClass.index].inFlight
        switch deliveryClass {
        case .relay: return min(all - inFlight, all - limits.reserved - own)
        case .local:
            let most = min(limits.local.maxSession, Self.mostLocal)
            return min(most - own, max(all - inFlight, limits.reserved - own))
        }
    }

    // A message counts them in two bytes.
    private static let mostLocal = 60_000

    /// How many more bytes of content a class may have in the memory of its workers; the last message may exceed it.
    func roomInBytes(_ deliveryClass: DeliveryClass) -> Int {
        switch deliveryClass {
        case .relay: limits.relay.maxBytes - classes[deliveryClass.index].bytes
        case .local: limits.local.maxBytes - classes[deliveryClass.index].bytes
        }
    }

    /// Whether a route may have more in flight. It never has more than it leaves to the others: so there is room for a
    /// route that has nothing in flight, however many slow ones there are.
    func mayGrow(_ number: UInt32) -> Bool {
        guard !hasShare(number) else { return false }
        let route = routes[Int(number)]
        guard route.batches > 0 else { return true }
        let deliveryClass = route.key.deliveryClass
        return route.batches < batchLimit(number) && route.inFlight < room(deliveryClass)
            && route.bytes < max(1, roomInBytes(deliveryClass))
    }

    /// A local delivery is one process for one recipient; a relay session takes many.
    func batchSize(_ deliveryClass: DeliveryClass) -> Int {
        switch deliveryClass {
        case .relay: limits.relay.maxBatch
        case .local: 1
        }
    }

    // Leftovers are swept when they are the majority, so that the work stays constant per entry.

    mutating func sweep(_ number: UInt32) {
        let index = Int(number)
        let entries = routes[index].due.count + routes[index].later.count
        guard entries > routes[index].live * 2 + Self.sweepFloor else { return }
        let recipients = self.recipients
        routes[index].due.retain { recipients.contains($0.slot) && recipients[$0.slot].stamp == $0.stamp }
        routes[index].later.retain { recipients.contains($0.slot) && recipients[$0.slot].stamp == $0.stamp }
    }

    mutating func sweepSuspects(_ deliveryClass: DeliveryClass) {
        let index = deliveryClass.index
        guard classes[index].suspects.count > classes[index].liveSuspects * 2 + Self.sweepFloor else { return }
        let recipients = self.recipients
        classes[index].suspects.retain { recipients.contains($0.slot) && recipients[$0.slot].stamp == $0.stamp }
    }

    mutating func sweepTimers(_ deliveryClass: DeliveryClass) {
        guard classes[deliveryClass.index].timers.count > routes.count * 2 + Self.sweepFloor else { return }
        let routes = self.routes
        classes[deliveryClass.index].timers.retain {
            routes[Int($0.slot)].serial == $0.serial && routes[Int($0.slot)].armed == $0.at
        }
    }

    private static let sweepFloor = 64
}
