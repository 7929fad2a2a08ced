// SPDX-License-Identifier: ISC

public import Mail

/// A host that takes mail for a domain.
public struct RouteHost: Hashable, Sendable {
    public var name: Domain
    public var preference: UInt16
    /// In the order to try; empty where the lookup of them failed for now.
    public var addresses: [IPAddress]

    public init(name: Domain, preference: UInt16, addresses: [IPAddress]) {
        self.name = name
        self.preference = preference
        self.addresses = addresses
    }
}

/// Where mail for a domain goes.
public enum Route: Hashable, Sendable {
    /// Best first; at most `RouteOrder.mostHosts`, at least one that has addresses.
    case hosts([RouteHost])
    /// The domain says that it takes no mail (RFC 7505).
    case nullMX
    case noSuchDomain
    case temporaryFailure(String)
    /// The domain is there, but none of its hosts has an address.
    case noAddress
    /// We ourselves are the best host for the domain (RFC 5321 section 5.1).
    case leadsBack

    /// What becomes of mail for the domain where there is no host to try; nil where there is one.
    public var failure: DeliveryOutcome? {
        switch self {
        case .hosts: nil
        // RFC 7505 section 4.2
        case .nullMX: .failed(Reply(556, EnhancedStatus(5, 1, 10), "Domain does not accept mail"))
        case .noSuchDomain: .failed(Reply(550, EnhancedStatus(5, 1, 2), "Domain does not exist"))
        case .temporaryFailure(let text): .deferred(Reply(451, EnhancedStatus(4, 4, 3), text))
        case .noAddress: .deferred(Reply(451, EnhancedStatus(4, 4, 4), "No MX found for domain"))
        case .leadsBack: .failed(Reply(554, EnhancedStatus(5, 4, 6), "Mail for the domain loops back to this host"))
        }
    }
}
