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
    var messages: [MessageID: StoredMessage] = [:]
    var lifetimes: [String: Interval] = [:]
    var queueLifetime = Interval.days(4)

    private(set) lazy var intake = Intake(
        spool, isLive: { [unowned self] in messages[$0] != nil },
        accepted: { [unowned self] in accept($0, $1, session: $2) })
    private(set) lazy var dispatcher = Dispatcher(self)
    private(set) lazy var notices = NoticeDesk(self)
    private var desk: ControlDesk?
    private var spoolWatch: Watch?
    private let recovered: RecoveredSpool
    private let timer = Timer()
    private let drainTimer = Timer()
    private var isPumpPlanned = false
    private(set) var isDraining = false

    init(_ child: Child, _ opened: OpenedSpool) throws {
        self.child = child
        log = child.log
        spool = opened.spool
        recovered = opened.recovered
        guard let name = Domain(child.assignment.serverName) else {
            child.leave(because: "server name is no domain: \(child.assignment.serverName)")
        }
        serverName = name
        schedule = RunQueue()
        ledger = NoticeLedger()
        guard configure(child.assignment.configuration) else { child.leave(because: "configuration unreadable") }
    }

    /// Takes over a configuration, whole or not at all.
    private func configure(_ text: String) -> Bool {
        let parsed = ServerConfiguration.parse(Array(text.utf8), named: "queue", options: ParseOptions(.partial))
        guard let configuration = parsed.configuration else { return false }
        var limits = Limits()
        limits.scheduler.maxInflight = configuration.schedulerLimits.inFlight
        limits.local.maxSession = configuration.localLimits.sessions
        limits.local.maxSessionPerUser = configuration.localLimits.sessionsPerUser
        limits.relay.maxDeferred = configuration.deferredPerDomain
        schedule.apply(limits, now: now)
        schedule.warnIntervals = configuration.bounceWarnings
        ledger.timeToLive = configuration.queueLifetime
        queueLifetime = configuration.queueLifetime
        lifetimes = Dictionary(
            configuration.actions.compactMap { action in action.lifetime.map { (action.name, $0) } },
            uniquingKeysWith: { first, _ in first })
        return true
    }

    var now: Instant { Instant(milliseconds: Int64(clamping: Loop.milliseconds)) }

    func begin() throws {
        for report in recovered.reports { log.warning("spool: \(report)") }
        recover()
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
            desk = ControlDesk(descriptor, role: .queue) { [unowned self] in await answer($0) }
        }
        child.ready()
        plan()
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
                    }
                },
                ended: { [weak self] in self?.lookups[grant.generation] = nil })
        case .relay, .local:
            dispatcher.join(grant, descriptor)
        case .parent, .queue, .resolver, .keys, .account, .mailbox, .control:
            break
        }
    }

    private var lookups: [UInt32: Peer<LookupToQueue, QueueToLookup>] = [:]

    // MARK: The life of a message

    private func accept(_ id: MessageID, _ message: StoredMessage, session: SessionID) {
        for (number, recipient) in message.recipients.sorted(by: { $0.key < $1.key }) {
            log.info(
                "\(session) smtp envelope evpid=\(EnvelopeID(id, number: number)) from=<\(message.sender)> "
                    + "to=<\(recipient.destination)>")
        }
        enter(id, message, progress: [:])
        plan()
    }

    private func enter(_ id: MessageID, _ message: StoredMessage, progress: [UInt32: EnvelopeProgress]) {
        messages[id] = message
        let wall = SystemClock.now()
        let now = now
        var recipients: [QueuedRecipient] = []
        for (number, recipient) in message.recipients where progress[number]?.state != .owesSuccess {
            guard let route = message.route(number) else { continue }
            var queued = QueuedRecipient(number, route: route)
            queued.timeToLive = lifetimes[recipient.dispatch.action] ?? queueLifetime
            if let past = progress[number] {
                queued.attempts = Int(past.attempts)
                queued.lastTry = past.lastTry.map { Instant($0, wall: wall, now: now) }
                queued.lastWarning = past.lastWarning
                queued.state = past.state.queued
            }
            recipients.append(queued)
        }
        // What is there for a notice only is not in the schedule, and so not found by its end there.
        if recipients.isEmpty { finished.insert(id) }
        schedule.insert(
            QueuedMessage(
                id, position: message.position.sequenceNumber, size: message.size,
                created: Instant(message.created, wall: wall, now: now)), recipients, now: now)
    }

    private func recover() {
        var count = 0
        for record in recovered.messages {
            do {
                var message = try StoredMessage(record)
                var progress: [UInt32: EnvelopeProgress] = [:]
                for (number, outcome) in record.outcomes where !outcome.isFinal {
                    let past = try EnvelopeProgress(decoding: outcome.payload)
                    progress[number] = past
                    message.recipients[number]?.reply = past.reply
                }
                // An administrator may bring the file back; when nobody does, the sender hears of it at the expiry.
                message.isBodyMissing = record.isBodyMissing
                enter(record.id, message, progress: progress)
                count += message.recipients.count
                for (number, past) in progress { owe(EnvelopeID(record.id, number: number), past) }
            } catch {
                log.critical("spool: message \(record.id) cannot be read (\(error)) and stays where it is")
            }
        }
        if count > 0 { log.info("info: \(count) envelopes found in the spool") }
    }

    // What the sender was to be told before the last stop, he is told now.
    private func owe(_ id: EnvelopeID, _ past: EnvelopeProgress) {
        switch past.state {
        case .awaitingNotice:
            notices.report(.failed, id, past.reply ?? .expired)
        case .owesSuccess:
            guard let recipient = messages[id.message]?.recipients[id.number], let reply = past.reply else { return }
            notices.report(DeliveryClass(recipient.dispatch) == .local ? .delivered : .relayed, id, reply)
        case .waiting, .suspended, .held, .done:
            break
        }
    }

    /// Keeps what became of an envelope, within a second where nothing else is said.
    func record(_ id: EnvelopeID, _ progress: EnvelopeProgress, durability: SpoolDurability? = nil) {
        guard let position = messages[id.message]?.position else { return }
        let isFinal = progress.state == .done
        unwritten[id, default: 0] += durability == nil ? 1 : 0
        spool.record(
            SpoolOutcome(
                message: position, envelope: id.number, payload: isFinal ? [] : progress.bytes,
                isFinal: isFinal), durability: durability ?? .told { [weak self] in self?.written(id) })
        if isFinal { messages[id.message]?.recipients[id.number] = nil }
    }

    /// Whether all that was recorded of an envelope would survive a crash.
    func isWritten(_ id: EnvelopeID) -> Bool { unwritten[id] == nil }

    private func written(_ id: EnvelopeID) {
        let left = unwritten[id, default: 1] - 1
        unwritten[id] = left > 0 ? left : nil
        if left == 0 { dispatcher.written(id) }
    }

    /// The end of an envelope: it is forgotten here, at the end of this turn, and on disk.
    func finish(_ id: EnvelopeID) {
        record(id, EnvelopeProgress(.done))
        plan()
    }

    func dropFinished() {
        for message in schedule.takeFinished() { finished.insert(message.id) }
        // A message stays readable until its last notice is written.
        for id in finished where !ledger.needs(id) {
            messages[id] = nil
            finished.remove(id)
        }
    }

    private var finished: Set<MessageID> = []
    // Records of an envelope that are not on the disk yet.
    private var unwritten: [EnvelopeID: Int] = [:]

    // MARK: Turns

    /// Has a look at the schedule when this turn of the loop is over.
    func plan() {
        guard !isPumpPlanned else { return }
        isPumpPlanned = true
        Loop.atEndOfTurn { [weak self] in self?.pump() }
    }

    private func pump() {
        isPumpPlanned = false
        // What is due now is due again at the next start.
        guard !isDraining else { return timer.stop() }
        let now = now
        for id in schedule.expire(now: now, limit: 1000) { expire(id) }
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
        guard let message = messages[id.message], let recipient = message.recipients[id.number] else { return }
        let name = schedule.entry(id)?.route.deliveryClass == .local ? "delivery" : "relay"
        let delay = SystemClock.now() - message.created
        log.info(
            "\(name): Expire for \(id): from=<\(message.sender)>, to=<\(recipient.destination)>, "
                + "rcpt=<\(recipient.recipient == recipient.destination ? "-" : "\(recipient.recipient)")>, "
                + "delay=\(delay), stat=Envelope expired")
        counters.add("scheduler.envelope.expired")
        // The last reply says more to the sender than the fact that time has passed.
        notices.fail(id, recipient.reply.map { Reply.expired(after: $0) } ?? .expired)
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
