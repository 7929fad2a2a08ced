// SPDX-License-Identifier: ISC

import Bytes
import Channel
import IPC
import Mail
import Posix
import Reactor

/// Delivers to mailboxes: sorts by action and user, and feeds an agent of each user, who alone touches the mailbox.
final class LocalProcess: DaemonProcess {
    // More agents than this are processes that mostly sleep.
    private static let mostAgents = 200

    let child: Child
    let queue: QueueLink
    let counters = Counters()
    let parent = PeerSlot<ParentToLocal, LocalToParent>()
    private var lines: [AgentLine.Key: AgentLine] = [:]
    // Lines that have work and may not have an agent yet, oldest first.
    private var starving: [AgentLine.Key] = []
    private var agents = 0
    private var desk: ControlDesk?

    init(_ child: Child) {
        self.child = child
        queue = QueueLink(child)
    }

    func begin() throws {
        queue.wanted = { [unowned self] request, content in take(request, content) }
        child.peerArrived = { [unowned self] grant, descriptor in join(grant, descriptor) }
        child.drained = { [unowned self] seconds in queue.drain(seconds) }
        for (socket, held) in child.grants.sockets {
            guard let descriptor = held.take() else { continue }
            switch socket {
            case .control: desk = ControlDesk(descriptor, role: .local) { [unowned self] in answer($0) }
            case .listen, .submission: break
            }
        }
        child.ready()
    }

    private func join(_ grant: PeerGrant, _ descriptor: consuming FileDescriptor) {
        switch grant.role {
        case .queue:
            queue.join(grant, descriptor)
        case .parent:
            parent.set(
                child.edge(
                    grant, descriptor, handle: { [weak self] message, _, _ in self?.heard(message) },
                    ended: { [weak self] in self?.parent.clear() }))
        case .listener, .lookup, .resolver, .relay, .local, .keys, .account, .mailbox, .control, .table:
            break
        }
    }

    private func heard(_ message: ParentToLocal) {
        switch message {
        case .exited(let action, let user, let kind, let status):
            lines[AgentLine.Key(action: action, user: user, kind: kind)]?.exited(status)
        case .agent, .refused:
            // Only ever answers, which never arrive here.
            break
        }
    }

    // MARK: Work

    private func take(_ request: DeliveryRequest, _ content: Content) {
        var reader = Content.Reader(content)
        let beginning = try? reader.next()
        for work in request.recipients {
            guard case .local(let action, let user, let subaddress, let form) = work.dispatch else {
                decide(work, user: "", .failed(Reply(550, EnhancedStatus(5, 3, 5), "Not a local delivery")), nil)
                continue
            }
            let job = LocalJob(work: work, user: user, subaddress: subaddress, form: form, content: content)
            if LoopCheck.hasVisited(work.destination, beginning ?? []) {
                decide(job, .failed(Reply(554, EnhancedStatus(5, 4, 6), "Loop detected")), nil)
                continue
            }
            counters.add("mda.envelope")
            let key = AgentLine.Key(action: action, user: user, kind: Self.kind(of: form))
            let line = lines[key] ?? AgentLine(key, self)
            lines[key] = line
            line.add(job)
        }
    }

    // What a ~/.forward says is read by its owner alone: whether a line there is a command or a file, nobody knows here.
    private static func kind(of form: LocalForm) -> AgentKind {
        switch form {
        case .action: .mailbox
        case .forward, .alias: .commands
        }
    }

    func decide(_ job: LocalJob, _ outcome: DeliveryOutcome, _ session: SessionID?) {
        decide(job.work, user: job.user, outcome, session)
    }

    private func decide(_ work: RecipientWork, user: String, _ outcome: DeliveryOutcome, _ session: SessionID?) {
        guard queue.decide(work.id, outcome) else { return }
        let id = session ?? SessionID(Randomness.integer())
        child.log.info(DeliveryLine.local(id, work, user: user, outcome, now: SystemClock.now()))
    }

    // MARK: Agents

    /// Whether one more agent may be started; if not, the line is told later.
    func mayStart(_ key: AgentLine.Key) -> Bool {
        if agents >= Self.mostAgents, let idle = lines.values.filter(\.isIdle).min(by: { $0.idleSince < $1.idleSince })
        {
            idle.close()
        }
        guard agents < Self.mostAgents else {
            if !starving.contains(key) { starving.append(key) }
            return false
        }
        agents += 1
        counters.set("mda.user", Int64(agents))
        return true
    }

    /// An agent has gone, or could not be had.
    func released(_ key: AgentLine.Key) {
        agents -= 1
        counters.set("mda.user", Int64(agents))
        feedStarving()
    }

    /// An agent has nothing to do and may give way.
    func becameIdle() {
        if !starving.isEmpty { feedStarving() }
    }

    /// A line that has neither work nor agent is forgotten.
    func forget(_ key: AgentLine.Key) { lines[key] = nil }

    private func feedStarving() {
        while !starving.isEmpty {
            guard let line = lines[starving.removeFirst()] else { continue }
            return line.pump()
        }
    }

    private func answer(_ request: ControlRequest) -> [ControlAnswer] {
        switch request {
        case .showStatistics:
            counters.set("mda.pending", Int64(queue.ledger.waitingCount))
            counters.set("mda.running", Int64(queue.ledger.begunCount))
            return counters.answers
        case .verbose(let isVerbose):
            child.log.isVerbose = isVerbose
            return [.done(count: 0)]
        case .showStatus, .queue, .pause, .resume, .stop, .reload, .updateTable:
            return [.failed("not held by local delivery")]
        }
    }
}
