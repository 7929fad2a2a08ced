// SPDX-License-Identifier: ISC

import Bytes
import Channel
import Configuration
import IPC
import Mail
import Reactor

/// From an action and a domain to addresses, by asking Resolver, and Lookup for what is in tables.
final class RouteLookup {
    // Hosts of one table that are tried one after the other.
    private static let mostHosts = 16
    // How long the hosts of a table that is not written in the configuration are used.
    private static let tableMilliseconds: UInt64 = 5_000

    let resolver = PeerSlot<FromResolver, ToResolver>()
    let tables: PeerSlot<LookupToRelay, RelayToLookup>
    var configuration: ServerConfiguration { didSet { fetched = [:] } }
    private let ownName: Domain
    private let ownAddresses: Set<IPAddress>
    private var fetched: [String: (hosts: [RelayURL], until: UInt64)] = [:]
    /// Says what the administrator should know of.
    var warn: (String) -> Void = { _ in }

    init(
        _ configuration: ServerConfiguration, ownName: Domain, ownAddresses: Set<IPAddress>,
        tables: PeerSlot<LookupToRelay, RelayToLookup>
    ) {
        self.configuration = configuration
        self.ownName = ownName
        self.ownAddresses = ownAddresses
        self.tables = tables
    }

    /// `turn` counts the connections of the action: a list of hosts is used round and round.
    func route(_ action: RelayAction, _ key: RouteKey, turn: Int) async -> RouteResult {
        let family = configuration.relayLimits(forDomain: key.domain).family
        let choice = TargetChoice(ownName: ownName, ownAddresses: ownAddresses, family: family)
        do {
            switch action.destination {
            case .mailExchangers:
                return await exchangers(key.domain, choice, nil, action.encryption)
            case .backup(let exchanger):
                let backup = Backup(name: exchanger.flatMap { Domain($0) } ?? ownName)
                return await exchangers(key.domain, choice, backup, action.encryption)
            case .host(let table):
                let urls = try await hosts(of: table, key.action)
                guard !urls.isEmpty else { return Self.noRoute }
                let first = turn % urls.count
                return await hosts(Array(urls[first...] + urls[..<first]), choice, action.encryption)
            case .domain:
                let wanted = RelayToLookup.domainHost(action: key.action, domain: key.domain)
                guard let url = try await host(wanted) else { return Self.noRoute }
                return await hosts([url], choice, action.encryption)
            }
        } catch {
            return .outcome(.deferred(Reply(451, EnhancedStatus(4, 3, 0), "Temporary failure in table lookup")))
        }
    }

    private struct Backup {
        let name: Domain
    }

    private func exchangers(
        _ name: String, _ choice: TargetChoice, _ backup: Backup?, _ encryption: RelayAction.Encryption
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
        case .found(let targets, _, _):
            if let backup, !choice.isListed(backup.name, in: targets) {
                warn("smtp-out: \(backup.name) is no MX of \(domain), as its backup should be")
            }
            return choice.exchangers(targets, exchanger: backup?.name, encryption)
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
        for (place, url) in urls.prefix(Self.mostHosts).enumerated() {
            if let address = IPAddress(url.host) {
                let target = RouteTarget(
                    name: Domain(literal: address), preference: 0, addresses: [address], isSecure: false)
                endpoints += choice.host([target], url, encryption, preference: UInt16(place))
                continue
            }
            guard let name = Domain(url.host) else { continue }
            switch await ask(name, isHost: true) {
            case .found(let targets, _, _):
                endpoints += choice.host(targets, url, encryption, preference: UInt16(place))
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

    // MARK: Tables

    private func hosts(of table: TableReference, _ action: String) async throws(PeerError) -> [RelayURL] {
        switch table {
        case .builtIn: return []
        case .named(let name):
            if case .list(let elements)? = configuration.table(named: name)?.kind {
                return elements.compactMap { RelayURL($0) }
            }
        }
        if let known = fetched[action], known.until > Loop.milliseconds { return known.hosts }
        // Once around; Lookup goes on where it stopped.
        var found: [RelayURL] = []
        while found.count < Self.mostHosts, let url = try await host(.host(action: action)), !found.contains(url) {
            found.append(url)
        }
        fetched[action] = (found, Loop.milliseconds + Self.tableMilliseconds)
        return found
    }

    private func host(_ question: RelayToLookup) async throws(PeerError) -> RelayURL? {
        guard case .host(let text) = try await tables.request(question) else { throw .gone }
        guard let text else { return nil }
        guard let url = RelayURL(text) else {
            warn("smtp-out: no relay URL in a table: \(VisibleText(text))")
            return nil
        }
        return url
    }

    private static let noRoute = RouteResult.outcome(
        .deferred(Reply(451, EnhancedStatus(4, 4, 4), "No valid route to destination")))
}
