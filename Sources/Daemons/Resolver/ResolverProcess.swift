// SPDX-License-Identifier: ISC

import Bytes
import Channel
import DNS
import IPC
import Mail
import Posix
import Reactor

/// The one who asks the DNS, and does nothing else with the network.
final class ResolverProcess: DaemonProcess {
    // Requests of one role that wait, those included that wait for the answer to another's question. Clients cannot be
    // kept from coming, so their names leave room for the rest.
    private static func mostRequests(of role: Role) -> Int { role == .relay ? 20_000 : 1_000 }

    private let child: Child
    private let log: Log
    private let counters = Counters()
    private let questions = QuestionCounter()
    private var hosts: HostsFile
    private var context: UnboundContext
    private var finder: NameFinder

    private var peers: [PeerGrant: Peer<ToResolver, FromResolver>] = [:]
    private var routes = RouteCache()
    private var searches: [RouteCache.Key: RouteSearch] = [:]
    private var running: [Role: Int] = [:]
    private var desk: ControlDesk?

    init(_ child: Child) throws(ResolverFault) {
        self.child = child
        log = child.log
        let resolversText = child.grants.texts[.resolvers] ?? []
        let hostsText = child.grants.texts[.hosts] ?? []
        hosts = HostsFile(parsing: hostsText.span)
        context = try UnboundContext(ResolverFile(parsing: resolversText.span).servers, counters: questions)
        finder = NameFinder(hosts: hosts, desk: context)
    }

    func begin() {
        child.peerArrived = { [self] grant, descriptor in join(grant, descriptor) }
        child.textChanged = { [self] file, text in take(file, text) }
        child.drained = { _ in Loop.stop() }
        for case (.control, let held) in child.grants.sockets {
            guard let descriptor = held.take() else { continue }
            desk = ControlDesk(descriptor, role: .resolver) { [self] in await answer($0) }
        }
        child.ready()
    }

    // A new set-up begins with an empty cache: what an old server said may be what was wrong. The old one lives on
    // until its last question is answered.
    private func take(_ file: ParentToChild.SystemFile, _ text: [UInt8]) {
        switch file {
        case .hosts:
            hosts = HostsFile(parsing: text.span)
        case .resolvers:
            do {
                context = try UnboundContext(ResolverFile(parsing: text.span).servers, counters: questions)
            } catch {
                log.warning("\(error)")
            }
        }
        routes.removeAll()
        searches.removeAll()
        finder = NameFinder(hosts: hosts, desk: context)
    }

    // MARK: Requests

    private func join(_ grant: PeerGrant, _ descriptor: consuming FileDescriptor) {
        switch grant.role {
        case .listener, .lookup, .relay:
            peers[grant] = child.edge(
                grant, descriptor,
                handle: { [weak self] request, correlation, _ in self?.take(request, from: grant, correlation) },
                ended: { [weak self] in self?.peers[grant] = nil })
        case .parent, .resolver, .queue, .local, .keys, .account, .mailbox, .control, .table:
            break
        }
    }

    private func take(_ request: ToResolver, from grant: PeerGrant, _ correlation: Correlation) {
        guard let peer = peers[grant] else { return }
        guard running[grant.role, default: 0] < Self.mostRequests(of: grant.role) else {
            return peer.answer(correlation, Self.busy(request))
        }
        running[grant.role, default: 0] += 1
        Task {
            peer.answer(correlation, await answer(request))
            running[grant.role, default: 1] -= 1
        }
    }

    private func answer(_ request: ToResolver) async -> FromResolver {
        switch request {
        case .name(let address):
            counters.add("resolver.name")
            return .name(await finder.name(of: address))
        case .addresses(let name):
            counters.add("resolver.addresses")
            return .addresses(await finder.addresses(of: name))
        case .route(let domain, let isHost):
            counters.add("resolver.route")
            return .route(await route(RouteCache.Key(domain: domain, isHost: isHost)))
        }
    }

    private func route(_ key: RouteCache.Key) async -> RouteAnswer {
        if let known = routes.answer(key, at: Loop.milliseconds) {
            counters.add("resolver.route.cached")
            return known
        }
        if let search = searches[key] {
            return await withUnsafeContinuation { search.waiting.append($0) }
        }
        let search = RouteSearch()
        searches[key] = search
        let answer = await finder.route(key.domain, isHost: key.isHost)
        // Unless the servers or the hosts file have changed meanwhile: then it is the past's answer.
        if searches[key] === search {
            searches[key] = nil
            routes.keep(answer, for: key, at: Loop.milliseconds)
        }
        for continuation in search.waiting { continuation.resume(returning: answer) }
        return answer
    }

    private static func busy(_ request: ToResolver) -> FromResolver {
        switch request {
        case .name: .name(.temporaryFailure)
        case .addresses: .addresses(.temporaryFailure)
        case .route: .route(.deferred(Reply(451, EnhancedStatus(4, 4, 3), "Temporary failure in MX lookup")))
        }
    }

    // MARK: Orders

    private func answer(_ request: ControlRequest) async -> [ControlAnswer] {
        switch request {
        case .lookUp(let name, let kind):
            return await lookUp(name, kind)
        case .showStatistics:
            counters.set("resolver.questions", Int64(questions.open))
            return counters.answers
        case .verbose(let isVerbose):
            log.isVerbose = isVerbose
            return [.done(count: 0)]
        case .showStatus, .showDelivery, .queue, .pause, .resume, .stop, .reload, .updateTable,
            .explain, .showPlan:
            return [.failed("not held by the resolver")]
        }
    }
}

extension ResolverProcess {
    private static let lookUpMilliseconds: UInt64 = 10_000

    /// The records of one name and kind, as texts; none is an answer, too.
    private func lookUp(_ name: String, _ kind: RecordKind) async -> [ControlAnswer] {
        guard Name(text: name) != nil, name.utf8.allSatisfy(\.isVisible) else {
            return [.failed("\(VisibleText(name)) is no name of the DNS")]
        }
        let type: RecordType =
            switch kind {
            case .address: .address
            case .address6: .address6
            case .mailExchange: .mailExchange
            case .text: .text
            }
        let answer = await context.answer(to: name, type, patienceMilliseconds: Self.lookUpMilliseconds)
        switch answer?.responseCode {
        case .success, .noSuchName: break
        case .formatError, .serverFailure, .notImplemented, .refused, .other, nil:
            return [.failed("no answer about \(name)")]
        }
        let texts = (answer?.contents ?? []).compactMap { Self.text(of: $0) }
        return texts.map { .record([ControlField(name: "text", value: .text($0))]) }
            + [.done(count: UInt64(texts.count))]
    }

    private static func text(of content: Record.Content) -> String? {
        switch content {
        case .address(let address): address.description
        case .mailExchange(_, let exchange): "\(exchange)"
        case .text(let bytes): String(validating: bytes, as: UTF8.self)
        case .pointer, .canonicalName, .tlsa: nil
        }
    }
}

/// A route that is being found, and those who asked for the same meanwhile.
private final class RouteSearch {
    var waiting: [UnsafeContinuation<RouteAnswer, Never>] = []
}
