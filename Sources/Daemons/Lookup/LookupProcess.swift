// SPDX-License-Identifier: ISC

import Authentication
import Bytes
import Channel
import Configuration
import IPC
import Mail
import Posix
import Reactor
import Routing

/// The one who decides: expands every recipient by the rules, and stores the envelopes with Queue.
final class LookupProcess: DaemonProcess {
    // Of one Listener, which asks for one recipient of each session at a time; more would starve the others.
    private static let mostExpansions = 10_000

    private let child: Child
    private let log: Log
    private let counters = Counters()
    private let configuration: ServerConfiguration
    private let tables: LookupTables
    private let users = UserDirectory()
    private let world: HostWorld
    private var expansion: Expansion
    private let claims: ListenerClaims
    private let authenticator: Authenticator
    private let relayQuestions: RelayQuestions
    private let explainer: Explainer

    private var listeners: [PeerGrant: ListenerEdge] = [:]
    private var relays: [PeerGrant: Peer<RelayToLookup, LookupToRelay>] = [:]
    private var queue: Peer<QueueToLookup, LookupToQueue>?
    // Only explanations ask it: rules hear the names of clients from the Listener.
    private var resolver: Peer<FromResolver, ToResolver>?
    private var desk: ControlDesk?
    private var running = 0
    private var isDraining = false
    private let drainTimer = Timer()

    init(_ child: Child) throws(TableFault) {
        // Passwords of clients, and the credentials of tables.
        Memory.eraseWhatIsFreed()
        self.child = child
        log = child.log
        let assignment = child.assignment
        let parsed = ServerConfiguration.parse(
            Array(assignment.configuration.utf8), named: "lookup", options: ParseOptions(.partial))
        guard let configuration = parsed.configuration else {
            child.leave(because: "configuration: \(parsed.errors.first.map { "\($0)" } ?? "unreadable")")
        }
        guard let serverName = Domain(assignment.serverName) else {
            child.leave(because: "server name is no domain: \(assignment.serverName)")
        }
        self.configuration = configuration
        let delimiters = configuration.smtp.delimiters
        tables = try LookupTables(configuration, delimiters: delimiters, users: users, log: child.log)
        world = HostWorld(tables: tables, users: users, rewriting: SRS(configuration.srs), log: child.log)
        let builtIn = BuiltInTables(
            serverName: serverName, addresses: assignment.localAddresses.compactMap { IPAddress($0) })
        expansion = Expansion(
            ruleset: Ruleset(configuration.rules, builtIn: builtIn, delimiters: delimiters),
            actions: configuration.actions, delimiters: delimiters, daemonUsers: Self.daemonUsers)
        authenticator = Authenticator(
            configuration.listeners, tables: tables, users: users, delimiters: delimiters)
        claims = ListenerClaims(configuration.listeners, serverName: serverName)
        relayQuestions = RelayQuestions(configuration, tables: tables, log: child.log)
        explainer = Explainer(
            configuration, world: world, authenticator: authenticator, serverName: serverName)
    }

    // No mail is delivered to a daemon of this house; `_martletu` is whom foreign programs run as.
    private static let daemonUsers = Set(Role.allCases.compactMap(\.user) + ["_martletu"])

    func begin() async throws(TableFault) {
        var streams: [(name: String, stream: Held)] = []
        // Those that stand in the configuration itself.
        warnOfMixedCredentials(nil)
        for (purpose, name, held) in child.grants.files {
            switch purpose {
            case .table:
                if let descriptor = held.take() { try await read(descriptor, name) }
            case .tableProgram:
                streams.append((name, held))
            case .serverKey, .clientKey, .certificate, .authorities:
                break
            }
        }
        if let table = tables.memory.missing.first {
            throw TableFault(description: "table \"\(table.name)\": its file was not opened")
        }
        expansion.use(tables.memory.contents)
        try await tables.begin(streams)
        child.peerArrived = { [self] grant, descriptor in join(grant, descriptor) }
        child.drained = { [self] seconds in drain(seconds) }
        for case (.control, let held) in child.grants.sockets {
            guard let descriptor = held.take() else { continue }
            desk = ControlDesk(descriptor, role: .lookup) { [self] in await answer($0) }
        }
        child.ready()
    }

    // MARK: Tables

    private func read(_ descriptor: consuming FileDescriptor, _ name: String) async throws(TableFault) {
        let bytes = try await TableFile.content(of: descriptor, name)
        for table in tables.memory.tables(inFile: name) { try await tables.memory.read(bytes, for: table) }
        warnOfMixedCredentials(name)
    }

    private func warnOfMixedCredentials(_ file: String?) {
        for table in tables.memory.mixed {
            guard file.map({ tables.memory.tables(inFile: $0).contains { $0.name == table } }) ?? true else { continue }
            log.warning(
                "table \"\(VisibleText(table))\" has keys of SCRAM beside hashes of crypt(3): SCRAM is not offered")
        }
    }

    /// What Parent asks: of users whom tables know, and for tables to be read again.
    private func heard(_ message: ParentToLookup, _ descriptor: consuming FileDescriptor?, _ correlation: Correlation) {
        switch message {
        case .userOfTable(let table, let name):
            Task {
                let answer = await user(named: name, in: table)
                users.parent.peer?.answer(correlation, .user(answer))
            }
        case .updateFile(let table):
            guard let descriptor else { return }
            let held = Held(descriptor)
            Task {
                var refusal: String?
                do throws(TableFault) {
                    if let file = held.take() { try await read(file, table) }
                } catch {
                    refusal = error.description
                }
                // Of several tables in one file some may have been read.
                expansion.use(tables.memory.contents)
                updated(table, refusal, correlation)
            }
        case .updateProgram(let table):
            Task { updated(table, await tables.updateProgram(of: table), correlation) }
        case .account, .program, .noProgram:
            // The answer to a request that was given up.
            break
        }
    }

    private func updated(_ table: String, _ refusal: String?, _ correlation: Correlation) {
        if let refusal {
            log.warning(refusal)
            log.warning("Failed to update table \"\(VisibleText(table))\"")
        } else {
            log.info("info: Table \"\(VisibleText(table))\" successfully updated")
        }
        users.parent.peer?.answer(correlation, .updated(refusal: refusal))
    }

    private func user(named name: String, in table: String) async -> UserAnswer {
        do throws(TableFailure) {
            guard let value = try await tables.value(of: name, in: table, for: .user) else { return .absent }
            guard let user = UserRecord(name: name, tableValue: value) else { return .temporaryFailure }
            return .found(user)
        } catch {
            return .temporaryFailure
        }
    }

    // MARK: Edges

    private func join(_ grant: PeerGrant, _ descriptor: consuming FileDescriptor) {
        switch grant.role {
        case .listener:
            listeners[grant] = ListenerEdge(
                child.edge(
                    grant, descriptor,
                    handle: { [weak self] message, correlation, _ in
                        switch message {
                        case .expand(let request): self?.expand(request, from: grant, correlation)
                        case .authenticate(let request): self?.authenticate(request, from: grant, correlation)
                        case .mechanisms(let statement): self?.offer(statement, to: grant, correlation)
                        case .sender(let session, let statement, let sender):
                            self?.permit(sender, statement, session, from: grant, correlation)
                        case .name(let statement, let address):
                            self?.name(statement, address, to: grant, correlation)
                        case .ended(let session):
                            self?.authenticator.forget(Authenticator.SessionKey(listener: grant, session: session))
                        }
                    },
                    ended: { [weak self] in
                        self?.listeners[grant] = nil
                        self?.authenticator.forget(grant)
                    }))
        case .relay:
            relays[grant] = child.edge(
                grant, descriptor,
                handle: { [weak self] message, correlation, _ in self?.answer(message, from: grant, correlation) },
                ended: { [weak self] in self?.relays[grant] = nil })
        case .queue:
            queue = child.edge(
                grant, descriptor,
                handle: { [weak self] message, correlation, _ in
                    switch message {
                    case .rematch(let envelope): self?.rematch(envelope, correlation)
                    }
                }, ended: { [weak self] in self?.queue = nil })
        case .resolver:
            resolver = child.edge(
                grant, descriptor, handle: { _, _, _ in }, ended: { [weak self] in self?.resolver = nil })
        case .parent:
            users.parent.set(
                child.edge(
                    grant, descriptor,
                    handle: { [weak self] message, correlation, descriptor in
                        self?.heard(message, descriptor, correlation)
                    }, ended: { [weak self] in self?.users.parent.clear() }))
        case .lookup, .local, .keys, .account, .mailbox, .control, .table:
            break
        }
    }

    private func authenticate(_ request: AuthenticationRequest, from grant: PeerGrant, _ correlation: Correlation) {
        guard let listener = listeners[grant] else { return }
        counters.add("lookup.authenticate")
        Task { listener.peer.answer(correlation, await authenticator.authenticate(request, from: grant)) }
    }

    private func offer(_ statement: UInt16, to grant: PeerGrant, _ correlation: Correlation) {
        guard let listener = listeners[grant] else { return }
        listener.peer.answer(correlation, .offer(scram: authenticator.offersScram(statement)))
    }

    /// What a listener with `hostnames` calls itself at one of our addresses.
    private func name(_ statement: UInt16, _ address: IPAddress, to grant: PeerGrant, _ correlation: Correlation) {
        guard let listener = listeners[grant] else { return }
        guard Int(statement) < configuration.listeners.count,
            let table = configuration.listeners[Int(statement)].hostnames
        else { return listener.peer.answer(correlation, .named(nil)) }
        Task {
            var name: Domain?
            do {
                let text = try await tables.value(of: "\(address)", in: table.name, for: .nameOfAddress)
                name = text.flatMap { Domain($0) }
                if let text, name == nil {
                    log.warning("table \"\(VisibleText(table.name))\": no host name: \(VisibleText(text))")
                }
            } catch {
                log.warning("table \"\(VisibleText(table.name))\": the name of \(address) cannot be had")
            }
            listener.peer.answer(correlation, .named(name))
        }
    }

    private func permit(
        _ sender: ReversePath, _ statement: UInt16, _ session: SessionID, from grant: PeerGrant,
        _ correlation: Correlation
    ) {
        guard let listener = listeners[grant] else { return }
        let key = Authenticator.SessionKey(listener: grant, session: session)
        Task { listener.peer.answer(correlation, await authenticator.permits(sender, statement, key)) }
    }

    private func expand(_ request: ExpansionRequest, from grant: PeerGrant, _ correlation: Correlation) {
        guard let listener = listeners[grant] else { return }
        let key = Authenticator.SessionKey(listener: grant, session: request.session)
        var fault = claims.fault(in: request, user: authenticator.user(of: key))
        if request.origin.user != nil, !authenticator.mayExpand(request.sender, request.statement, key) {
            fault = fault ?? "a sender that its user may not use"
        }
        if let fault {
            listeners[grant] = nil
            listener.peer.close()
            return child.violated(grant, fault)
        }
        guard listener.running < Self.mostExpansions else {
            return listener.peer.answer(correlation, Self.temporaryFailure(request))
        }
        listener.running += 1
        running += 1
        counters.add("lookup.expand")
        Task {
            let answer = await outcome(of: request, from: grant)
            listener.peer.answer(correlation, answer)
            if case .refused = answer { counters.add("lookup.expand.refused") }
            listener.running -= 1
            running -= 1
            if isDraining, running == 0 { Loop.stop() }
        }
    }

    private func outcome(of request: ExpansionRequest, from grant: PeerGrant) async -> LookupToListener {
        guard mayStore else { return Self.temporaryFailure(request) }
        let expanded = await expansion.expand(
            Expansion.Request(
                sender: request.sender, recipient: request.recipient, origin: request.origin,
                isEncrypted: request.isSecure, report: request.report), in: world)
        switch expanded {
        case .refused(let reply):
            return .refused(reply)
        case .accepted(let envelopes):
            guard await StoredSize.fits(envelopes) else {
                log.warning("expansion of <\(request.recipient)> is too large: \(envelopes.count) envelopes")
                return Self.temporaryFailure(request)
            }
            // Queue or the Listener may have gone while the expansion waited for others.
            guard mayStore, let queue, listeners[grant] != nil else {
                return Self.temporaryFailure(request)
            }
            queue.send(
                .store(
                    worker: grant.worker, generation: grant.generation, message: request.message,
                    number: request.number, envelopes))
            counters.add("lookup.envelope", Int64(envelopes.count))
            return .accepted(envelopes: UInt32(envelopes.count))
        }
    }

    /// What the rules of today make of an envelope, by its destination: aliases were followed when it came.
    private func rematch(_ envelope: Envelope, _ correlation: Correlation) {
        counters.add("lookup.rematch")
        Task {
            let expanded = await expansion.expand(
                Expansion.Request(
                    sender: envelope.sender, recipient: envelope.destination, origin: envelope.origin,
                    isEncrypted: false, report: envelope.report), in: world)
            switch expanded {
            case .accepted(let envelopes): queue?.answer(correlation, .rematched(.accepted(envelopes)))
            case .refused(let reply): queue?.answer(correlation, .rematched(.refused(reply)))
            }
        }
    }

    private static func temporaryFailure(_ request: ExpansionRequest) -> LookupToListener {
        .refused(Reply(451, EnhancedStatus(4, 3, 0), "Temporary failure: <\(request.recipient)>"))
    }

    private var mayStore: Bool {
        guard let queue, queue.isOpen else { return false }
        return queue.unsent <= Peer<QueueToLookup, LookupToQueue>.highWater
    }

    private func answer(_ question: RelayToLookup, from grant: PeerGrant, _ correlation: Correlation) {
        guard let relay = relays[grant] else { return }
        Task { relay.answer(correlation, await relayQuestions.answer(question)) }
    }

    // MARK: Orders

    private func answer(_ request: ControlRequest) async -> [ControlAnswer] {
        switch request {
        case .explain(let recipient):
            return await explainer.answer(recipient, by: expansion, resolver: resolver)
        case .showStatistics:
            counters.set("lookup.running", Int64(running))
            return counters.answers
        case .verbose(let isVerbose):
            log.isVerbose = isVerbose
            return [.done(count: 0)]
        case .showStatus, .showDelivery, .queue, .pause, .resume, .stop, .reload, .updateTable,
            .showPlan, .lookUp:
            return [.failed("not held by lookup")]
        }
    }

    private func drain(_ seconds: UInt32) {
        isDraining = true
        if running == 0 { return Loop.stop() }
        drainTimer.start(afterMilliseconds: UInt64(seconds) * 1000) { Loop.stop() }
    }
}

/// The edge to one Listener, and how many of its recipients are being expanded.
private final class ListenerEdge {
    let peer: Peer<ListenerToLookup, LookupToListener>
    var running = 0

    init(_ peer: Peer<ListenerToLookup, LookupToListener>) { self.peer = peer }
}
