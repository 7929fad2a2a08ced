// SPDX-License-Identifier: ISC

public import Mail

/// From an MX set to hosts with addresses in two steps: `plan` says whose addresses to look up, `finish` puts them in
/// order.
public struct RouteOrder: Hashable, Sendable {
    public struct Exchange: Hashable, Sendable {
        public var name: Domain
        public var preference: UInt16
    }

    /// What the lookups of one host's addresses gave, both families together.
    public enum AddressFinding: Hashable, Sendable {
        case addresses([IPAddress])
        case noSuchName
        case temporaryFailure

        /// Joins the answers to the A and the AAAA question of one host; nil stands for an answer that did not come.
        public init(_ answers: [Answer?]) {
            let addresses = answers.flatMap { $0?.addresses ?? [] }
            let codes = answers.map { $0?.responseCode ?? .serverFailure }
            if !addresses.isEmpty {
                self = .addresses(addresses)
            } else if codes.contains(.noSuchName) {
                // A name has all its types or none (RFC 8020 section 2).
                self = .noSuchName
            } else {
                self = codes.allSatisfy { $0 == .success } ? .addresses([]) : .temporaryFailure
            }
        }
    }

    public enum Step: Hashable, Sendable {
        case route(Route)
        /// Look up the addresses of these, in this order.
        case lookUp(RouteOrder)
    }

    // The reference has no limit; Postfix tries five, and each costs two lookups.
    public static let mostHosts = 16
    public static let mostAddresses = 16

    public let exchanges: [Exchange]
    /// The domain stands for itself, since it has no MX records.
    public let isImplicit: Bool

    /// The route of an address literal; nil when the domain is a name.
    public static func route(literal domain: Domain) -> Route? {
        switch domain.form {
        case .literal(let address): .hosts([RouteHost(name: domain, preference: 0, addresses: [address])])
        case .name: nil
        }
    }

    /// The route of a host that the configuration names: its addresses only, no MX.
    public static func host(_ name: Domain) -> RouteOrder {
        RouteOrder(exchanges: [Exchange(name: name, preference: 0)], isImplicit: true)
    }

    /// Orders the hosts in the answer to the MX question for `domain`: by preference, equals by chance.
    /// When `ownName` is among them, it and all hosts that are not better are left out.
    public static func plan(
        _ domain: Domain, _ answer: Answer, ownName: Domain? = nil, using generator: inout some RandomNumberGenerator
    ) -> Step {
        if let route = route(literal: domain) { return .route(route) }
        switch answer.responseCode {
        case .success: break
        case .noSuchName: return .route(.noSuchDomain)
        case .formatError, .serverFailure, .notImplemented, .refused, .other:
            return .route(.temporaryFailure("Temporary failure in MX lookup"))
        }
        var best: [Domain: UInt16] = [:]
        var recordCount = 0
        var hasNull = false
        for content in answer.contents {
            switch content {
            case .mailExchange(let preference, let exchange):
                recordCount += 1
                if exchange.isRoot { hasNull = true }
                guard let name = exchange.domain else { continue }
                best[name] = min(best[name] ?? preference, preference)
            case .address, .pointer, .canonicalName, .text, .tlsa:
                continue
            }
        }
        guard recordCount > 0 else { return .lookUp(host(domain)) }
        // RFC 7505 section 3; `localhost` alone says the same in the manner of older days.
        if best.isEmpty { return .route(hasNull ? .nullMX : .noAddress) }
        if best.count == 1, best.keys.first?.canonical == "localhost" { return .route(.nullMX) }
        var exchanges = best.map { Exchange(name: $0.key, preference: $0.value) }
        if let ownName, let ownPreference = best[ownName] {
            exchanges.removeAll { $0.preference >= ownPreference }
            if exchanges.isEmpty { return .route(.leadsBack) }
        }
        // A dictionary has no order of its own: names first, so that chance is the generator's alone.
        exchanges.sort { $0.name.canonical < $1.name.canonical }
        exchanges.shuffle(using: &generator)
        // The sort keeps the order of equals.
        exchanges.sort { $0.preference < $1.preference }
        return .lookUp(RouteOrder(exchanges: Array(exchanges.prefix(mostHosts)), isImplicit: false))
    }

    /// The route, given what was found for each of `exchanges`, by position; what is missing counts as not found in
    /// time. A host whose addresses are not known for now keeps its place: whoever is among the hosts himself must know
    /// which of them are better than he is.
    public func finish(_ findings: [AddressFinding], using generator: inout some RandomNumberGenerator) -> Route {
        var hosts: [RouteHost] = []
        var hasAddresses = false
        var existing = 0
        for (index, exchange) in exchanges.enumerated() {
            switch index < findings.count ? findings[index] : .temporaryFailure {
            case .addresses(let addresses):
                existing += 1
                let ordered = Self.order(addresses, using: &generator)
                guard !ordered.isEmpty else { continue }
                hasAddresses = true
                hosts.append(RouteHost(name: exchange.name, preference: exchange.preference, addresses: ordered))
            case .noSuchName:
                continue
            case .temporaryFailure:
                hosts.append(RouteHost(name: exchange.name, preference: exchange.preference, addresses: []))
            }
        }
        if hasAddresses { return .hosts(hosts) }
        if !hosts.isEmpty { return .temporaryFailure("Temporary failure in address lookup") }
        return isImplicit && existing == 0 ? .noSuchDomain : .noAddress
    }

    /// Each family by chance, both by turns, so that a host with one broken family costs one attempt.
    private static func order(_ addresses: [IPAddress], using generator: inout some RandomNumberGenerator)
        -> [IPAddress]
    {
        var seen: Set<IPAddress> = []
        let distinct = addresses.filter { seen.insert($0).inserted }
        let sixes = distinct.filter { $0.family == .v6 }.shuffled(using: &generator)
        let fours = distinct.filter { $0.family == .v4 }.shuffled(using: &generator)
        var ordered: [IPAddress] = []
        for index in 0..<max(sixes.count, fours.count) {
            if index < sixes.count { ordered.append(sixes[index]) }
            if index < fours.count { ordered.append(fours[index]) }
        }
        return Array(ordered.prefix(mostAddresses))
    }
}
