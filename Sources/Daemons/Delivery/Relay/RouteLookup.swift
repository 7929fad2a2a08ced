// SPDX-License-Identifier: ISC

import Channel
import Bytes
import Configuration
import IPC
import Mail

/// From an action and a domain to addresses, by asking Resolver.
final class RouteLookup {
    let resolver = PeerSlot<FromResolver, ToResolver>()
    var configuration: ServerConfiguration
    private let ownName: Domain
    private let ownAddresses: Set<IPAddress>

    init(_ configuration: ServerConfiguration, ownName: Domain, ownAddresses: Set<IPAddress>) {
        self.configuration = configuration
        self.ownName = ownName
        self.ownAddresses = ownAddresses
    }

    /// `turn` counts the connections of the route: a list of hosts is used round and round.
    func route(_ action: RelayAction, _ key: RouteKey, turn: Int) async -> RouteResult {
        let family = configuration.relayLimits(forDomain: key.domain).family
        let choice = TargetChoice(ownName: ownName, ownAddresses: ownAddresses, family: family)
        switch action.destination {
        case .mailExchangers:
            return await exchangers(key.domain, choice, nil, action.encryption)
        case .backup(let exchanger):
            return await exchangers(key.domain, choice, exchanger.flatMap { Domain($0) }, action.encryption)
        case .host(let table):
            let urls = hosts(of: table)
            guard !urls.isEmpty else { return Self.noRoute }
            let first = turn % urls.count
            return await hosts(Array(urls[first...] + urls[..<first]), choice, action.encryption)
        case .domain(let table):
            guard let text = entry(key.domain, of: table), let url = RelayURL(text) else { return Self.noRoute }
            return await hosts([url], choice, action.encryption)
        }
    }

    private func exchangers(
        _ name: String, _ choice: TargetChoice, _ exchanger: Domain?, _ encryption: RelayAction.Encryption
    ) async -> RouteResult {
        guard let domain = Domain(name) else {
            return .outcome(.failed(Reply(550, EnhancedStatus(5, 1, 2), "Invalid domain name")))
        }
        switch domain.form {
        case .literal(let address):
            let target = RouteTarget(name: domain, preference: 0, addresses: [address], isSecure: false)
            return choice.exchangers([target], encryption)
        case .name:
            break
        }
        switch await ask(domain, isHost: false) {
        case .found(let targets, _, _): return choice.exchangers(targets, exchanger: exchanger, encryption)
        case .failed(let reply): return .outcome(.failed(reply))
        case .deferred(let reply): return .outcome(.deferred(reply))
        }
    }

    private func hosts(
        _ urls: [RelayURL], _ choice: TargetChoice, _ encryption: RelayAction.Encryption
    ) async -> RouteResult {
        let urls = urls.filter { SecurityPolicy($0.scheme, encryption) != nil }
        guard !urls.isEmpty else { return TargetChoice.excluded }
        var endpoints: [Endpoint] = []
        var failure: Reply?
        for url in urls {
            if let address = IPAddress(url.host) {
                let target = RouteTarget(
                    name: Domain(literal: address), preference: 0, addresses: [address], isSecure: false)
                endpoints += choice.host([target], url, encryption)
                continue
            }
            guard let name = Domain(url.host) else { continue }
            switch await ask(name, isHost: true) {
            case .found(let targets, _, _): endpoints += choice.host(targets, url, encryption)
            case .failed(let reply), .deferred(let reply): failure = reply
            }
        }
        guard endpoints.isEmpty else { return choice.ofFamily(endpoints) }
        // A smarthost that is missing is the administrator's error, not the sender's.
        let text = failure.map { "Host not found: \($0.lines.joined(separator: " "))" } ?? "Host not found"
        return .outcome(.deferred(Reply(451, EnhancedStatus(4, 4, 4), text)))
    }

    private func ask(_ domain: Domain, isHost: Bool) async -> RouteAnswer {
        do {
            switch try await resolver.request(.route(domain, isHost: isHost)) {
            case .route(let answer): return answer
            case .name, .addresses: break
            }
        } catch {
            // Resolver is being replaced, or DNS takes too long.
        }
        return .deferred(Reply(451, EnhancedStatus(4, 4, 3), "Temporary failure in MX lookup"))
    }

    private func hosts(of table: TableReference) -> [RelayURL] {
        switch table {
        case .builtIn: return []
        case .named(let name):
            guard case .list(let elements) = configuration.table(named: name)?.kind else { return [] }
            return elements.compactMap { RelayURL($0) }
        }
    }

    // The whole name decides, without wildcards.
    private func entry(_ domain: String, of table: TableReference) -> String? {
        switch table {
        case .builtIn: return nil
        case .named(let name):
            guard case .mapping(let entries) = configuration.table(named: name)?.kind else { return nil }
            return entries.last { $0.key.asciiLowercased == domain }?.value
        }
    }

    private static let noRoute = RouteResult.outcome(
        .deferred(Reply(451, EnhancedStatus(4, 4, 4), "No valid route to destination")))
}
