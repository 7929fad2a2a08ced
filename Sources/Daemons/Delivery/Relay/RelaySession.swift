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
import TLS

/// One connection of a route, from the search for a host that answers to the last message.
final class RelaySession {
    private static let connectMilliseconds: UInt64 = 30_000
    // RFC 5321 section 4.5.3.2 has 5 minutes for most commands, 10 for the end of data.
    private static let replyMilliseconds: UInt64 = 300_000
    private static let verdictMilliseconds: UInt64 = 600_000

    let id = SessionID(Randomness.integer())
    private let route: RelayRoute
    private let process: RelayProcess
    private let turn: Int
    /// The server has greeted us and taken our greeting.
    private(set) var isEstablished = false
    /// Of the host that it is connected to.
    private(set) var address: IPAddress?
    private var isEnding = false
    private var channel: TLSChannel?
    private var messages = 0
    private var waiter: UnsafeContinuation<Void, Never>?
    private let idleTimer = Timer()

    init(_ route: RelayRoute, turn: Int) {
        self.route = route
        process = route.process
        self.turn = turn
    }

    private enum Attempt {
        /// The dialogue has been had.
        case served
        case failed(String)
    }

    func run() async {
        let endpoints: [Endpoint]
        switch await process.lookup.route(route.action, route.key, turn: turn) {
        case .outcome(let outcome): return route.unreachable(outcome, by: self)
        case .endpoints(let found): endpoints = found
        }
        let source: IPAddress?
        do {
            source = try await sourceAddress()
        } catch {
            return route.unreachable(Self.deferred("Could not retrieve source address"), by: self)
        }
        var reason: String?
        var limited: IPAddress?
        for endpoint in endpoints {
            if process.penalties.isBlocked(endpoint, now: Loop.milliseconds) { continue }
            if let source, source.family != endpoint.address.family { continue }
            if let missing = missingFeature(endpoint) {
                // The host is not to blame.
                reason = missing
                continue
            }
            guard process.enter(endpoint.address, limit: route.limits.connectionsPerHost) else {
                limited = endpoint.address
                continue
            }
            address = endpoint.address
            let result = await attempt(endpoint, from: source)
            process.leave(endpoint.address)
            switch result {
            case .served: return
            case .failed(let text):
                reason = text
                let seconds = process.penalties.failed(endpoint, now: Loop.milliseconds)
                process.child.log.info(
                    "smtp-out: Disabling route \(source?.hostText ?? "[]") <-> \(endpoint.relayName) for \(seconds)s")
            }
        }
        if let limited { return route.limited(at: limited) }
        route.unreachable(Self.deferred(reason ?? "All routes to destination blocked"), by: self)
    }

    private static func deferred(_ text: String) -> DeliveryOutcome {
        .deferred(Reply(451, EnhancedStatus(4, 4, 1), text))
    }

    private func sourceAddress() async throws -> IPAddress? {
        guard route.action.source != nil else { return nil }
        switch try await process.tables.request(.source(action: route.key.action)) {
        case .source(let address): return address
        case .heloName, .temporaryFailure: throw PeerError.gone
        }
    }

    // MARK: One host

    private func attempt(_ endpoint: Endpoint, from source: IPAddress?) async -> Attempt {
        process.child.log.info("\(id) mta connecting address=\(endpoint.description) host=\(endpoint.name)")
        let descriptor: FileDescriptor
        do {
            descriptor = try await Dialing.connect(
                to: .internet(endpoint.address, port: endpoint.port), from: source,
                timeoutMilliseconds: Self.connectMilliseconds)
        } catch {
            _ = fail("\(error)")
            return .failed("Network error on destination MXs")
        }
        process.child.log.info("\(id) mta connected")
        let local: IPAddress? =
            switch descriptor.localAddress {
            case .internet(let address, _): address
            case .local, nil: nil
            }
        let connection = Connection(descriptor)
        defer { connection.close() }
        guard let name = await greetingName(local) else { return fail("Could not retrieve helo name") }
        let dialogue = RelayDialogue(self, connection, endpoint, name: name, source: local?.hostText ?? "-")
        let ending = await dialogue.run()
        if let channel { process.tls.keepSession(of: channel, endpoint, route.action) }
        if let error = dialogue.error { process.child.log.info("\(id) mta error reason=\(VisibleText(error))") }
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
            process.tls.memory.succeeded(endpoint, now: Loop.milliseconds)
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

    private func fail(_ reason: String) -> Attempt {
        process.child.log.info("\(id) mta error reason=\(VisibleText(reason))")
        return .failed(reason)
    }

    /// What the configuration demands of this connection and cannot be given to it.
    private func missingFeature(_ endpoint: Endpoint) -> String? {
        route.action.credentials == nil ? nil : "Refuse to AUTH over insecure channel"
    }

    private func greetingName(_ local: IPAddress?) async -> Domain? {
        if let text = route.action.helo { return Domain(text) }
        guard route.action.heloSource != nil, let local else { return process.serverName }
        let wanted = RelayToLookup.heloName(action: route.key.action, source: local)
        guard case .heloName(let name)? = try? await process.tables.request(wanted) else { return nil }
        return name ?? process.serverName
    }

    // MARK: For the dialogue

    func establish(_ endpoint: Endpoint) {
        guard !isEstablished else { return }
        isEstablished = true
        process.penalties.succeeded(endpoint)
        route.established()
    }

    /// The next message; nil when the session should end. Waits a little for one.
    func nextTask() async -> RelayTask? {
        guard messages < max(1, route.limits.mailsPerSession) else { return nil }
        if let task = route.take() { return task }
        guard !process.queue.isDraining, messages > 0, route.limits.keepAlive.seconds > 0 else { return nil }
        await withUnsafeContinuation { continuation in
            waiter = continuation
            route.park(self)
            idleTimer.start(afterMilliseconds: UInt64(route.limits.keepAlive.seconds) * 1000) { [weak self] in
                guard let self else { return }
                route.unpark(self)
                wake()
            }
        }
        return isEnding ? nil : route.take()
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

    func decide(_ work: RecipientWork, _ outcome: DeliveryOutcome, source: String, relay: String) {
        process.decide(work, outcome, session: id, source: source, relay: relay)
    }

    func rewritten(_ sender: ReversePath) -> ReversePath { route.action.rewritten(sender) }

    var hasMessages: Bool { messages > 0 }

    static var replyTimeout: UInt64 { replyMilliseconds }
    static var verdictTimeout: UInt64 { verdictMilliseconds }
}
