// SPDX-License-Identifier: ISC

public import Mail

/// What each client has and has had of this server: sessions that are open, and what came within the last minute.
///
/// A client is an IPv4 address, or the /64 of an IPv6 address, within which one host may have any; networks are /24 and
/// /48. A rate counts in minutes of the clock that is handed in: what came in the one before counts for the part of it
/// that is less than a minute ago. Clients without a session are forgotten when there are too many to remember.
public struct ClientLedger: Sendable {
    /// Zero stands for no limit.
    public struct Limits: Hashable, Sendable {
        public var sessions = 0
        public var sessionsPerSource = 50
        public var sessionsPerNetwork = 200
        /// In a minute, from one source; so are the next ones.
        public var connectionRate = 1200
        public var messageRate = 6000
        public var recipientRate = 60_000

        public init() {}
    }

    /// The limit that was reached; the raw value is its name in the configuration and in `show stats`.
    public enum Excess: String, CaseIterable, Hashable, Sendable {
        case sessions = "max-session"
        case source = "max-session-per-source"
        case network = "max-session-per-network"
        case connections = "max-connect-rate"
        case messages = "max-mail-rate"
        case recipients = "max-rcpt-rate"

        public var reply: Reply {
            switch self {
            case .sessions: Reply(421, EnhancedStatus(4, 3, 2), "Too many connections, try again later")
            case .source, .network:
                Reply(421, EnhancedStatus(4, 7, 0), "Too many connections from your address, try again later")
            case .connections:
                Reply(421, EnhancedStatus(4, 7, 0), "Connections from your address come too fast, try again later")
            case .messages:
                Reply(451, EnhancedStatus(4, 7, 0), "Messages from your address come too fast, try again later")
            case .recipients:
                Reply(451, EnhancedStatus(4, 7, 0), "Recipients from your address come too fast, try again later")
            }
        }
    }

    // A hundred bytes each; more are those of an attack.
    static let mostSources = 100_000
    private static let window: UInt64 = 60_000

    private struct Rate {
        var minute: UInt64 = 0
        var current = 0
        var previous = 0

        mutating func count(at milliseconds: UInt64, limit: Int) -> Bool {
            let now = milliseconds / window
            if now != minute {
                previous = now == minute + 1 ? current : 0
                current = 0
                minute = now
            }
            let left = Int(window - milliseconds % window)
            let weighted = current + previous * left / Int(window)
            guard limit == 0 || weighted < limit else { return false }
            current += 1
            return true
        }
    }

    private struct Source {
        var sessions = 0
        var lastSeen: UInt64 = 0
        var connections = Rate()
        var messages = Rate()
        var recipients = Rate()
    }

    public var limits: Limits
    private var sources: [NetworkPattern: Source] = [:]
    private var networks: [NetworkPattern: Int] = [:]
    private var sessions = 0

    public init(_ limits: Limits = Limits()) { self.limits = limits }

    /// Clients that are remembered.
    public var count: Int { sources.count }

    private static func source(_ address: IPAddress) -> NetworkPattern {
        let plain = address.unmapped
        return NetworkPattern(plain, prefixLength: plain.family == .v4 ? 32 : 64)
    }

    private static func network(_ address: IPAddress) -> NetworkPattern {
        let plain = address.unmapped
        return NetworkPattern(plain, prefixLength: plain.family == .v4 ? 24 : 48)
    }

    /// A client of this address wants a session; when it gets one, `close` is owed.
    public mutating func open(_ address: IPAddress, at milliseconds: UInt64) -> Excess? {
        let (key, network) = (Self.source(address), Self.network(address))
        if sources.count >= Self.mostSources, sources[key] == nil { sweep(at: milliseconds) }
        var source = sources[key] ?? Source()
        source.lastSeen = milliseconds
        let isTimely = source.connections.count(at: milliseconds, limit: limits.connectionRate)
        defer { sources[key] = source }
        guard isTimely else { return .connections }
        if limits.sessions > 0, sessions >= limits.sessions { return .sessions }
        if limits.sessionsPerSource > 0, source.sessions >= limits.sessionsPerSource { return .source }
        if limits.sessionsPerNetwork > 0, networks[network, default: 0] >= limits.sessionsPerNetwork {
            return .network
        }
        source.sessions += 1
        networks[network, default: 0] += 1
        sessions += 1
        return nil
    }

    public mutating func close(_ address: IPAddress) {
        let (key, network) = (Self.source(address), Self.network(address))
        sessions = max(0, sessions - 1)
        sources[key]?.sessions -= 1
        let left = networks[network, default: 1] - 1
        networks[network] = left > 0 ? left : nil
    }

    /// One more message of the client begins.
    public mutating func message(_ address: IPAddress, at milliseconds: UInt64) -> Excess? {
        let isTimely = sources[Self.source(address), default: Source()].messages
            .count(at: milliseconds, limit: limits.messageRate)
        return isTimely ? nil : .messages
    }

    public mutating func recipient(_ address: IPAddress, at milliseconds: UInt64) -> Excess? {
        let isTimely = sources[Self.source(address), default: Source()].recipients
            .count(at: milliseconds, limit: limits.recipientRate)
        return isTimely ? nil : .recipients
    }

    // What has no session and was not seen for two minutes has no rate either; in an attack all without a session go.
    private mutating func sweep(at milliseconds: UInt64) {
        let old = milliseconds - min(milliseconds, 2 * Self.window)
        sources = sources.filter { $0.value.sessions > 0 || $0.value.lastSeen >= old }
        if sources.count >= Self.mostSources { sources = sources.filter { $0.value.sessions > 0 } }
    }
}
