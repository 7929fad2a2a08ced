// SPDX-License-Identifier: ISC

import Channel
import IPC
import Mail
import Posix
import Reactor

/// One recipient for a mailbox.
struct LocalJob {
    let work: RecipientWork
    let user: String
    let subaddress: String?
    let form: LocalForm
    let request: MessageRequest
    let content: Content
}

/// The deliveries of one user by one action, and the agent that does them.
///
/// While it works, the line has one of the sessions of which the host has so many (`mda limit max-session`). It gives the
/// session back when it has nothing left, or after a turn when others wait for one.
final class AgentLine {
    struct Key: Hashable {
        let action: String
        let user: String
        let kind: AgentKind
    }

    /// What the agent does with a delivery.
    enum Pace {
        /// It writes files, several in one sync.
        case mailbox
        /// It runs a process for each.
        case commands
    }

    // So many deliveries are given at a time, so that the agent can sync them together.
    private static let mostUnderWay = 8
    // Deliveries of a line while others wait for a session.
    private static let turn = 32
    private static let mostUnsentBytes = 256 * 1024
    private static let idleMilliseconds: UInt64 = 30_000
    // Parent's word how an agent ended comes on another edge than its end.
    private static let statusMilliseconds: UInt64 = 1_000

    private enum Agent {
        case none
        case starting
        case running(Peer<MailboxToLocal, LocalToMailbox>)
        /// Its stream has ended, why is not known yet.
        case ended
    }

    private struct UnderWay {
        let job: LocalJob
        let deadline: UInt64
    }

    private let key: Key
    private let most: Int
    private unowned let process: LocalProcess
    private var hasSession = false
    private var given = 0
    // It was started for a configuration that is not in force any more.
    private var isStale = false
    private var agent = Agent.none
    private var session = SessionID(0)
    private var waiting: [LocalJob] = []
    private var waitingStart = 0
    private var underWay: [EnvelopeID: UnderWay] = [:]
    // The delivery whose content is being sent, and the rest of it.
    private var reader: Content.Reader?
    // What Parent allows it for a delivery.
    private var limitMilliseconds: UInt64 = 0
    private let deadlineTimer = Timer()
    private let idleTimer = Timer()
    private(set) var idleSince: UInt64 = 0

    /// `limit` is that of deliveries to one user at a time.
    init(_ key: Key, _ pace: Pace, limit: Int, _ process: LocalProcess) {
        self.key = key
        most =
            switch pace {
            case .mailbox: max(1, min(limit, Self.mostUnderWay))
            case .commands: max(1, limit)
            }
        self.process = process
    }

    var isIdle: Bool {
        guard case .running = agent else { return false }
        return underWay.isEmpty && waitingStart == waiting.count && reader == nil
    }

    private var hasWork: Bool { waitingStart < waiting.count }

    func add(_ job: LocalJob) {
        waiting.append(job)
        pump()
    }

    /// Drops recipients that had not begun.
    func drop(_ ids: Set<EnvelopeID>) {
        waiting = waiting[waitingStart...].filter { !ids.contains($0.work.id) }
        waitingStart = 0
        guard !hasWork else { return }
        switch agent {
        case .none: pump()
        case .running where isIdle: becomeIdle()
        case .running, .starting, .ended: break
        }
    }

    /// Starts an agent when there is none, and gives it as much as it may have.
    func pump() {
        switch agent {
        case .none:
            guard hasWork else {
                giveSessionBack()
                return process.forget(key)
            }
            guard !isStale else { return process.renew(key, waiting: takeAll()) }
            guard mayWork, process.mayStart(key) else { return }
            agent = .starting
            session = SessionID(Randomness.integer())
            Task { await start() }
        case .starting, .ended:
            break
        case .running(let peer):
            guard !isStale else { return leaveWhenDone() }
            guard hasWork || reader != nil, mayWork else { return }
            feed(peer)
        }
    }

    // MARK: Sessions

    private var mayWork: Bool {
        if hasSession { return true }
        guard process.takeSession(key) else { return false }
        hasSession = true
        given = 0
        return true
    }

    private func giveSessionBack() {
        guard hasSession else { return }
        hasSession = false
        process.sessionReturned()
    }

    private func takeAll() -> ArraySlice<LocalJob> {
        let jobs = waiting[waitingStart...]
        waiting = []
        waitingStart = 0
        return jobs
    }

    /// Another configuration is in force: the agent ends what it has begun, and the next one is told the new words.
    func retire() {
        isStale = true
        leaveWhenDone()
    }

    private func leaveWhenDone() {
        switch agent {
        case .none: pump()
        case .starting, .ended: break
        case .running(let peer):
            if reader != nil { return feed(peer) }
            guard underWay.isEmpty else { return }
            peer.close()
            process.closed(key, .leaving)
            idleTimer.stop()
            deadlineTimer.stop()
            agent = .none
            process.released(key)
            giveSessionBack()
            pump()
        }
    }

    private func start() async {
        do {
            let wanted = LocalToParent.agent(action: key.action, user: key.user, kind: key.kind)
            let answer = try await process.parent.current().requestDescriptor(wanted)
            let message = answer.message
            let stream = answer.takeDescriptor()
            switch message {
            case .agent(let limit):
                guard let stream else { return refused(.deferred(.noAgent)) }
                limitMilliseconds = limit
                run(stream)
            case .refused(let outcome):
                refused(outcome)
            case .connection, .exited:
                refused(.deferred(.noAgent))
            }
        } catch {
            refused(.deferred(.noAgent))
        }
    }

    private func run(_ stream: consuming FileDescriptor) {
        try? stream.setNonblocking()
        let peer = Peer<MailboxToLocal, LocalToMailbox>(
            stream, greeting: EdgeGreeting(role: .local, generation: process.child.assignment.generation),
            expecting: .mailbox,
            handle: { [unowned self] message, _, _ in heard(message) },
            ended: { [unowned self] _ in streamEnded() })
        peer.drained = { [weak self] in self?.pump() }
        agent = .running(peer)
        if isIdle { becomeIdle() }
        pump()
    }

    private func refused(_ outcome: DeliveryOutcome) {
        agent = .none
        for job in takeAll() { process.decide(job, outcome, session) }
        process.forget(key)
        process.released(key)
        giveSessionBack()
    }

    // MARK: Feeding

    private func feed(_ peer: Peer<MailboxToLocal, LocalToMailbox>) {
        while peer.isOpen, peer.unsent <= Self.mostUnsentBytes {
            if reader != nil {
                guard sendSlice(peer) else { return }
                continue
            }
            guard !isStale, underWay.count < most else { return }
            // The others have their turn, too; what is under way ends first.
            guard given < Self.turn || !process.isSessionWanted, let job = nextJob() else { return }
            given += 1
            idleTimer.stop()
            let id = job.work.id
            underWay[id] = UnderWay(job: job, deadline: Loop.milliseconds + limitMilliseconds)
            if !deadlineTimer.isRunning { planDeadline() }
            peer.send(
                .deliver(
                    MailboxDelivery(
                        id: id, sender: job.work.sender, recipient: job.work.recipient,
                        destination: job.work.destination, subaddress: job.subaddress, form: job.form,
                        created: job.work.created, isBinary: job.request.body == .binaryMIME, length: job.content.length
                    )))
            reader = Content.Reader(job.content)
        }
    }

    private func nextJob() -> LocalJob? {
        while waitingStart < waiting.count {
            let job = waiting[waitingStart]
            waitingStart += 1
            if waitingStart == waiting.count {
                waiting.removeAll(keepingCapacity: true)
                waitingStart = 0
            }
            if process.queue.begin(job.work.id) { return job }
        }
        return nil
    }

    /// False when the agent had to be given up.
    private func sendSlice(_ peer: Peer<MailboxToLocal, LocalToMailbox>) -> Bool {
        do {
            if let slice = try reader?.next() {
                peer.send(.content(slice))
            } else {
                reader = nil
            }
            return true
        } catch {
            // The agent waits for bytes that cannot be had: only its end takes the delivery back.
            process.child.log.warning("content of a message cannot be read: \(error)")
            stop(because: "content not available", .leaving)
            return false
        }
    }

    private func heard(_ message: MailboxToLocal) {
        switch message {
        case .outcome(let id, let outcome):
            guard let done = underWay.removeValue(forKey: id) else { return }
            process.decide(done.job, Self.outcome(outcome), session)
            if isStale { return leaveWhenDone() }
            if underWay.isEmpty, reader == nil, given >= Self.turn, process.isSessionWanted { giveSessionBack() }
            if isIdle { becomeIdle() } else { pump() }
        }
    }

    private static func outcome(_ outcome: MailboxOutcome) -> DeliveryOutcome {
        switch outcome {
        case .delivered: .delivered(Reply(250, EnhancedStatus(2, 0, 0), "Delivered"), reportsItself: false)
        case .deferred(let text): .deferred(Reply(451, EnhancedStatus(4, 2, 0), text))
        case .failed(let text): .failed(Reply(550, EnhancedStatus(5, 2, 0), text))
        }
    }

    // MARK: The end of an agent

    private func becomeIdle() {
        giveSessionBack()
        idleSince = Loop.milliseconds
        deadlineTimer.stop()
        idleTimer.start(afterMilliseconds: Self.idleMilliseconds) { [weak self] in self?.close() }
        process.becameIdle()
    }

    /// Ends the agent, which has nothing to do.
    func close() {
        guard isIdle, case .running(let peer) = agent else { return }
        peer.close()
        process.closed(key, .leaving)
        idleTimer.stop()
        agent = .none
        process.forget(key)
        process.released(key)
    }

    private func planDeadline() {
        guard let next = underWay.values.map(\.deadline).min() else { return }
        let now = Loop.milliseconds
        deadlineTimer.start(afterMilliseconds: next > now ? next - now : 0) { [weak self] in
            guard let self else { return }
            guard underWay.values.contains(where: { $0.deadline <= Loop.milliseconds }) else { return planDeadline() }
            stop(because: "timeout", .hung)
        }
    }

    private func streamEnded() {
        deadlineTimer.stop()
        // Whoever closes its stream or says nonsense has not ended by that.
        process.closed(key, .leaving)
        agent = .ended
        idleTimer.start(afterMilliseconds: Self.statusMilliseconds) { [weak self] in self?.giveUp("no status") }
    }

    /// Parent says how an agent of this line ended.
    func exited(_ status: String) {
        switch agent {
        case .ended: giveUp(status)
        case .none, .starting, .running: break
        }
    }

    /// Ends the agent although deliveries are under way.
    private func stop(because reason: String, _ ending: AgentEnding) {
        guard case .running(let peer) = agent else { return }
        peer.close()
        process.closed(key, ending)
        giveUp(reason)
    }

    private func giveUp(_ status: String) {
        idleTimer.stop()
        deadlineTimer.stop()
        agent = .none
        reader = nil
        let lost = underWay.values
        underWay = [:]
        let outcome = DeliveryOutcome.deferred(Reply(451, EnhancedStatus(4, 3, 0), "Mailbox agent ended: \(status)"))
        for entry in lost { process.decide(entry.job, outcome, session) }
        process.released(key)
        giveSessionBack()
        pump()
    }
}

extension Reply {
    fileprivate static let noAgent = Reply(451, EnhancedStatus(4, 3, 0), "No mailbox agent can be started")
}
