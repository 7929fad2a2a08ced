// SPDX-License-Identifier: ISC

import Channel
import Configuration
import IPC
import Mail
import Posix
import Reactor
import Schedule
import TLS

/// Delivers to other hosts: sorts by action and domain, and keeps the connections of each route.
final class RelayProcess: DaemonProcess {
    // Descriptors that are not for connections: edges, the log, bodies of messages.
    private static let reservedDescriptors = 128
    // Destinations that are remembered; more only while they are all in use.
    private static let mostGroups = 20_000
    private static let mostDomainStates = 20_000
    // The reference forgets what it knows of a host after four hours.
    private static let stateLifetime = Interval.hours(4)

    struct DomainState {
        let time: Timestamp
        let text: String
    }

    let child: Child
    let queue: QueueLink
    let counters = Counters()
    let serverName: Domain
    let tables = PeerSlot<LookupToRelay, RelayToLookup>()
    let lookup: RouteLookup
    let tls: RelayTLS
    var penalties = Penalties()
    var book = ConnectionBook()
    var addresses = AddressMemory()
    private var groups: [String: RelayGroup] = [:]
    // By the host whose limits they have met.
    private var waitingForRoom: [IPAddress: WaitingLine] = [:]
    private var domainStates: [String: DomainState] = [:]
    private var configuration: ServerConfiguration
    private var routes: [RouteKey: RelayRoute] = [:]
    private var turns: [String: Int] = [:]
    // Routes of a configuration that has been replaced; they end with their messages.
    private var retired: [RelayRoute] = []
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
        tls = RelayTLS(child)
        lookup = RouteLookup(
            configuration, ownName: name,
            ownAddresses: Set(child.assignment.localAddresses.compactMap { IPAddress($0) }), tables: tables)
        lookup.warn = { text in child.log.warning(text) }
    }

    func begin() throws {
        queue.wanted = { [unowned self] request, content in take(request, content) }
        queue.cancelled = { [unowned self] ids in
            for route in Array(routes.values) + retired { route.drop(ids) }
        }
        queue.forgetFailures = { [unowned self] in
            penalties = Penalties()
            for group in groups.values { group.concurrency = Concurrency() }
            for route in routes.values { route.retryNow() }
        }
        queue.protectedHosts = { [unowned self] hosts in
            let wall = SystemClock.now()
            for host in hosts {
                let left = UInt64(clamping: (host.until - wall).seconds) &* 1000
                tls.memory.restore(host.address, port: host.port, milliseconds: left, now: Loop.milliseconds)
            }
        }
        child.peerArrived = { [unowned self] grant, descriptor in join(grant, descriptor) }
        child.drained = { [unowned self] seconds in
            queue.drain(seconds)
            for route in Array(routes.values) + retired { route.wakeIdle() }
        }
        child.reloaded = { [unowned self] _, text in reload(text) }
        for (socket, held) in child.grants.sockets {
            guard let descriptor = held.take() else { continue }
            switch socket {
            case .control: desk = ControlDesk(descriptor, role: .relay) { [unowned self] in answer($0) }
            case .listen, .submission: break
            }
        }
        child.ready()
    }

    private static func parse(_ text: String) -> ParsedConfiguration {
        ServerConfiguration.parse(Array(text.utf8), named: "relay", options: ParseOptions(.partial))
    }

    // Whole or not at all: what waits goes on as it was begun.
    private func reload(_ text: String) {
        guard let configuration = Self.parse(text).configuration else {
            return child.log.warning("relay: the new configuration cannot be read; the old one stays")
        }
        self.configuration = configuration
        lookup.configuration = configuration
    }

    private func join(_ grant: PeerGrant, _ descriptor: consuming FileDescriptor) {
        switch grant.role {
        case .queue:
            queue.join(grant, descriptor)
        case .resolver:
            lookup.resolver.set(
                child.edge(
                    grant, descriptor, handle: { _, _, _ in },
                    ended: { [weak self] in self?.lookup.resolver.clear() }))
        case .lookup:
            tables.set(
                child.edge(
                    grant, descriptor, handle: { _, _, _ in }, ended: { [weak self] in self?.tables.clear() }))
        case .keys:
            let edge: Peer<FromKeys, ToKeys> = child.edge(
                grant, descriptor, handle: { _, _, _ in }, ended: { [weak self] in self?.tls.keys.slot.clear() })
            tls.keys.slot.set(edge)
        case .parent, .listener, .relay, .local, .account, .mailbox, .control, .table:
            break
        }
    }

    // MARK: Work

    private func take(_ request: DeliveryRequest, _ content: Content) {
        let forwarded = Set(request.recipients.compactMap(forwardedSender))
        guard !forwarded.isEmpty else { return take(request, content, senders: [:]) }
        Task {
            var senders: [ForwardedSender: ReversePath] = [:]
            for sender in forwarded {
                guard case .forwarded(let answer)? = try? await tables.request(sender.question) else { continue }
                senders[sender] = .mailbox(answer ?? sender.sender)
            }
            take(request, content, senders: senders)
        }
    }

    private func forwardedSender(of work: RecipientWork) -> ForwardedSender? {
        guard case .relay(let name) = work.dispatch,
            case .relay(let action)? = configuration.action(named: name)?.kind
        else { return nil }
        return ForwardedSender(work, by: name, action)
    }

    private func take(_ request: DeliveryRequest, _ content: Content, senders: [ForwardedSender: ReversePath]) {
        struct Group: Hashable {
            let key: RouteKey
            let sender: ReversePath
        }
        var groups: [Group: [RecipientWork]] = [:]
        // Some may have been cancelled while their senders were rewritten.
        for work in request.recipients where queue.isKnown(work.id) {
            guard case .relay(let name) = work.dispatch,
                case .relay(let action)? = configuration.action(named: name)?.kind
            else {
                // The envelope is older than the configuration; an administrator can bring the action back.
                decide(
                    work, .deferred(Reply(451, EnhancedStatus(4, 3, 5), "No relay action of that name")), session: nil)
                continue
            }
            counters.add("mta.envelope")
            var sender = work.sender
            if let forwarded = ForwardedSender(work, by: name, action) {
                guard let rewritten = senders[forwarded] else {
                    decide(
                        work, .deferred(Reply(451, EnhancedStatus(4, 3, 0), "Could not rewrite the sender")),
                        session: nil)
                    continue
                }
                sender = rewritten
            }
            let group = Group(key: Self.key(name, action, work.destination), sender: sender)
            groups[group, default: []].append(work)
        }
        for (group, recipients) in groups {
            counters.add("mta.task")
            let task = RelayTask(request.message, request.request, sender: group.sender, recipients, content)
            route(group.key)?.add(task)
        }
    }

    private static func key(_ name: String, _ action: RelayAction, _ destination: Mail.Mailbox) -> RouteKey {
        switch action.destination {
        case .mailExchangers, .backup, .domain: RouteKey(action: name, domain: destination.domain.canonical)
        case .host: RouteKey(action: name, domain: "")
        }
    }

    /// How many connections the action had before: its hosts are used round and round, whichever route is alive.
    func takeTurn(of action: String) -> Int {
        defer { turns[action, default: 0] += 1 }
        return turns[action, default: 0]
    }

    private func route(_ key: RouteKey) -> RelayRoute? {
        guard case .relay(let action)? = configuration.action(named: key.action)?.kind else { return nil }
        let limits = configuration.relayLimits(forDomain: key.domain)
        if let route = routes[key] {
            if route.action == action, route.limits == limits { return route }
            retired.append(route)
            route.wakeIdle()
        }
        let route = RelayRoute(key, action, limits, self)
        routes[key] = route
        counters.set("mta.relay", Int64(routes.count))
        return route
    }

    func forget(_ route: RelayRoute) {
        retired.removeAll { $0 === route }
        if routes[route.key] === route { routes[route.key] = nil }
        counters.set("mta.relay", Int64(routes.count))
    }

    func decide(
        _ work: RecipientWork, _ outcome: DeliveryOutcome, session: SessionID?, source: String = "-",
        relay: String = "-"
    ) {
        guard queue.decide(work.id, outcome) else { return }
        noteState(of: work.destination.domain.canonical, outcome)
        let id = session ?? SessionID(Randomness.integer())
        child.log.info(
            DeliveryLine.relay(id, work, source: source, relay: relay, outcome, now: SystemClock.now()))
    }

    /// The handshake went well: from now on the host must have TLS, also after a restart.
    func hadTLS(_ endpoint: Endpoint) {
        guard tls.memory.succeeded(endpoint, now: Loop.milliseconds) else { return }
        let until = SystemClock.now() + .seconds(Int64(SecurityMemory.trustedMilliseconds / 1000))
        queue.remember(ProtectedHost(address: endpoint.address, port: endpoint.port, until: until))
    }

    // MARK: Limits

    var mayConnect: Bool {
        Int(counters["mta.session"]) < max(8, Int(child.assignment.descriptorLimit) - Self.reservedDescriptors)
    }

    var now: Instant { Instant(milliseconds: Int64(clamping: Loop.milliseconds)) }

    /// A host has as many connections as it may have: the route has the next that becomes free.
    func waitForRoom(_ route: RelayRoute, at address: IPAddress) {
        waitingForRoom[address, default: WaitingLine()].append(route)
        endIdle { $0.address == address }
    }

    func isRoomWanted(at address: IPAddress) -> Bool { waitingForRoom[address] != nil }

    /// A connection to the host has ended: whoever has waited longest for that is next.
    func roomMade(at address: IPAddress) {
        while let route = waitingForRoom[address]?.popFirst() {
            if waitingForRoom[address]?.isEmpty == true { waitingForRoom[address] = nil }
            if route.isLimited { return route.retryNow() }
        }
    }

    /// Ends one connection that waits for a message, for the sake of others.
    func endIdle(_ isMeant: (RelaySession) -> Bool) {
        for route in allRoutes where route.endIdle(isMeant) { return }
    }

    func group(of endpoints: [Endpoint]) -> RelayGroup {
        let name = RelayGroup.name(of: endpoints)
        if let group = groups[name] { return group }
        if groups.count >= Self.mostGroups { groups = groups.filter { !$0.value.isForgotten(now: now) } }
        let group = RelayGroup(name)
        groups[name] = group
        return group
    }

    // MARK: Views

    var allRoutes: [RelayRoute] { Array(routes.values) + retired }
    var allGroups: [RelayGroup] { Array(groups.values) }

    private func noteState(of domain: String, _ outcome: DeliveryOutcome) {
        let time = SystemClock.now()
        if domainStates.count >= Self.mostDomainStates {
            domainStates = domainStates.filter { $0.value.time + Self.stateLifetime > time }
            if domainStates.count >= Self.mostDomainStates { domainStates.removeAll() }
        }
        domainStates[domain] = DomainState(time: time, text: "\(outcome.reply)")
    }

    /// The last word of each domain, of those heard within the last hours.
    var recentStates: [(domain: String, state: DomainState)] {
        let time = SystemClock.now()
        return domainStates.filter { $0.value.time + Self.stateLifetime > time }
            .map { (domain: $0.key, state: $0.value) }.sorted { $0.domain < $1.domain }
    }

    // MARK: Orders

    private func countObjects() {
        var hosts = 0, sources = 0, connectors = 0, domains = 0, routes = 0
        for (scope, line) in book.lines where line.count > 0 {
            switch scope {
            case .host: hosts += 1
            case .source: sources += 1
            case .connector: connectors += 1
            case .domain: domains += 1
            case .route: routes += 1
            case .relay: break
            }
        }
        counters.set("mta.host", Int64(hosts))
        counters.set("mta.source", Int64(sources))
        counters.set("mta.connector", Int64(connectors))
        counters.set("mta.domain", Int64(domains))
        counters.set("mta.route", Int64(routes))
    }

    private func answer(_ request: ControlRequest) -> [ControlAnswer] {
        switch request {
        case .showStatistics:
            countObjects()
            counters.set("mta.task.running", Int64(queue.ledger.begunCount))
            return counters.answers
        case .showDelivery(let view):
            return RelayView(self).answers(view)
        case .verbose(let isVerbose):
            child.log.isVerbose = isVerbose
            return [.done(count: 0)]
        case .showStatus, .queue, .pause, .resume, .stop, .reload, .updateTable, .explain, .showPlan, .lookUp:
            return [.failed("not held by relay delivery")]
        }
    }
}
