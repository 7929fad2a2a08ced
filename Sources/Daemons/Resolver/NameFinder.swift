// SPDX-License-Identifier: ISC

import DNS
import IPC
import Mail
import Reactor

/// Names, addresses and routes, found in the hosts file first and then by asking.
final class NameFinder {
    // A whole route takes no longer, however many hosts it has.
    static let routeMilliseconds: UInt64 = 20_000
    // Listener does not wait longer for the name of a client.
    static let nameMilliseconds: UInt64 = 5_000
    static let addressesMilliseconds: UInt64 = 10_000
    // Of a client with many names the first ones decide.
    static let mostPointers = 4
    // What the hosts file says holds until it changes; asking again costs nothing.
    static let hostsLifetime = Interval.seconds(60)

    private let hosts: HostsFile
    private let desk: any QuestionDesk
    private let now: () -> UInt64

    init(hosts: HostsFile, desk: any QuestionDesk, now: @escaping () -> UInt64 = { Loop.milliseconds }) {
        self.hosts = hosts
        self.desk = desk
        self.now = now
    }

    // MARK: Clients

    /// The name of a client: the first that points back to it, else the first at all.
    func name(of client: IPAddress) async -> ClientName {
        let address = client.unmapped
        if let name = hosts.name(of: address) {
            return .found(name, isConfirmed: hosts.addresses(of: name).contains(address))
        }
        let deadline = now() + Self.nameMilliseconds
        guard let answer = await ask(address.reverseName, .pointer, deadline) else { return .temporaryFailure }
        switch answer.responseCode {
        case .success, .noSuchName: break
        case .formatError, .serverFailure, .notImplemented, .refused, .other: return .temporaryFailure
        }
        let names = answer.pointers.prefix(Self.mostPointers)
        guard let first = names.first else { return .absent }
        let type = address.family == .v4 ? RecordType.address : .address6
        for name in names {
            if hosts.addresses(of: name).contains(address) { return .found(name, isConfirmed: true) }
            if let answer = await ask(name.canonical, type, deadline), answer.addresses.contains(address) {
                return .found(name, isConfirmed: true)
            }
        }
        return .found(first, isConfirmed: false)
    }

    // MARK: Hosts

    func addresses(of name: Domain) async -> AddressAnswer {
        switch await find(name, now() + Self.addressesMilliseconds).finding {
        case .addresses(let addresses): addresses.isEmpty ? .absent : .found(addresses)
        case .noSuchName: .absent
        case .temporaryFailure: .temporaryFailure
        }
    }

    private struct Found {
        var finding: RouteOrder.AddressFinding
        var timeToLive: Interval
    }

    private func find(_ name: Domain, _ deadline: UInt64) async -> Found {
        if let known = known(name) { return Found(finding: .addresses(known), timeToLive: Self.hostsLifetime) }
        async let four = ask(name.canonical, .address, deadline)
        async let six = ask(name.canonical, .address6, deadline)
        return Self.joined([await four, await six])
    }

    // What needs no question.
    private func known(_ name: Domain) -> [IPAddress]? {
        switch name.form {
        case .literal(let address):
            return [address]
        case .name:
            let addresses = hosts.addresses(of: name)
            if !addresses.isEmpty { return addresses }
            // RFC 6761 section 6.3
            if name.canonical == "localhost" { return ["127.0.0.1", "::1"].compactMap { IPAddress($0) } }
            return IPAddress(name.text).map { [$0] }
        }
    }

    // One family with addresses is enough; without any, a question that failed leaves it open whether there are some.
    private static func joined(_ answers: [Answer?]) -> Found {
        var addresses: [IPAddress] = []
        var life: Interval?
        var hasFailure = false
        var existing = 0
        for answer in answers {
            switch answer?.responseCode {
            case .success?:
                existing += 1
                guard let answer, !answer.addresses.isEmpty else { continue }
                addresses += answer.addresses
                life = min(life ?? answer.timeToLive, answer.timeToLive)
            case .noSuchName?: continue
            case .formatError?, .serverFailure?, .notImplemented?, .refused?, .other?, nil: hasFailure = true
            }
        }
        let timeToLive = life ?? .seconds(0)
        if !addresses.isEmpty { return Found(finding: .addresses(addresses), timeToLive: timeToLive) }
        if hasFailure { return Found(finding: .temporaryFailure, timeToLive: timeToLive) }
        return Found(finding: existing > 0 ? .addresses([]) : .noSuchName, timeToLive: timeToLive)
    }

    // MARK: Routes

    /// The hosts that take mail for `domain`, best first; with `isHost`, that host alone.
    func route(_ domain: Domain, isHost: Bool) async -> RouteAnswer {
        let deadline = now() + Self.routeMilliseconds
        var generator = SystemRandomNumberGenerator()
        if let route = RouteOrder.route(literal: domain) { return Self.answer(route, Self.hostsLifetime) }
        if isHost || domain.canonical == "localhost" {
            return await finish(RouteOrder.host(domain), deadline, life: nil, isHost: true)
        }
        guard Name(domain) != nil else { return .failed(.invalidName) }
        let answer =
            await ask(domain.canonical, .mailExchange, deadline)
            ?? Answer(.serverFailure, name: .root)
        // A host that only the hosts file knows is one, too.
        if answer.responseCode == .noSuchName, !hosts.addresses(of: domain).isEmpty {
            return await finish(RouteOrder.host(domain), deadline, life: nil, isHost: false)
        }
        switch RouteOrder.plan(domain, answer, using: &generator) {
        case .route(let route): return Self.answer(route, answer.timeToLive)
        case .lookUp(let order):
            let life = answer.contents.isEmpty ? nil : answer.timeToLive
            return await finish(order, deadline, life: life, isHost: false)
        }
    }

    private func finish(
        _ order: RouteOrder, _ deadline: UInt64, life: Interval?, isHost: Bool
    ) async -> RouteAnswer {
        var findings = [RouteOrder.AddressFinding](repeating: .temporaryFailure, count: order.exchanges.count)
        var life = life
        let lookups = order.exchanges.map { exchange in Task { await find(exchange.name, deadline) } }
        for (index, lookup) in lookups.enumerated() {
            let found = await lookup.value
            findings[index] = found.finding
            switch found.finding {
            case .addresses(let addresses):
                if !addresses.isEmpty { life = min(life ?? found.timeToLive, found.timeToLive) }
            case .noSuchName: break
            // What is not known now may be known in a moment.
            case .temporaryFailure: life = .seconds(0)
            }
        }
        var generator = SystemRandomNumberGenerator()
        let route = order.finish(findings, using: &generator)
        // The configuration names such a host: a mistake to be mended, not a reason to send mail back.
        if isHost, route == .noSuchDomain || route == .noAddress { return .deferred(.hostNotFound) }
        return Self.answer(route, life ?? .seconds(0))
    }

    private static func answer(_ route: Route, _ life: Interval) -> RouteAnswer {
        switch route {
        case .hosts(let hosts):
            let targets = hosts.map {
                RouteTarget(name: $0.name, preference: $0.preference, addresses: $0.addresses, isSecure: false)
            }
            return .found(targets, isSecure: false, lifetime: UInt32(clamping: life.seconds))
        case .nullMX: return .failed(.takesNoMail)
        case .noSuchDomain: return .failed(.noSuchDomain)
        case .noAddress: return .deferred(.noExchanger)
        case .temporaryFailure(let text): return .deferred(Reply(451, EnhancedStatus(4, 4, 3), text))
        case .leadsBack: return .failed(.leadsBack)
        }
    }

    private func ask(_ name: String, _ type: RecordType, _ deadline: UInt64) async -> Answer? {
        let time = now()
        guard time < deadline else { return nil }
        return await desk.answer(to: name, type, patienceMilliseconds: deadline - time)
    }
}

extension Reply {
    fileprivate static let noSuchDomain = Reply(550, EnhancedStatus(5, 1, 2), "Domain does not exist")
    fileprivate static let invalidName = Reply(550, EnhancedStatus(5, 1, 2), "Invalid domain name")
    // RFC 7505 section 4.1
    fileprivate static let takesNoMail = Reply(556, EnhancedStatus(5, 1, 10), "Domain does not accept mail")
    fileprivate static let leadsBack = Reply(554, EnhancedStatus(5, 4, 6), "Mail loops back to this host")
    fileprivate static let noExchanger = Reply(451, EnhancedStatus(4, 4, 3), "No MX found for domain")
    fileprivate static let hostNotFound = Reply(451, EnhancedStatus(4, 4, 3), "Host not found")
}
