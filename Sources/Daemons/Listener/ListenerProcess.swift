// SPDX-License-Identifier: ISC

import Bytes
import Channel
import Configuration
import IPC
import Mail
import Posix
import Reactor
import SMTP
import TLS

/// One worker of the front door: takes clients, lets their sessions speak, and hands what they bring to Lookup and Queue.
final class ListenerProcess: DaemonProcess {
    // Descriptors that are not for clients: edges, sockets, the log, what the libraries hold.
    private static let reservedDescriptors = 64
    // Connections of one local user at a time; more would starve the others of this host.
    private static let submissionsPerUser = 32
    // A drain of no more seconds than this is the end of the server.
    private static let shortDrain: UInt32 = 60
    // RFC 5321 section 4.5.3.2.7 asks for at least 5 minutes.
    static let idleMilliseconds: UInt64 = 300_000

    let child: Child
    let log: Log
    let counters = Counters()
    let serverName: Domain
    private(set) var listeners: [ListenStatement] = []
    private(set) var settings: ServerSession.Settings
    let queue = QueueLink()
    let lookup = PeerSlot<LookupToListener, ListenerToLookup>()
    let names: NameCache
    private(set) var tls: ListenerTLS?
    var ledger = ClientLedger()
    private(set) var limits = SessionLimits()

    /// What holds for a session as long as it lasts; zero for no limit.
    struct SessionLimits {
        var sessionMilliseconds: UInt64 = 0
        var bytesPerSecond = 0
        /// Never zero.
        var graceMilliseconds: UInt64 = 60_000
    }

    private var acceptors: [Acceptor] = []
    private var desk: ControlDesk?
    private var sessions: [SessionID: SessionDriver] = [:]
    private var submissions: [UInt32: Int] = [:]
    private var isPaused = false
    private var isDraining = false

    init(_ child: Child) {
        // Clients tell this process their passwords.
        Memory.eraseWhatIsFreed()
        self.child = child
        log = child.log
        guard let name = Domain(child.assignment.serverName) else {
            child.leave(because: "server name is no domain: \(child.assignment.serverName)")
        }
        serverName = name
        settings = ServerSession.Settings(serverName: name)
        names = NameCache()
    }

    // The configuration writes 0 for none.
    private static func limit(_ number: Int) -> Int32 { number == 0 ? .max : Int32(clamping: number) }

    func begin() throws {
        let text = Array(child.assignment.configuration.utf8)
        let parsed = ServerConfiguration.parse(text, named: "listener", options: ParseOptions(.partial))
        guard let configuration = parsed.configuration else {
            child.leave(because: "configuration: \(parsed.errors.first.map { "\($0)" } ?? "unreadable")")
        }
        listeners = configuration.listeners
        settings.sizeLimit = configuration.smtp.largestMessage
        settings.maximumRecipients = configuration.smtp.recipientsPerMail
        settings.maximumMessages = configuration.smtp.mailsPerSession
        settings.maximumFailures = Self.limit(configuration.smtp.failuresPerSession)
        settings.maximumIdleCommands = Self.limit(configuration.smtp.idleCommandsPerSession)
        ledger.limits.sessions = configuration.smtp.sessions
        ledger.limits.sessionsPerSource = configuration.smtp.sessionsPerSource
        ledger.limits.sessionsPerNetwork = configuration.smtp.sessionsPerNetwork
        ledger.limits.connectionRate = configuration.smtp.connectionsPerMinute
        ledger.limits.messageRate = configuration.smtp.mailsPerMinute
        ledger.limits.recipientRate = configuration.smtp.recipientsPerMinute
        limits.sessionMilliseconds = UInt64(configuration.smtp.secondsPerSession) * 1000
        limits.bytesPerSecond = configuration.smtp.bytesPerSecond
        limits.graceMilliseconds = UInt64(max(1, configuration.smtp.secondsBeforeRate)) * 1000

        if listeners.contains(where: { $0.encryption != .none }) { tls = try ListenerTLS(child, configuration) }

        child.peerArrived = { [unowned self] grant, descriptor in join(grant, descriptor) }
        child.drained = { [unowned self] seconds in drain(seconds) }
        for (socket, held) in child.grants.sockets {
            guard let descriptor = held.take() else { continue }
            switch socket {
            case .listen(let statement):
                acceptors.append(
                    Acceptor(descriptor, exhausted: { [unowned self] in shed($0) }) { [unowned self] client, peer in
                        accept(client, peer, statement)
                    })
            case .submission:
                acceptors.append(
                    Acceptor(descriptor, exhausted: { [unowned self] in shed($0) }) { [unowned self] client, _ in
                        acceptLocal(client)
                    })
            case .control:
                desk = ControlDesk(descriptor, role: .listener) { [unowned self] in answer($0) }
            }
        }
        if child.assignment.paused.contains(.smtp) { pause() }
        child.ready()
    }

    private func join(_ grant: PeerGrant, _ descriptor: consuming FileDescriptor) {
        switch grant.role {
        case .lookup:
            lookup.set(
                child.edge(grant, descriptor, handle: { _, _, _ in }, ended: { [weak self] in self?.lookup.clear() }))
        case .resolver:
            names.resolver.set(
                child.edge(
                    grant, descriptor, handle: { _, _, _ in }, ended: { [weak self] in self?.names.resolver.clear() }))
        case .queue:
            queue.set(
                child.edge(
                    grant, descriptor,
                    handle: { [weak self] message, correlation, _ in self?.heard(message, correlation) },
                    ended: { [weak self] in self?.queue.clear() }))
        case .keys:
            guard let tls else { return }
            let edge: Peer<FromKeys, ToKeys> = child.edge(
                grant, descriptor, handle: { _, _, _ in }, ended: { [weak self] in self?.tls?.keys.slot.clear() })
            tls.keys.slot.set(edge)
            tls.check()
        case .parent, .listener, .relay, .local, .account, .mailbox, .control, .table:
            break
        }
    }

    private func heard(_ message: QueueToListener, _ correlation: Correlation) {
        switch message {
        case .ids(let ids):
            queue.add(ids)
        case .credit(let message, let bytes):
            queue.credit(message, bytes)
        case .inject(let recipient, let priority, let content):
            inject(recipient, priority, content, correlation)
        case .committed, .refused:
            // Only ever answers, which never arrive here.
            break
        }
    }

    // MARK: Clients

    private func accept(_ client: consuming FileDescriptor, _ peer: SocketAddress?, _ statement: UInt16) {
        guard Int(statement) < listeners.count, let peer else { return }
        guard sessions.count < sessionLimit else { return shed(client) }
        let listener = listeners[Int(statement)]
        var address: IPAddress?
        var localAddress: IPAddress?
        var localUser: UInt32?
        let kind: String
        switch peer {
        case .internet(let source, _):
            client.setNoDelay()
            address = source
            if listener.hostnames != nil, case .internet(let own, _)? = client.localAddress { localAddress = own }
            kind = source.family == .v4 ? "smtp.session.inet4" : "smtp.session.inet6"
        case .local:
            guard let credentials = try? client.peerCredentials() else { return }
            localUser = credentials.uid
            kind = "smtp.session.local"
        }
        let driver = SessionDriver(
            self, newSession(), stream: NetworkStream(Connection(client)), address: address, statement: statement,
            serverName: listener.hostname.flatMap { Domain($0) } ?? serverName, listener: listener)
        driver.localAddress = localAddress
        driver.localUser = localUser
        start(driver, counted: kind)
    }

    private func acceptLocal(_ client: consuming FileDescriptor) {
        guard let credentials = try? client.peerCredentials() else { return }
        let uid = credentials.uid
        guard submissions[uid, default: 0] < Self.submissionsPerUser, sessions.count < sessionLimit else {
            return shed(client)
        }
        submissions[uid, default: 0] += 1
        let statement = listeners.firstIndex { $0.endpoint == .socket }
        let driver = SessionDriver(
            self, newSession(), stream: NetworkStream(Connection(client)), address: nil,
            statement: statement.map { UInt16($0) }, serverName: serverName,
            listener: statement.map { listeners[$0] } ?? ListenStatement(.socket))
        driver.localUser = uid
        driver.isCountedForUser = true
        start(driver, counted: "smtp.session.local")
    }

    private func newSession() -> SessionID { SessionID(Randomness.integer()) }

    private var sessionLimit: Int { max(8, Int(child.assignment.descriptorLimit) - Self.reservedDescriptors) }

    private func start(_ driver: SessionDriver, counted name: String) {
        sessions[driver.number] = driver
        counters.add("smtp.session", 1)
        counters.add(name)
        Task { [self] in
            await driver.run()
            sessions[driver.number] = nil
            counters.add("smtp.session", -1)
            counters.add(name, -1)
            if driver.isCountedForUser, let uid = driver.localUser {
                submissions[uid, default: 1] -= 1
                if submissions[uid] == 0 { submissions[uid] = nil }
            }
            if isDraining, sessions.isEmpty { Loop.stop() }
        }
    }

    // Who cannot be served is told so at once instead of being left to wait.
    private func shed(_ client: consuming FileDescriptor?) {
        guard let client else { return }
        counters.add("smtp.session.shed")
        var bytes: [UInt8] = []
        Reply(421, EnhancedStatus(4, 3, 2), "\(serverName) Too many connections, try again later").write(to: &bytes)
        bytes.withUnsafeBytes { _ = FileDescriptor.send($0, on: client.number) }
    }

    // MARK: Notices

    private func inject(
        _ recipient: Mailbox, _ priority: MessageRequest.Priority?, _ content: [UInt8], _ correlation: Correlation
    ) {
        let stream = NoticeStream(recipient: recipient, priority: priority, content: content)
        let statement = listeners.firstIndex { $0.endpoint == .socket }
        var listener = statement.map { listeners[$0] } ?? ListenStatement(.socket)
        // Its message was allowed it.
        listener.takesPriority = true
        let driver = SessionDriver(
            self, newSession(), stream: stream, address: nil, statement: statement.map { UInt16($0) },
            serverName: serverName, listener: listener)
        let link = queue.peer
        Task {
            await driver.run()
            link?.answer(correlation, .injected(stream.result))
        }
    }

    // MARK: Orders

    private func answer(_ request: ControlRequest) -> [ControlAnswer] {
        switch request {
        case .showStatistics:
            return counters.answers
        case .showStatus:
            let state = isPaused ? "paused" : "running"
            return [.record([ControlField(name: "SMTP", value: .text(state))]), .done(count: 1)]
        case .pause(.smtp):
            guard !isPaused else { return [.failed("SMTP is already paused")] }
            pause()
            child.paused(.smtp, true)
            return [.done(count: 0)]
        case .resume(.smtp):
            guard isPaused else { return [.failed("SMTP is not paused")] }
            isPaused = false
            for acceptor in acceptors { acceptor.resume() }
            child.paused(.smtp, false)
            return [.done(count: 0)]
        case .verbose(let isVerbose):
            log.isVerbose = isVerbose
            return [.done(count: 0)]
        case .showDelivery, .queue, .pause, .resume, .stop, .reload, .updateTable,
            .explain, .showPlan, .lookUp:
            return [.failed("not held by the listener")]
        }
    }

    private func pause() {
        isPaused = true
        for acceptor in acceptors { acceptor.pause() }
    }

    // With little time the host is stopping, and idle clients are told so; with much time there is a new
    // configuration, and each session goes on to its own end under the old one.
    private func drain(_ seconds: UInt32) {
        isDraining = true
        acceptors = []
        if sessions.isEmpty { return Loop.stop() }
        if seconds <= Self.shortDrain {
            for session in sessions.values { session.endSoon() }
        }
        let timer = Timer()
        timer.start(afterMilliseconds: UInt64(seconds) * 1000) {
            _ = timer
            Loop.stop()
        }
    }
}
