// SPDX-License-Identifier: ISC

public import Mail

/// What is queued, what of it is due, and who has it in hand.
///
/// A recipient is waiting, in flight, suspended (by an administrator), held (poison, or on hold), or awaiting a notice
/// (failed or expired, until `settle`). Waiting recipients stand in one line per route key, ordered by due time; routes
/// with due work form a ring and take turns, so that no destination waits for another. A line leaves the ring when it
/// has nothing due (a timer brings it back) or is at its limit (the end of a batch brings it back). Entries that were
/// overtaken stay in their heap until they come up, or until they are the majority: every event is O(log n).
///
/// A message in hand when a worker dies is counted. After two deaths it is delivered with nothing beside it in its
/// class; a death then puts it on hold. Nothing here is stored: the caller writes records and hands in the time.
public struct RunQueue: Sendable {
    public internal(set) var limits: Limits
    /// Ages at which the sender of a waiting message is warned, ascending; at most 4.
    public var warnIntervals: [Interval]
    /// How many messages go to a domain, or come from a sender, in a time.
    var pace = MessagePace()
    public internal(set) var statistics = Statistics()

    var recipients = Slab<RecipientRecord>()
    var messages = Slab<MessageRecord>()
    /// Envelope ids in ascending order; those of one message are neighbours.
    var index = OrderedIndex()
    var routes: [RouteRecord] = []
    var freeRoutes: [UInt32] = []
    var routeNumbers: [RouteKey: UInt32] = [:]
    var actions: [ActionRecord] = []
    var actionNumbers: [String: UInt32] = [:]
    var classes = [ClassRecord(), ClassRecord()]
    var batches: [BatchRecord] = []
    var freeBatches: [UInt32] = []
    var expiries = Heap<TimerEntry>()
    var liveExpiries = 0
    var inFlight = 0
    /// The class whose turn it is.
    var turn = DeliveryClass.relay
    var nextSerial: UInt32 = 0
    var finished: [QueuedMessage] = []

    public init(limits: Limits = Limits(), warnIntervals: [Interval] = [.hours(4)]) {
        self.limits = limits
        self.warnIntervals = Array(warnIntervals.prefix(4))
    }

    public var count: Int { index.count }
    public var messageCount: Int { messages.count }
    public var inFlightCount: Int { inFlight }

    /// Takes in a message from a commit or from recovery; returns how many recipients were new.
    ///
    /// Further recipients of a message that is here already are added to it; nothing is taken when the id stands for
    /// another position. A recipient without attempts is due at once, or at its `notBefore`.
    @discardableResult
    public mutating func insert(_ message: QueuedMessage, _ added: [QueuedRecipient], now: Instant) -> Int {
        let created = min(message.created, now)
        let known = anyRecipient(of: message.id).map { recipients[$0].message }
        if let known, messages[known].position != message.position { return 0 }
        let slot =
            known
            ?? messages.insert(
                MessageRecord(
                    position: message.position, size: message.size, created: created.milliseconds,
                    id: message.id.value, serial: serial(), priority: added.first?.priority ?? 0))
        let busy = busyRoutes(added)
        var count = 0
        for recipient in added where insert(recipient, into: slot, behind: busy, now: now) { count += 1 }
        if messages[slot].recipients == 0 { messages.remove(slot) }
        statistics.incoming += count
        return count
    }

    private mutating func insert(
        _ added: QueuedRecipient, into message: UInt32, behind busy: Set<RouteKey>, now: Instant
    ) -> Bool {
        let record = messages[message]
        let created = Instant(milliseconds: record.created)
        let id = EnvelopeID(MessageID(record.id), number: added.number)
        guard index[id.value] == nil else { return false }
        let route = route(for: added.route)
        var due = added.notBefore ?? created
        if added.attempts > 0 {
            let policy = added.route.deliveryClass.retryPolicy
            due = max(due, policy.next(created: created, after: added.lastTry ?? created))
        }
        let slot = recipients.insert(
            RecipientRecord(
                due: due.milliseconds, message: message, number: added.number, route: route, stamp: serial(),
                timeToLive: UInt32(clamping: added.timeToLive.seconds), batch: 0,
                lastTry: added.lastTry.map { Self.age($0, since: created) &+ 1 } ?? 0,
                lastWarning: UInt32(clamping: added.lastWarning?.seconds ?? 0),
                attempts: UInt16(clamping: added.attempts),
                state: added.state.recorded,
                flags: added.hasExpired && added.state == .awaitingNotice ? .expired : [],
                sender: added.sender))
        _ = index.insert(id.value, slot)
        messages[message].recipients += 1
        routes[Int(route)].recipients += 1
        if added.state == .waiting {
            wait(slot, until: due, now: now, mayWait: added.attempts == 0 && busy.contains(added.route))
        }
        return true
    }

    // RFC 6710 section 5.1 leaves to us what a priority is worth, as long as nobody waits for ever. A message goes before
    // those that were due up to so much earlier; where others wait, one of low priority lets go first what comes meanwhile.
    static let headStart = Interval.hours(1)
    static let deference = Interval.minutes(1)

    /// When a message that could go at once comes up in the line of its route.
    static func due(_ due: Instant, _ priority: Int8, mayWait: Bool) -> Instant {
        let step = priority > 0 ? headStart : mayWait ? deference : .seconds(0)
        return due + Interval(seconds: -Int64(priority) * step.seconds)
    }

    /// The routes on which a message of low priority finds others, and not only the rest of itself.
    private func busyRoutes(_ added: [QueuedRecipient]) -> Set<RouteKey> {
        var busy: Set<RouteKey> = []
        for recipient in added where recipient.priority < 0 {
            guard let number = routeNumbers[recipient.route] else { continue }
            if routes[Int(number)].live > 0 || routes[Int(number)].batches > 0 { busy.insert(recipient.route) }
        }
        return busy
    }

    /// Forgets a recipient whose notice was accepted, or who needs none; false when it awaits none.
    @discardableResult
    public mutating func settle(_ envelope: EnvelopeID) -> Bool {
        guard let slot = index[envelope.value], recipients[slot].state == .awaitingNotice else { return false }
        forget(slot)
        return true
    }

    /// Messages that have lost their last recipient since the last call: their storage can be freed.
    public mutating func takeFinished() -> [QueuedMessage] {
        defer { finished = [] }
        return finished
    }

    /// Stops (or goes on with) handing out work of a class; what is in flight goes on.
    public mutating func setPaused(_ isPaused: Bool, _ deliveryClass: DeliveryClass) {
        classes[deliveryClass.index].isPaused = isPaused
    }

    public func isPaused(_ deliveryClass: DeliveryClass) -> Bool { classes[deliveryClass.index].isPaused }

    /// Takes over new rates; what was used of those that stay is not forgotten.
    public mutating func apply(_ rates: MessagePace) { pace.apply(rates) }

    /// Takes over new limits; what is in flight beyond them goes on.
    public mutating func apply(_ limits: Limits, now: Instant) {
        self.limits = limits
        for route in routes.indices { activate(UInt32(route), now: now) }
    }
}

// MARK: - What the events share

extension RunQueue {
    mutating func serial() -> UInt32 {
        nextSerial &+= 1
        return nextSerial
    }

    static func age(_ moment: Instant, since created: Instant) -> UInt32 {
        UInt32(clamping: (moment.milliseconds &- created.milliseconds) / 1000)
    }

    func identifier(_ slot: UInt32) -> EnvelopeID {
        EnvelopeID(MessageID(messages[recipients[slot].message].id), number: recipients[slot].number)
    }

    func expiry(_ recipient: RecipientRecord) -> Int64 {
        messages[recipient.message].created &+ Int64(recipient.timeToLive) &* 1000
    }

    func anyRecipient(of message: MessageID) -> UInt32? {
        var found: UInt32?
        index.visit(from: EnvelopeID(message, number: 0).value) { key, slot in
            if EnvelopeID(key).message == message { found = slot }
            return false
        }
        return found
    }

    func slots(of message: MessageID) -> [UInt32] {
        var found: [UInt32] = []
        index.visit(from: EnvelopeID(message, number: 0).value) { key, slot in
            guard EnvelopeID(key).message == message else { return false }
            found.append(slot)
            return true
        }
        return found
    }

    /// Puts a recipient in line and sees that its expiry is looked after. `mayWait`: there are others, whom one of low
    /// priority lets go first.
    mutating func wait(_ slot: UInt32, until due: Instant, now: Instant, mayWait: Bool = false) {
        let stamp = serial()
        recipients[slot].state = .waiting
        recipients[slot].due = due.milliseconds
        recipients[slot].stamp = stamp
        let recipient = recipients[slot]
        let route = Int(recipient.route)
        var entry = DueEntry(at: due.milliseconds, id: identifier(slot).value, slot: slot, stamp: stamp)
        if isSuspect(recipient) {
            recipients[slot].flags.insert(.suspect)
            classes[routes[route].key.deliveryClass.index].suspects.push(entry)
            classes[routes[route].key.deliveryClass.index].liveSuspects += 1
        } else {
            let priority = messages[recipient.message].priority
            if priority != 0, due > now {
                routes[route].later.push(entry)
            } else {
                place(&entry, mayWait: mayWait)
                routes[route].due.push(entry)
            }
            routes[route].live += 1
            activate(recipient.route, now: now)
        }
        armExpiry(recipient.message, at: expiry(recipient))
    }

    /// Moves the entry of a recipient that is due to where its priority puts it.
    mutating func place(_ entry: inout DueEntry, mayWait: Bool) {
        let priority = messages[recipients[entry.slot].message].priority
        entry.at = Self.due(Instant(milliseconds: entry.at), priority, mayWait: mayWait).milliseconds
        // Who lets others go first is not due before.
        recipients[entry.slot].due = max(recipients[entry.slot].due, entry.at)
    }

    /// Takes a waiting recipient out of line; its entry becomes a leftover.
    mutating func leaveLine(_ slot: UInt32) {
        let recipient = recipients[slot]
        let route = Int(recipient.route)
        recipients[slot].stamp = serial()
        if recipient.flags.contains(.hostDown) { routes[route].hostDown -= 1 }
        if recipient.flags.contains(.suspect) {
            classes[routes[route].key.deliveryClass.index].liveSuspects -= 1
            sweepSuspects(routes[route].key.deliveryClass)
        } else {
            routes[route].live -= 1
            sweep(recipient.route)
        }
        recipients[slot].flags.subtract([.hostDown, .suspect])
    }

    /// Drops a recipient that is neither in line nor in flight, and its message after the last one.
    mutating func forget(_ slot: UInt32) {
        let recipient = recipients[slot]
        index.remove(identifier(slot).value)
        routes[Int(recipient.route)].recipients -= 1
        reclaim(recipient.route)
        // An empty slot must look neither in line nor in flight to what still names it.
        recipients[slot].state = .awaitingNotice
        recipients.remove(slot)
        messages[recipient.message].recipients -= 1
        let message = messages[recipient.message]
        guard message.recipients == 0 else { return }
        finished.append(
            QueuedMessage(
                MessageID(message.id), position: message.position, size: message.size,
                created: Instant(milliseconds: message.created)))
        if message.armed != .max { liveExpiries -= 1 }
        messages[recipient.message].serial = serial()
        messages[recipient.message].armed = .max
        messages.remove(recipient.message)
        sweepExpiries()
    }

    func isSuspect(_ recipient: RecipientRecord) -> Bool {
        let deliveryClass = routes[Int(recipient.route)].key.deliveryClass
        return messages[recipient.message].deaths(in: deliveryClass) >= Self.deathsOfSuspect
    }

    /// Deaths after which a message is delivered alone.
    static let deathsOfSuspect: UInt8 = 2
    /// Deaths after which a message that was alone is put on hold.
    static let deathsOfPoison: UInt8 = 3
}
