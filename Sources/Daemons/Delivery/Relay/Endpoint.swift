// SPDX-License-Identifier: ISC

import Configuration
import Mail

/// One address to connect to.
nonisolated struct Endpoint: Hashable, Sendable {
    let scheme: RelayURL.Scheme
    let security: SecurityPolicy
    let name: Domain
    let address: IPAddress
    let port: UInt16
    /// Of the host among those of its domain; less is better.
    var preference: UInt16 = 0
    /// The key of the credentials.
    var label: String?

    /// As the log writes it, for example `smtp://192.0.2.1:25`.
    var description: String { "\(word)://\(address.hostText):\(port)" }

    // The scheme that would have led to the same policy.
    private var word: String {
        switch (scheme, security) {
        case (.lmtp, _): RelayURL.Scheme.lmtp.rawValue
        case (_, .opportunistic): RelayURL.Scheme.smtp.rawValue
        case (_, .none): RelayURL.Scheme.smtpPlain.rawValue
        case (_, .required): RelayURL.Scheme.smtpTLS.rawValue
        case (_, .immediate): RelayURL.Scheme.smtps.rawValue
        }
    }

    /// As a delivery's line names it: `192.0.2.1 (mx.example.org)`.
    var relayName: String { "\(address.hostText) (\(name))" }

    /// Whether both are addresses of one host, which are raced.
    func isSameHost(as other: Endpoint) -> Bool {
        name == other.name && port == other.port && scheme == other.scheme && preference == other.preference
            && label == other.label
    }
}

nonisolated extension RelayURL.Scheme {
    var usualPort: UInt16 {
        switch self {
        case .smtp, .smtpTLS, .smtpPlain: 25
        case .smtps: 465
        // RFC 2033 section 5 forbids 25; 24 is for private mail systems.
        case .lmtp: 24
        }
    }
}

/// What a route came to.
nonisolated enum RouteResult: Hashable, Sendable {
    /// Best first, never empty; the addresses of a host are neighbours.
    case endpoints([Endpoint])
    /// What to tell about every message that waits for it.
    case outcome(DeliveryOutcome)
}
