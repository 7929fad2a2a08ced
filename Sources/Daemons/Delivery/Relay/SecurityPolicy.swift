// SPDX-License-Identifier: ISC

import Configuration
import Mail

/// What a connection must be before mail goes over it. It is part of the route, decided before anything is connected,
/// and whatever a server says or does not say lowers it no more.
nonisolated enum SecurityPolicy: Hashable, Sendable {
    /// Plain text, whatever is offered.
    case none
    /// STARTTLS where it is offered; any certificate will do, since plain text would do as well.
    case opportunistic
    /// STARTTLS, or no mail.
    case required(Verification)
    /// TLS from the first byte.
    case immediate(Verification)

    enum Verification: Hashable, Sendable {
        case none
        /// The certificate is vouched for and has the host's name.
        case full
    }

    /// What the URL of a host and the `tls` of an action come to; nil when they exclude each other.
    init?(_ scheme: RelayURL.Scheme, _ encryption: RelayAction.Encryption) {
        let verification: Verification = encryption == .requiredUnverified ? .none : .full
        switch (scheme, encryption) {
        case (.smtps, _): self = .immediate(verification)
        case (.smtpTLS, _): self = .required(verification)
        case (.smtp, .opportunistic): self = .opportunistic
        case (.smtp, .required), (.smtp, .requiredUnverified): self = .required(verification)
        case (.smtpPlain, .opportunistic), (.lmtp, .opportunistic): self = .none
        case (.lmtp, .required), (.lmtp, .requiredUnverified): self = .required(verification)
        case (.smtpPlain, .required), (.smtpPlain, .requiredUnverified): return nil
        }
    }

    var isMandatory: Bool {
        switch self {
        case .none, .opportunistic: false
        case .required, .immediate: true
        }
    }
}

/// Which hosts had TLS when they were seen last, so that one who stands between cannot have it forgotten.
///
/// A host whose handshake went well must not do without for a while; one that offers TLS and cannot do it is spared the
/// offer for a while, as long as it never could.
nonisolated struct SecurityMemory: Sendable {
    struct Key: Hashable, Sendable {
        let address: IPAddress
        let port: UInt16

        init(_ endpoint: Endpoint) {
            self.init(endpoint.address, port: endpoint.port)
        }

        init(_ address: IPAddress, port: UInt16) {
            self.address = address
            self.port = port
        }
    }

    // Shorter than mail waits (queue ttl): a host that gives TLS up gets its mail in the end.
    static let trustedMilliseconds: UInt64 = 2 * 86_400_000
    static let brokenMilliseconds: UInt64 = 3_600_000
    // What is kept of it for the next process is renewed when a quarter of the time is gone, not each time.
    static let renewalMilliseconds: UInt64 = trustedMilliseconds / 4
    static let most = 20_000

    private enum Standing: Sendable {
        case proven
        case broken
    }

    private var hosts: [Key: (standing: Standing, until: UInt64)] = [:]

    var count: Int { hosts.count }

    /// Whether a host under `opportunistic` may be spoken to in plain text. `now` in monotonic milliseconds.
    func mustHaveTLS(_ endpoint: Endpoint, now: UInt64) -> Bool { standing(endpoint, now) == .proven }

    /// Whether an offer of STARTTLS is not worth a try.
    func cannotDoTLS(_ endpoint: Endpoint, now: UInt64) -> Bool { standing(endpoint, now) == .broken }

    private func standing(_ endpoint: Endpoint, _ now: UInt64) -> Standing? {
        guard let host = hosts[Key(endpoint)], host.until > now else { return nil }
        return host.standing
    }

    /// True when this should be known to the next process, too, and may not be yet.
    mutating func succeeded(_ endpoint: Endpoint, now: UInt64) -> Bool {
        let key = Key(endpoint)
        if let host = hosts[key], host.standing == .proven,
            host.until > now + Self.trustedMilliseconds - Self.renewalMilliseconds
        {
            return false
        }
        makeRoom(now)
        hosts[key] = (.proven, now + Self.trustedMilliseconds)
        return true
    }

    /// What a process before this one knew; what is known here already is newer.
    mutating func restore(_ address: IPAddress, port: UInt16, milliseconds: UInt64, now: UInt64) {
        let key = Key(address, port: port)
        guard hosts[key] == nil, hosts.count < Self.most else { return }
        hosts[key] = (.proven, now + min(milliseconds, Self.trustedMilliseconds))
    }

    mutating func failed(_ endpoint: Endpoint, now: UInt64) {
        guard !mustHaveTLS(endpoint, now: now) else { return }
        makeRoom(now)
        hosts[Key(endpoint)] = (.broken, now + Self.brokenMilliseconds)
    }

    private mutating func makeRoom(_ now: UInt64) {
        guard hosts.count >= Self.most else { return }
        hosts = hosts.filter { $0.value.until > now }
        if hosts.count >= Self.most { hosts.removeAll() }
    }
}
