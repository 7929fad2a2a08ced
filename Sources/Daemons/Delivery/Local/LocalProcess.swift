// SPDX-License-Identifier: ISC

import Bytes
import Channel
import Configuration
import IPC
import Mail
import Posix
import Reactor

/// Delivers to mailboxes: sorts by action and user, and feeds an agent of each user, who alone touches the mailbox; or
/// an LMTP server.
final class LocalProcess: DaemonProcess {
    // More agents than this are processes that mostly sleep.
    private static let mostAgents = 200

    let child: Child
    let serverName: Domain
    let queue: QueueLink
    let counters = Counters()
    let parent = PeerSlot<ParentToLocal, LocalToParent>()
    private var lines: [AgentLine.Key: AgentLine] = [:]
    private var servers: [LMTPLine.Key: LMTPLine] = [:]
    private var configuration: ServerConfiguration
    // Lines that have work and may not begin yet, oldest first.
    private var wanting: [AgentLine.Key] = []
    // Of these, the one whose turn it is.
    private var next: AgentLine.Key?
    private var sessions = 0
    // Lines that have work and may not have an agent yet, oldest first.
    private var starving: [AgentLine.Key] = []
    private var agents = 0
    private var desk: ControlDesk?

    init(_ child: Child) {
        self.child = child
        queue = QueueLink(child)
        let parsed = Self.parse(child.assignment.configuration)
        guard let configuration = parsed.configuration else {
            child.leave(because: "configuration: \(parsed.errors.first.map { "\($0)" } ?? "unreadable")")
        }
        guard let name = Domain(child.assignment.serverName) else {
            child.leave(because: "server name is no domain: \(child.assignment.serverName)")
        }
        self.configuration = configuration
        serverName = name
    }

    private static func parse(_ text: String) -> ParsedConfiguration {
        ServerConfiguration.parse(Array(text.utf8), named: "local", options: ParseOptions(.partial))
    }

    // Whole or not at all. Agents and connections of the old one end with what they have begun.
    private func reload(_ text: String) {
        guard let configuration = Self.parse(text).configuration else {
            return child.log.warning("local: the new configuration cannot be read; the old one stays")
        }
        self.configuration = configuration
        for line in Array(lines.values) { line.retire() }
        for server in Array(servers.values) { server.retire() }
        feedWanting()
    }

    func begin() throws {
        queue.wanted = { [unowned self] request, content in take(request, content) }
        queue.cancelled = { [unowned self] ids in
            for line in Array(lines.values) { line.drop(ids) }
            for server in servers.values { server.drop(ids) }
        }
        child.peerArrived = { [unowned self] grant, descriptor in join(grant, descriptor) }
        child.drained = { [unowned self] seconds in queue.drain(seconds) }
        child.reloaded = { [unowned self] _, text in reload(text) }
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
        case .agent, .connection, .refused:
            // Only ever answers, which never arrive here.
            break
        }
    }

    // MARK: Work

    private func take(_ request: DeliveryRequest, _ content: Content) {
        let beginning = content.beginning
        for work in request.recipients {
            guard case .local(let action, let user, let subaddress, let form) = work.dispatch else {
                decide(work, user: "", .failed(Reply(550, EnhancedStatus(5, 3, 5), "Not a local delivery")), nil)
                continue
            }
            let job = LocalJob(
                work: work, user: user, subaddress: subaddress, form: form, request: request.request, content: content)
            if LoopCheck.hasVisited(work.destination, beginning) {
                decide(job, .failed(Reply(554, EnhancedStatus(5, 4, 6), "Loop detected")), nil)
                continue
            }
            counters.add("mda.envelope")
            begin(job, action)
        }
    }

    private func begin(_ job: LocalJob, _ action: String) {
        let key = AgentLine.Key(action: action, user: job.user, kind: Self.kind(of: job.form))
        switch (job.form, method(of: action)) {
        case (.action, .lmtp(let destination, let recipient)):
            let isShared = (try? LMTPDestination(destination))?.isConstant ?? false
            let key = LMTPLine.Key(action: action, user: isShared ? nil : job.user)
            let server =
                servers[key]
                ?? LMTPLine(key, recipient, user: job.user, limit: configuration.localLimits.sessions, self)
            servers[key] = server
            server.add(job)
        case (.action, .command), (.forward, _), (.alias, _):
            line(key, .commands).add(job)
        case (.action, _):
            // An action that is gone has no agent either: Parent says so.
            line(key, .mailbox).add(job)
        }
    }

    private func method(of action: String) -> LocalAction.Method? {
        guard case .local(let local)? = configuration.action(named: action)?.kind else { return nil }
        return local.method
    }

    private func line(_ key: AgentLine.Key, _ pace: AgentLine.Pace) -> AgentLine {
        if let line = lines[key] { return line }
        let line = AgentLine(key, pace, limit: configuration.localLimits.sessionsPerUser, self)
        lines[key] = line
        return line
    }

    /// The old line has ended; what waits is done in the words of the configuration that is in force now.
    func renew(_ key: AgentLine.Key, waiting jobs: ArraySlice<LocalJob>) {
        lines[key] = nil
        for job in jobs { begin(job, key.action) }
    }

    /// The same for the connections to a server.
    func renew(_ key: LMTPLine.Key, waiting jobs: ArraySlice<LocalJob>) {
        servers[key] = nil
        for job in jobs { begin(job, key.action) }
    }

    func forget(_ key: LMTPLine.Key) { servers[key] = nil }

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

    // MARK: Sessions

    /// Whether the line may have one of the sessions; if not, it is told later.
    func takeSession(_ key: AgentLine.Key) -> Bool {
        // Whoever has just given one back comes behind those that wait.
        guard sessions < max(1, configuration.localLimits.sessions), wanting.isEmpty || next == key else {
            if !wanting.contains(key) { wanting.append(key) }
            return false
        }
        sessions += 1
        return true
    }

    var isSessionWanted: Bool { !wanting.isEmpty }

    func sessionReturned() {
        sessions -= 1
        // Not now: whoever gives it back has not come to its end yet.
        if !wanting.isEmpty { Loop.atEndOfTurn { [weak self] in self?.feedWanting() } }
    }

    private func feedWanting() {
        while !wanting.isEmpty, sessions < max(1, configuration.localLimits.sessions) {
            let key = wanting.removeFirst()
            next = key
            lines[key]?.pump()
        }
        next = nil
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

    /// The stream to an agent is closed: Parent sees to it that the agent goes. Without Parent it has gone already.
    func closed(_ key: AgentLine.Key, _ ending: AgentEnding) {
        parent.peer?.send(.closed(action: key.action, user: key.user, kind: key.kind, ending))
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
        case .showStatus, .showDelivery, .queue, .pause, .resume, .stop, .reload, .updateTable,
            .explain, .showPlan, .lookUp:
            return [.failed("not held by local delivery")]
        }
    }
}
