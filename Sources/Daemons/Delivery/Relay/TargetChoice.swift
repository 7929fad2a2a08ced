// SPDX-License-Identifier: ISC

import Configuration
import IPC
import Mail

/// Which hosts of a route are tried, and which must not be: those that are this host itself, or no host at all.
nonisolated struct TargetChoice: Sendable {
    static let port: UInt16 = 25

    let ownName: Domain
    let ownAddresses: Set<IPAddress>
    /// One family only; both when nil.
    var family: IPAddress.Family?

    init(ownName: Domain, ownAddresses: Set<IPAddress>, family: IPAddress.Family? = nil) {
        self.ownName = ownName
        self.ownAddresses = Set(ownAddresses.map(\.unmapped))
        self.family = family
    }

    /// The mail exchangers of a domain. `exchanger` is the name under which this host is one of them, when it is not its
    /// own name.
    func exchangers(
        _ targets: [RouteTarget], exchanger: Domain? = nil, _ encryption: RelayAction.Encryption = .opportunistic
    ) -> RouteResult {
        guard let security = SecurityPolicy(.smtp, encryption) else { return Self.excluded }
        // RFC 5321 section 5.1: where we are one of them, only the better ones are left.
        let limit = targets.filter { isOwn($0, exchanger ?? ownName) }.map(\.preference).min()
        let better = targets.filter { target in limit.map { target.preference < $0 } ?? true }
        var endpoints: [Endpoint] = []
        for target in better.sorted(by: { $0.preference < $1.preference }) {
            for address in target.addresses where mayConnect(to: address) {
                endpoints.append(
                    Endpoint(
                        scheme: .smtp, security: security, name: target.name, address: address, port: Self.port,
                        preference: target.preference))
            }
        }
        guard !endpoints.isEmpty else {
            // A better host that is not to be found for now is still the one that the mail is for.
            guard better.allSatisfy({ !$0.addresses.isEmpty }) else { return Self.unresolved }
            return .outcome(.failed(Reply(554, EnhancedStatus(5, 4, 6), "mail loops back to myself")))
        }
        return ofFamily(endpoints)
    }

    /// A host that the administrator named: it may be anything, this host too.
    func host(
        _ targets: [RouteTarget], _ url: RelayURL, _ encryption: RelayAction.Encryption = .opportunistic,
        preference: UInt16 = 0
    ) -> [Endpoint] {
        // A host in plain text under an action that wants TLS is none.
        guard let security = SecurityPolicy(url.scheme, encryption) else { return [] }
        return targets.flatMap { target in
            target.addresses.map { address in
                Endpoint(
                    scheme: url.scheme, security: security, name: target.name, address: address,
                    port: url.port ?? url.scheme.usualPort, preference: preference, label: url.label)
            }
        }
    }

    private static let unresolved = RouteResult.outcome(
        .deferred(Reply(451, EnhancedStatus(4, 4, 3), "Temporary failure in address lookup")))

    static let excluded = RouteResult.outcome(
        .deferred(Reply(451, EnhancedStatus(4, 7, 10), "TLS required for relaying")))

    func ofFamily(_ endpoints: [Endpoint]) -> RouteResult {
        let usable = endpoints.filter { family == nil || $0.address.unmapped.family == family }
        guard !usable.isEmpty else {
            let text = "Address family mismatch on destination MXs"
            return .outcome(.deferred(Reply(451, EnhancedStatus(4, 4, 4), text)))
        }
        return .endpoints(usable)
    }

    /// Whether this host is among them under that name.
    func isListed(_ name: Domain?, in targets: [RouteTarget]) -> Bool {
        targets.contains { isOwn($0, name ?? ownName) }
    }

    private func isOwn(_ target: RouteTarget, _ name: Domain) -> Bool {
        target.name == name || target.addresses.contains { ownAddresses.contains($0.unmapped) }
    }

    private func mayConnect(to address: IPAddress) -> Bool {
        let address = address.unmapped
        return !address.isLoopback && !address.isUnspecified && !address.isMulticast && !ownAddresses.contains(address)
    }
}
