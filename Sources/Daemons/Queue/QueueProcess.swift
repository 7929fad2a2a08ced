// SPDX-License-Identifier: ISC

import Channel
import Configuration
import IPC
import Mail
import Posix
import Reactor
import Schedule
import Spool

/// Keeps what was accepted until it is delivered or its sender knows: the spool on disk, the schedule in memory.
final class QueueProcess: DaemonProcess {
    let child: Child
    let log: Log
    let spool: DiskSpool
    let serverName: Domain
    let counters = Counters()
    var schedule: RunQueue
    var ledger: NoticeLedger
    var shelf = Shelf()
    var history = History()
    var lifetimes: [String: Interval] = [:]
    /// What an imported envelope may name.
    private(set) var actions: [String: DeliveryClass] = [:]
    var queueLifetime = Interval.days(4)

    private(set) lazy var intake = Intake(
        spool, isLive: { [unowned self] in shelf.contains($0) }, age: { [unowned self] in clock.age(at: now) },
        accepted: { [unowned self] in accept($0, $1, session: $2) })
    private(set) lazy var dispatcher = Dispatcher(self)
    private(set) lazy var notices = NoticeDesk(self)
    private(set) lazy var imports = ImportDesk(self)
    private var desk: ControlDesk?
    private var spoolWatch: Watch?
    private let recovery: SpoolRecovery
    private var found: RecoveredSpool?
    /// All that was in the spool is known. Until then mail is taken, and none is delivered.
    private(set) var isRecovered = false
    // Edges to workers that came before that: an outcome of what is not known yet would be lost.
    private var waitingWorkers: [(PeerGrant, Held)] = []
    // Found in the spool while a new message had their id.
    private var late: [MessageID: RecoveredMessage] = [:]
    /// Set aside at the start because they cannot be read: counted, and left where they are.
    private(set) var unreadable: [MessageID: Int] = [:]
    private(set) var hostMemory = HostMemory()
    let clock: QueueClock
    private let clockTimer = Timer()
    private let timer = Timer()
    private let drainTimer = Timer()
    private var isPumpPlanned = false
    private(set) var isDraining = false

    init(_ child: Child, _ opened: OpenedSpool) throws {
        self.child = child
        log = child.log
        spool = opened.spool
        recovery = opened.recovery
        // Mail that comes in is as old as the clock of the queue says: that must be known first. It is among the last
        // that the process before has written, if not everything has to be read.
        var last = opened.lastNotes[Self.clockKey]
        if last == nil {
            let all = try opened.recovery.finish()
            last = all.notes[Self.clockKey]
            found = all
        }
        clock = QueueClock(
            after: last.flatMap(QueueClock.Mark.init(decoding:)), wall: SystemClock.now(),
            now: Instant(milliseconds: Int64(clamping: Loop.milliseconds)))
        guard let name = Domain(child.assignment.serverName) else {
            child.leave(because: "server name is no domain: \(child.assignment.serverName)")
        }
        serverName = name
        schedule = RunQueue()
        ledger = NoticeLedger()
        schedule.setPaused(child.assignment.paused.contains(.mda), .local)
        schedule.setPaused(child.assignment.paused.contains(.mta), .relay)
        guard configure(child.assignment.configuration) else { child.leave(because: "configuration unreadable") }
    }

    /// Takes over a configuration, whole or not at all.
    private func configure(_ text: String) -> Bool {
        let parsed = ServerConfiguration.parse(Array(text.utf8), named: "queue", options: ParseOptions(.partial))
        guard let configuration = parsed.configuration else { return false }
        var limits = Limits()
        limits.scheduler.maxInflight = configuration.schedulerLimits.inFlight
        limits.scheduler.maxSchedule = max(1, configuration.schedulerLimits.schedule)
        // Local keeps to the limit of sessions itself. What waits there has shared one reading of its message.
        limits.local.maxSession = configuration.localLimits.sessions + 1000
        limits.local.ampleForAction = configuration.localLimits.sessions
        limits.local.maxSessionPerUser = configuration.localLimits.sessionsPerUser
        limits.relay.maxDeferred = configuration.deferredPerDomain
        limits.largestInMemory = Intake.largestInMemory
        schedule.apply(limits, now: now)
        schedule.apply(MessagePace(configuration))
        schedule.warnIntervals = configuration.bounceWarnings
        ledger.timeToLive = configuration.queueLifetime
        queueLifetime = configuration.queueLifetime
        lifetimes = Dictionary(
            configuration.actions.compactMap { action in action.lifetime.map { (action.name, $0) } },
            uniquingKeysWith: { first, _ in first })
        actions = Dictionary(
            configuration.actions.map { action in
                switch action.kind {
                case .local: (action.name, .local)
                case .relay: (action.name, .relay)
                }
            }, uniquingKeysWith: { first, _ in first })
        return true
    }

    var now: Instant { Instant(milliseconds: Int64(clamping: Loop.milliseconds)) }

    func begin() throws {
        spool.report = { [log] line in log.warning("spool: \(line)") }
        spool.damage = { [unowned self] position, envelope in repair(position, envelope) }
        spoolWatch = Watch(spool.wakeDescriptor, for: .reading) { [unowned self] _ in spool.turn() }
        spoolWatch?.enable()
        child.peerArrived = { [unowned self] grant, descriptor in join(grant, descriptor) }
        child.reloaded = { [unowned self] _, text in
            if !configure(text) { log.warning("queue: new configuration unreadable, the old one stays") }
            plan()
        }
        child.drained = { [unowned self] seconds in drain(seconds) }
        for (socket, held) in child.grants.sockets {
            guard case .control = socket, let descriptor = held.take() else { continue }
            desk = ControlDesk(descriptor, role: .queue) { [unowned self] request in
                // An answer is of the whole queue, or waits for it.
                while !isRecovered, !isDraining { await Loop.pause(milliseconds: 5) }
                return await answer(request)
            }
        }
        keepTime()
        // However much comes before the process is killed, the next one finds the time without reading all of it.
        spool.segmentBegan = { [weak self] in self?.keepTime() }
        child.ready()
        Task { await recover() }
    }

    // MARK: Time

    private static let clockKey = Array("queue-clock".utf8)
    private static let clockMilliseconds: UInt64 = 60_000

    // So that the next process knows how old the queue is, whatever the wall clock says by then.
    private func keepTime() {
        spool.note(
            Self.clockKey, clock.mark(wall: SystemClock.now(), now: now).bytes, durability: .lazy)
        for key in hostMemory.expired(now: SystemClock.now()) { spool.note(key, [], durability: .lazy) }
        clockTimer.start(afterMilliseconds: Self.clockMilliseconds) { [weak self] in self?.keepTime() }
    }

    func remember(_ host: ProtectedHost) {
        guard let note = hostMemory.insert(host, now: SystemClock.now()) else { return }
        spool.note(note.key, note.value, durability: .lazy)
    }

    // MARK: Edges

    private func join(_ grant: PeerGrant, _ descriptor: consuming FileDescriptor) {
        switch grant.role {
        case .listener:
            let listener = ListenerID(worker: grant.worker, generation: grant.generation)
            let line: Intake.Line = child.edge(
                grant, descriptor,
                handle: { [weak self] message, correlation, _ in
                    guard let self, let wrong = intake.heard(message, correlation, from: listener) else { return }
                    intake.close(listener)
                    child.violated(grant, wrong)
                },
                ended: { [weak self] in self?.intake.leave(listener) })
            intake.join(listener, line)
        case .lookup:
            lookups[grant.generation] = child.edge(
                grant, descriptor,
                handle: { [weak self] message, _, _ in
                    switch message {
                    case .store(let worker, let generation, let id, let number, let envelopes):
                        self?.intake.store(ListenerID(worker: worker, generation: generation), id, number, envelopes)
                    case .rematched:
                        // An answer to a question that has timed out is none of this.
                        break
                    }
                },
                ended: { [weak self] in self?.lookups[grant.generation] = nil })
        case .relay, .local:
            if isRecovered {
                dispatcher.join(grant, descriptor)
            } else {
                waitingWorkers.append((grant, Held(descriptor)))
            }
        case .parent, .queue, .resolver, .keys, .account, .mailbox, .control, .table:
            break
        }
    }

    private var lookups: [UInt32: Peer<LookupToQueue, QueueToLookup>] = [:]
    /// The one with the configuration in force.
    var lookup: Peer<LookupToQueue, QueueToLookup>? { lookups.max { $0.key < $1.key }?.value }

    // MARK: The life of a message

    private func accept(_ id: MessageID, _ message: StoredMessage, session: SessionID) {
        for (number, recipient) in message.recipients.sorted(by: { $0.key < $1.key }) {
            log.info(
                "\(session) smtp envelope evpid=\(EnvelopeID(id, number: number)) from=<\(message.sender)> "
                    + "to=<\(recipient.destination)>")
        }
        history.accepted(id, message, at: message.created)
        enter(id, message, progress: [:])
        plan()
    }

    func enter(_ id: MessageID, _ message: StoredMessage, progress: [UInt32: EnvelopeProgress]) {
        shelf.insert(id, message)
        let wall = SystemClock.now()
        let now = now
        let created = clock.instant(ofAge: message.born, now: now)
        var recipients: [QueuedRecipient] = []
        for (number, recipient) in message.recipients where progress[number]?.state != .owesSuccess {
            guard let route = message.route(number) else { continue }
            var queued = QueuedRecipient(number, route: route)
            queued.timeToLive = message.lifetime(lifetimes[recipient.dispatch.action] ?? queueLifetime)
            queued.notBefore = message.request.notBefore.map { release in
                // Seen from now, since the wall clock may have been set since.
                now + max(.seconds(0), release - wall)
            }
            queued.priority = message.request.priority?.value ?? 0
            queued.count(for: message.sender)
            if let past = progress[number] {
                queued.attempts = Int(past.attempts)
                queued.lastTry = past.lastTry.map { max(created, Instant($0, wall: wall, now: now)) }
                queued.lastWarning = past.lastWarning
                queued.state = past.state.queued
                queued.hasExpired = past.state == .expired
                if past.rerouting != nil { rerouted.insert(EnvelopeID(id, number: number)) }
            }
            recipients.append(queued)
        }
        // What is there for a notice only is not in the schedule, and so not found by its end there.
        if recipients.isEmpty { finished.insert(id) }
        schedule.insert(
            QueuedMessage(id, position: message.position.sequenceNumber, size: message.size, created: created),
            recipients, now: now)
    }

    // Messages that are entered before the loop has a turn.
    private static let recoverySlice = 256

    /// Finds what was in the spool, in slices: new mail comes in between.
    private func recover() async {
        do {
            while found == nil {
                if isDraining { return }
                found = try recovery.step()
                await Loop.pause(milliseconds: 0)
            }
        } catch {
            child.leave(because: "spool: \(error)")
        }
        guard let found else { return }
        self.found = nil
        for report in found.reports { log.warning("spool: \(report)") }
        for key in hostMemory.restore(found.notes, now: SystemClock.now()) { spool.note(key, [], durability: .lazy) }
        var count = 0
        for (index, record) in found.messages.enumerated() {
            if isDraining { return }
            count += enter(record)
            if index % Self.recoverySlice == Self.recoverySlice - 1 { await Loop.pause(milliseconds: 0) }
        }
        if count > 0 { log.info("info: \(count) envelopes found in the spool") }
        isRecovered = true
        let workers = waitingWorkers
        waitingWorkers = []
        for (grant, held) in workers {
            if let descriptor = held.take() { dispatcher.join(grant, descriptor) }
        }
        plan()
    }

    /// The number of envelopes that are not done.
    private func enter(_ record: RecoveredMessage) -> Int {
        // Its id was free when nobody knew of it yet. It waits until the other message is done.
        guard !shelf.contains(record.id) else {
            late[record.id] = record
            return 0
        }
        do {
            var message = try StoredMessage(record)
            var progress: [UInt32: EnvelopeProgress] = [:]
            for (number, outcome) in record.outcomes where !outcome.isFinal {
                let past = try EnvelopeProgress(decoding: outcome.payload)
                progress[number] = past
                message.recipients[number]?.reply = past.reply
                guard let rerouting = past.rerouting else { continue }
                message.recipients[number]?.destination = rerouting.destination
                message.recipients[number]?.dispatch = rerouting.dispatch
            }
            // An administrator may bring the file back; when nobody does, the sender hears of it at the expiry.
            message.isBodyMissing = record.isBodyMissing
            enter(record.id, message, progress: progress)
            for (number, past) in progress { owe(EnvelopeID(record.id, number: number), past) }
            return message.recipients.count
        } catch {
            log.critical("spool: message \(record.id) cannot be read (\(error)) and stays where it is")
            unreadable[record.id] = Int(record.envelopeCount) - record.outcomes.values.count { $0.isFinal }
            return 0
        }
    }

    // What was decided before the last stop is carried out now.
    private func owe(_ id: EnvelopeID, _ past: EnvelopeProgress) {
        switch past.state {
        case .awaitingNotice, .expired:
            notices.report(.failed, id, past.reply ?? .expired)
        case .owesSuccess:
            guard let recipient = shelf.recipient(id) else { return }
            let isLocal = DeliveryClass(recipient.dispatch) == .local
            guard let reply = past.reply, notices.report(isLocal ? .delivered : .relayed, id, reply) else {
                return finish(id, isLocal ? .delivered : .relayed)
            }
        case .removing:
            _ = schedule.remove(.envelope(id), now: now)
            removed(id)
        case .waiting, .suspended, .held, .done:
            break
        }
    }

    /// A message of another queue is durable here.
    func imported(_ id: MessageID, _ message: StoredMessage, _ progress: [UInt32: EnvelopeProgress]) {
        history.accepted(id, message, at: SystemClock.now())
        enter(id, message, progress: progress)
        for (number, past) in progress {
            let envelope = EnvelopeID(id, number: number)
            record(envelope, past, durability: .lazy)
            owe(envelope, past)
        }
        plan()
    }

    // What is damaged on the disk is known here as long as this process lives, but for content.
    private func repair(_ position: SpoolPosition, _ envelope: UInt32?) {
        guard let id = shelf.ids.first(where: { shelf.position($0) == position }) else { return }
        guard let envelope else {
            // The attempt delivers what is still in memory, or tells the sender.
            _ = schedule.schedule(.message(id), now: now)
            return plan()
        }
        let found = EnvelopeID(id, number: envelope)
        guard let entry = schedule.entry(found) else { return }
        // What becomes of it is about to be recorded.
        if case .inFlight = entry.state { return }
        let state: EnvelopeProgress.State = entry.hasExpired ? .expired : .init(entry.state)
        record(found, dispatcher.progress(of: found, state), durability: .lazy)
    }

    /// The end of an envelope by an administrator.
    func removed(_ id: EnvelopeID) {
        guard let head = shelf.head(id.message), let recipient = shelf.recipient(id) else { return }
        log.info(
            "\(Self.endLine("Remove", id, head, recipient)), stat=Removed by administrator")
        ledger.remove(id)
        finish(id, .removed)
    }

    private static func endLine(
        _ word: String, _ id: EnvelopeID, _ head: Shelf.Head, _ recipient: StoredMessage.Recipient
    ) -> String {
        let name = DeliveryClass(recipient.dispatch) == .local ? "delivery" : "relay"
        let given = recipient.recipient == recipient.destination ? "-" : "\(recipient.recipient)"
        return "\(name): \(word) for \(id): from=<\(head.sender)>, to=<\(recipient.destination)>, rcpt=<\(given)>, "
            + "delay=\(SystemClock.now() - head.created)"
    }

    /// Keeps what became of an envelope, within a second where nothing else is said.
    func record(_ id: EnvelopeID, _ progress: EnvelopeProgress, durability: SpoolDurability? = nil) {
        var progress = progress
        if rerouted.contains(id), let recipient = shelf.recipient(id) {
            progress.rerouting = EnvelopeProgress.Rerouting(
                destination: recipient.destination, dispatch: recipient.dispatch)
        }
        write(id, progress.bytes, isFinal: false, durability)
    }

    private func write(_ id: EnvelopeID, _ payload: [UInt8], isFinal: Bool, _ durability: SpoolDurability?) {
        guard let position = shelf.position(id.message) else { return }
        if durability == nil { unwritten[id, default: 0] += 1 }
        spool.record(
            SpoolOutcome(message: position, envelope: id.number, payload: payload, isFinal: isFinal),
            durability: durability
                ?? .told { [weak self] in
                    if isFinal { self?.endsUnderWay -= 1 }
                    self?.written(id)
                })
    }

    /// Whether all that was recorded of an envelope would survive a crash.
    func isWritten(_ id: EnvelopeID) -> Bool { unwritten[id] == nil }

    private func written(_ id: EnvelopeID) {
        let left = unwritten[id, default: 1] - 1
        unwritten[id] = left > 0 ? left : nil
        if left == 0 { dispatcher.written(id) }
    }

    /// The end of an envelope: it is forgotten here, at the end of this turn, and on disk.
    func finish(_ id: EnvelopeID, _ end: EnvelopeEnd) {
        guard shelf.contains(id) else { return }
        endsUnderWay += 1
        write(id, [end.rawValue], isFinal: true, nil)
        history.ended(id, end, at: SystemClock.now())
        shelf.remove(id)
        rerouted.remove(id)
        plan()
    }

    func dropFinished() {
        for message in schedule.takeFinished() { finished.insert(message.id) }
        // A message stays readable until its last notice is written.
        for id in finished where !ledger.needs(id) {
            shelf.remove(id)
            finished.remove(id)
            if let record = late.removeValue(forKey: id) {
                _ = enter(record)
                plan()
            }
        }
    }

    private var finished: Set<MessageID> = []
    // Records of an envelope that are not on the disk yet.
    private var unwritten: [EnvelopeID: Int] = [:]
    /// Final outcomes that are not on the disk yet, and so not in its tally.
    private(set) var endsUnderWay = 0
    /// Whose action was changed since they came: every record of them says so.
    private var rerouted: Set<EnvelopeID> = []

    /// Has an envelope that is not in flight go another way, for good.
    func reroute(_ id: EnvelopeID, _ destination: Mailbox, _ dispatch: Dispatch) -> Bool {
        guard let recipient = shelf.recipient(id), let entry = schedule.entry(id) else { return false }
        if case .inFlight = entry.state { return false }
        guard recipient.dispatch != dispatch || recipient.destination != destination else { return false }
        shelf.setDispatch(id, destination, dispatch)
        rerouted.insert(id)
        _ = schedule.reroute(id, to: RouteKey(dispatch, to: destination), now: now)
        return true
    }

    // MARK: Turns

    /// Has a look at the schedule when this turn of the loop is over.
    func plan() {
        guard !isPumpPlanned else { return }
        isPumpPlanned = true
        Loop.atEndOfTurn { [weak self] in self?.pump() }
    }

    // In one turn of the loop.
    private static let mostExpired = 1000

    private func pump() {
        isPumpPlanned = false
        // What is due now is due again at the next start.
        guard !isDraining, isRecovered else { return timer.stop() }
        let now = now
        for id in schedule.expire(now: now, limit: Self.mostExpired) { expire(id) }
        dispatcher.dispatch(now: now)
        notices.inject(now: now)
        dropFinished()
        var next = dispatcher.mayDispatch ? schedule.nextDue(now: now) : nil
        if let notice = ledger.nextDue() { next = min(next ?? notice, notice) }
        guard let next else { return timer.stop() }
        let wait = max(1, next.milliseconds - now.milliseconds)
        timer.start(afterMilliseconds: UInt64(wait)) { [weak self] in self?.plan() }
    }

    private func expire(_ id: EnvelopeID) {
        guard let head = shelf.head(id.message), let recipient = shelf.recipient(id) else { return }
        log.info("\(Self.endLine("Expire", id, head, recipient)), stat=Envelope expired")
        counters.add("scheduler.envelope.expired")
        // The last reply says more to the sender than the fact that time has passed.
        notices.fail(id, recipient.reply.map { Reply.expired(after: $0) } ?? .expired, .expired)
    }

    private func drain(_ seconds: UInt32) {
        isDraining = true
        dispatcher.cancelAll()
        let deadline = Loop.milliseconds + UInt64(seconds) * 1000
        waitForEnd(until: deadline)
    }

    // What is in hand may end within the time; what does not is tried again by the next start.
    private func waitForEnd(until deadline: UInt64) {
        if (schedule.inFlightCount == 0 && intake.openTransactions == 0) || Loop.milliseconds >= deadline {
            keepTime()
            spool.close()
            Loop.stop()
            return
        }
        drainTimer.start(afterMilliseconds: 20) { [weak self] in self?.waitForEnd(until: deadline) }
    }
}

extension Reply {
    static let expired = Reply(554, EnhancedStatus(5, 4, 7), "Envelope expired")

    static func expired(after last: Reply) -> Reply {
        Reply(554, EnhancedStatus(5, 4, 7), "Envelope expired, the last try ended in: \(last)")
    }
}

extension QueueClock.Mark {
    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        age.encode(to: &bytes)
        wall.encode(to: &bytes)
        return bytes
    }

    init?(decoding bytes: [UInt8]) {
        var reader = WireReader(bytes, 0..<bytes.count)
        guard let age = try? reader.value(Int64.self), let wall = try? reader.value(Timestamp.self),
            reader.remaining == 0
        else { return nil }
        self.init(age: age, wall: wall)
    }
}
