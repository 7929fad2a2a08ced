// SPDX-License-Identifier: ISC

import Bytes
import Channel
import Configuration
import Glibc
import IPC
import Mail
import Posix
import Reactor
import SMTP
import Schedule
import TLS

/// One connection of a route, from the search for a host that answers to the last message.
final class RelaySession {
    private static let connectMilliseconds: UInt64 = 30_000
    // Sources of one action that are asked for until one has the family of a host.
    private static let mostSources = 8
    // RFC 5321 section 4.5.3.2 has 5 minutes for most commands, 10 for the end of data.
    private static let replyMilliseconds: UInt64 = 300_000
    private static let verdictMilliseconds: UInt64 = 600_000

    enum Stage: String {
        case searching, connecting, greeting, delivering, idle
    }

    let id = SessionID(Randomness.integer())
    let route: RelayRoute
    private let process: RelayProcess
    private let turn: Int
    private(set) var stage = Stage.searching
    /// The server has greeted us and taken our greeting.
    private(set) var isEstablished = false
    /// What it is connected to.
    private(set) var endpoint: Endpoint?
    private(set) var source: IPAddress?
    private(set) var group: RelayGroup?
    private var isEnding = false
    private var channel: TLSChannel?
    private(set) var messages = 0
    /// Addresses of the host at hand that have failed in this search.
    private var spent: Set<IPAddress> = []
    /// The hosts had failed before this search began.
    private var wasTroubled = false
    private var waiter: UnsafeContinuation<Void, Never>?
    private let idleTimer = Timer()

    init(_ route: RelayRoute, turn: Int) {
        self.route = route
        process = route.process
        self.turn = turn
    }

    /// Of the host that it is connected to.
    var address: IPAddress? { endpoint?.address }

    private enum Attempt {
        /// The dialogue has been had.
        case served
        case failed(String)
        /// The host is not to blame.
        case unable(String)
    }

    func enter(_ group: RelayGroup) {
        self.group = group
        group.enter()
    }

    func leaveGroup() {
        let left = group
        group = nil
        left?.leave()
    }

    func run() async {
        let endpoints: [Endpoint]
        switch await process.lookup.route(route.action, route.key, turn: turn) {
        case .outcome(let outcome): return route.unreachable(outcome, by: self)
        case .endpoints(let found): endpoints = found
        }
        guard route.found(endpoints, by: self) else { return }
        do {
            source = try await sourceAddress(for: endpoints)
        } catch {
            return route.unreachable(Self.deferred("Could not retrieve source address"), by: self)
        }
        var search = Search()
        wasTroubled = group?.concurrency.reason != nil
        for host in hosts(endpoints) {
            spent = []
            var isLeft = true
            // RFC 5321 section 5.1: each address of a host is tried. One that connects and refuses is only one of them.
            while isLeft {
                let candidates = host.filter { !spent.contains($0.address) && isUsable($0, &search) }
                guard !candidates.isEmpty else { break }
                stage = .connecting
                switch await attempt(candidates) {
                case .served: return
                case .failed(let reason): search.reason = reason
                case .unable(let reason):
                    search.reason = reason
                    isLeft = false
                }
            }
        }
        if let (address, reason) = search.full { return route.limited(at: address, because: reason) }
        if let (moment, reason) = search.early { return route.limited(until: moment, because: reason) }
        let reason = search.reason ?? search.blocked ?? "Address family mismatch on destination MXs"
        route.unreachable(Self.deferred(reason), by: self)
    }

    private static func deferred(_ text: String) -> DeliveryOutcome {
        .deferred(Reply(451, EnhancedStatus(4, 4, 1), text))
    }

    // A source of the family of a host, if there is one; they come round and round.
    private func sourceAddress(for endpoints: [Endpoint]) async throws -> IPAddress? {
        guard route.action.source != nil else { return nil }
        let families = Set(endpoints.map(\.address.family))
        var seen: [IPAddress] = []
        while true {
            guard case .source(let address) = try await process.tables.request(.source(action: route.key.action))
            else { throw PeerError.gone }
            guard let address, !families.contains(address.family) else { return address }
            guard !seen.contains(address), seen.count < Self.mostSources else { return address }
            seen.append(address)
        }
    }

    // MARK: Which host

    private struct Search {
        /// Why the last host that was tried failed.
        var reason: String?
        /// Why the first of those that are left alone for a while failed when it was tried.
        var blocked: String?
        var full: (IPAddress, String)?
        var early: (UInt64, String)?
    }

    /// The addresses of each host together, hosts of equal preference with the fewest connections first.
    private func hosts(_ endpoints: [Endpoint]) -> [[Endpoint]] {
        var hosts: [[Endpoint]] = []
        for endpoint in endpoints {
            if let last = hosts.last?.last, last.isSameHost(as: endpoint) {
                hosts[hosts.count - 1].append(endpoint)
            } else {
                hosts.append([endpoint])
            }
        }
        let now = process.now
        let ranked = hosts.enumerated().map { place, host in
            (
                preference: host.first?.preference ?? 0,
                connections: host.map { process.book.count(.host($0.address)) }.reduce(0, +), place: place,
                host: host
            )
        }.sorted { ($0.preference, $0.connections, $0.place) < ($1.preference, $1.connections, $1.place) }
        return ranked.map { item in
            let order = process.addresses.ordered(item.host.map(\.address), now: now)
            return order.compactMap { address in item.host.first { $0.address == address } }
        }
    }

    private func isUsable(_ endpoint: Endpoint, _ search: inout Search) -> Bool {
        if let source, source.family != endpoint.address.family { return false }
        if let entry = process.penalties.entry(endpoint, from: source), entry.until > Loop.milliseconds {
            // The reason is of use to whoever reads the bounce, and that we wait is of none. That of the best host.
            search.blocked = search.blocked ?? entry.reason
            return false
        }
        switch process.book.verdict(limits(endpoint), now: process.now) {
        case .free: return true
        case .full(let scope):
            search.full = (endpoint.address, "\(scope.limitName) \(route.key.domain)")
            return false
        case .early(let scope, let until):
            let moment = UInt64(clamping: until.milliseconds)
            if search.early.map({ moment < $0.0 }) ?? true { search.early = (moment, scope.delayName) }
            return false
        }
    }

    /// What a connection to the host counts for. A delay that is not written is kept only towards who has failed or
    /// said that he has had enough: who takes our mail need not be spared. What fails in this search does not count for the
    /// addresses that are still to be tried in it.
    private func limits(_ endpoint: Endpoint) -> [ConnectionBook.Limit] {
        let limits = route.limits
        let isTroubled =
            process.penalties.entry(endpoint, from: source) != nil || wasTroubled
        func delay(_ name: RelayLimits.Name) -> Interval {
            isTroubled || limits.written.contains(name) ? .seconds(Int64(limits[name])) : .seconds(0)
        }
        let relay = "\(route.key.action) \(route.key.domain)"
        return [
            .init(.host(endpoint.address), most: limits.connectionsPerHost, delay: delay(.hostDelay)),
            .init(
                .route(source: source, host: endpoint.address), most: limits.connectionsPerRoute,
                delay: delay(.routeDelay), pause: delay(.routeReconnectionDelay)),
            .init(.source(source), most: limits.connectionsPerSource, delay: delay(.sourceDelay)),
            .init(
                .connector(relay: relay, source: source), most: limits.connectionsPerConnector,
                delay: delay(.connectorDelay)),
            .init(.relay(relay), most: limits.connectionsPerRelay, delay: delay(.relayDelay)),
            .init(.domain(route.key.domain), most: limits.connectionsPerDomain, delay: delay(.domainDelay)),
        ]
    }

    // MARK: One host

    private func attempt(_ candidates: [Endpoint]) async -> Attempt {
        let credentials: RelayCredentials?
        switch await self.credentials(for: candidates.first?.label) {
        case .found(let found): credentials = found
        case .missing(let reason): return unable(reason)
        }
        var opened: [Int: [ConnectionBook.Limit]] = [:]
        var reason = "Network error on destination MXs"
        func close(_ index: Int) {
            guard let limits = opened.removeValue(forKey: index) else { return }
            process.book.close(limits, now: process.now)
            process.roomMade(at: candidates[index].address)
        }
        defer { for index in Array(opened.keys) { close(index) } }
        let race = DialRace(
            candidates.map { .internet($0.address, port: $0.port) }, from: source,
            timeoutMilliseconds: Self.connectMilliseconds,
            began: { [self] index in
                let endpoint = candidates[index]
                opened[index] = limits(endpoint)
                process.book.open(limits(endpoint), now: process.now)
                process.child.log.info("\(id) mta connecting address=\(endpoint.description) host=\(endpoint.name)")
            },
            lost: { [self] index, error in
                process.addresses.failed(candidates[index].address, now: process.now)
                close(index)
                guard let error else { return }
                spent.insert(candidates[index].address)
                process.child.log.info("\(id) mta error reason=\(VisibleText("\(error)"))")
                reason = "Network error on destination MXs: \(error)"
                penalize(candidates[index], because: reason)
            })
        guard let winner = await race.run(), let descriptor = winner.descriptor.take() else {
            // All of them have failed, whatever each has said.
            spent.formUnion(candidates.map(\.address))
            return .failed(reason)
        }
        let endpoint = candidates[winner.index]
        // What an address before this one agreed to protects nothing here.
        channel = nil
        spent.insert(endpoint.address)
        self.endpoint = endpoint
        stage = .greeting
        process.addresses.answered(endpoint.address, now: process.now)
        process.child.log.info("\(id) mta connected")
        let local: IPAddress? =
            switch descriptor.localAddress {
            case .internet(let address, _): address
            case .local, nil: nil
            }
        let connection = Connection(descriptor)
        defer { connection.close() }
        let result = await serve(connection, endpoint, local, credentials)
        self.endpoint = nil
        if case .failed(let reason) = result { penalize(endpoint, because: reason) }
        return result
    }

    private enum Credentials {
        case found(RelayCredentials?)
        case missing(String)
    }

    // Before anything is connected: a mistake of the configuration is no burden for the host. They are asked for each
    // time, so that a new password is used as soon as the table has it, and kept by nobody here.
    private func credentials(for label: String?) async -> Credentials {
        guard let label else { return .found(nil) }
        guard route.action.credentials != nil else { return .missing("No auth table for relay") }
        let question = RelayToLookup.credentials(action: route.key.action, label: label)
        guard case .credentials(let found?)? = try? await process.tables.request(question) else {
            return .missing("Could not retrieve credentials for \(VisibleText(label))")
        }
        return .found(found)
    }

    private func serve(
        _ connection: Connection, _ endpoint: Endpoint, _ local: IPAddress?, _ credentials: RelayCredentials?
    ) async -> Attempt {
        guard let name = await greetingName(local) else { return unable("Could not retrieve helo name") }
        let dialogue = RelayDialogue(self, connection, endpoint, name: name, source: local?.hostText ?? "-")
        dialogue.credentials = credentials
        let ending = await dialogue.run()
        if let channel { process.tls.keepSession(of: channel, endpoint, route.action) }
        if let error = dialogue.error { process.child.log.info("\(id) mta error reason=\(VisibleText(error))") }
        if dialogue.rejectsAllMessages { process.child.log.info("\(id) mta host-rejects-all-mails") }
        process.child.log.info("\(id) mta disconnected reason=\(ending) messages=\(messages)")
        return isEstablished ? .served : .failed(dialogue.error ?? "Network error on destination MXs")
    }

    // MARK: TLS

    enum Step {
        case startTLS
        case goOn
        /// The policy of the route cannot be kept; why.
        case stop(String)
    }

    /// What follows the greeting of a server that offers STARTTLS or not.
    func step(toward endpoint: Endpoint, offersTLS: Bool) -> Step {
        let now = Loop.milliseconds
        switch endpoint.security {
        case .none, .immediate: return .goOn
        case .required: return offersTLS ? .startTLS : .stop("TLS required but not supported by remote host")
        case .opportunistic:
            if offersTLS { return process.tls.memory.cannotDoTLS(endpoint, now: now) ? .goOn : .startTLS }
            return process.tls.memory.mustHaveTLS(endpoint, now: now)
                ? .stop("TLS was there before and is not offered now") : .goOn
        }
    }

    /// Goes on under TLS; why not, where that fails.
    func startTLS(_ connection: Connection, _ endpoint: Endpoint) async -> String? {
        do throws(TLSFault) {
            let channel = try await process.tls.connect(connection, to: endpoint, route.action)
            self.channel = channel
            process.hadTLS(endpoint)
            process.counters.add("mta.tls")
            let security = channel.security
            process.child.log.info("\(id) mta tls ciphers=\(security.version):\(security.cipher):\(security.bits)")
            if let fingerprint = channel.peerFingerprint {
                let result = if case .verified = security.clientCertificate { "valid" } else { "unverified" }
                process.child.log.info(
                    "\(id) mta cert-check result=\"\(result)\" fingerprint=\"SHA256:\(fingerprint)\"")
            }
            return nil
        } catch {
            refusedTLS(endpoint)
            return "TLS: \(error)"
        }
    }

    /// The server offered TLS and could not do it. This try ends here; a later one may do without where TLS was only
    /// a wish.
    func refusedTLS(_ endpoint: Endpoint) {
        if case .opportunistic = endpoint.security { process.tls.memory.failed(endpoint, now: Loop.milliseconds) }
    }

    private func unable(_ reason: String) -> Attempt {
        process.child.log.info("\(id) mta error reason=\(VisibleText(reason))")
        return .unable(reason)
    }

    private func penalize(_ endpoint: Endpoint, because reason: String) {
        group?.concurrency.refused(because: reason, now: process.now)
        let seconds = process.penalties.failed(
            endpoint, from: source, because: reason, now: Loop.milliseconds)
        process.child.log.info(
            "smtp-out: Disabling route \(source?.hostText ?? "[]") <-> \(endpoint.relayName) for \(seconds)s")
    }

    private func greetingName(_ local: IPAddress?) async -> Domain? {
        if route.action.heloSource != nil, let local {
            let wanted = RelayToLookup.heloName(action: route.key.action, source: local)
            guard case .heloName(let name)? = try? await process.tables.request(wanted) else { return nil }
            return name ?? process.serverName
        }
        if let text = route.action.helo { return Domain(text) }
        return process.serverName
    }

    // MARK: For the dialogue

    func establish(_ endpoint: Endpoint) {
        guard !isEstablished else { return }
        isEstablished = true
        stage = .delivering
        process.penalties.succeeded(endpoint, from: source)
        group?.succeeded(now: process.now)
        route.established()
    }

    /// The next message; nil when the session should end. Waits a little for one.
    func nextTask() async -> RelayTask? {
        guard messages < max(1, route.limits.mailsPerSession), !isEnding else { return nil }
        let pause = UInt64(route.limits.transactionDelay.seconds) * 1000
        if pause > 0, messages > 0 { await Loop.pause(milliseconds: pause) }
        if let task = route.take() { return task }
        guard !process.queue.isDraining, messages > 0, route.limits.keepAlive.seconds > 0, !isWantedByOthers
        else { return nil }
        stage = .idle
        await withUnsafeContinuation { continuation in
            waiter = continuation
            route.park(self)
            idleTimer.start(afterMilliseconds: UInt64(route.limits.keepAlive.seconds) * 1000) { [weak self] in
                guard let self else { return }
                route.unpark(self)
                wake()
            }
        }
        stage = .delivering
        return isEnding ? nil : route.take()
    }

    // A connection that waits for a message must not keep from another route what has one.
    private var isWantedByOthers: Bool {
        group?.isWanted == true || address.map(process.isRoomWanted(at:)) == true
    }

    /// Ends the wait for a message.
    func wake() {
        idleTimer.stop()
        let waiting = waiter
        waiter = nil
        waiting?.resume()
    }

    /// Ends the session instead, for one that needs its place.
    func endIdle() {
        isEnding = true
        wake()
    }

    func messageDone() { messages += 1 }

    func giveBack(_ task: RelayTask) { route.giveBack(task) }
    func goOn(with task: RelayTask) { route.goOn(with: task) }

    func decide(_ work: RecipientWork, _ outcome: DeliveryOutcome, source: String, relay: String) {
        switch outcome {
        case .delivered:
            group?.succeeded(now: process.now)
        case .deferred(let reply):
            if reply.asksForLess { group?.concurrency.refused(because: "\(reply)", now: process.now) }
        case .failed:
            break
        }
        process.decide(work, outcome, session: id, source: source, relay: relay)
    }

    /// The connection has ended against our wish, perhaps with a word why.
    func lost(_ reply: Reply) {
        if isEstablished, reply.asksForLess { group?.concurrency.refused(because: "\(reply)", now: process.now) }
    }

    func rewritten(_ sender: ReversePath) -> ReversePath { route.action.rewritten(sender) }

    var hasMessages: Bool { messages > 0 }
    var refusalLimit: Int { max(1, route.limits.failuresPerSession) }

    static var replyTimeout: UInt64 { replyMilliseconds }
    static var verdictTimeout: UInt64 { verdictMilliseconds }
}
