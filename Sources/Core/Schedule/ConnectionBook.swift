// SPDX-License-Identifier: ISC

public import Mail

/// The connections that stand, counted in every way in which `mta limit` limits them, and when each was last opened.
///
/// A host is an address, a source one of ours; a route is both, a relay what an action does for a domain, a connector a
/// relay from one source.
public struct ConnectionBook: Sendable {
    public enum Scope: Hashable, Sendable {
        case host(IPAddress)
        case route(source: IPAddress?, host: IPAddress)
        case source(IPAddress?)
        case connector(relay: String, source: IPAddress?)
        case relay(String)
        case domain(String)

        /// The name of the limit in the configuration.
        public var limitName: String {
            switch self {
            case .host: "max-conn-per-host"
            case .route: "max-conn-per-route"
            case .source: "max-conn-per-source"
            case .connector: "max-conn-per-connector"
            case .relay: "max-conn-per-relay"
            case .domain: "max-conn-per-domain"
            }
        }

        public var delayName: String {
            switch self {
            case .host: "conn-delay-host"
            case .route: "conn-delay-route"
            case .source: "conn-delay-source"
            case .connector: "conn-delay-connector"
            case .relay: "conn-delay-relay"
            case .domain: "conn-delay-domain"
            }
        }
    }

    public struct Limit: Hashable, Sendable {
        public var scope: Scope
        public var most: Int
        /// From the opening of one connection to that of the next.
        public var delay: Interval
        /// From the end of one connection to the opening of the next.
        public var pause: Interval

        public init(_ scope: Scope, most: Int, delay: Interval = .seconds(0), pause: Interval = .seconds(0)) {
            self.scope = scope
            self.most = most
            self.delay = delay
            self.pause = pause
        }
    }

    public enum Verdict: Hashable, Sendable {
        case free
        /// So many stand already.
        case full(Scope)
        /// It is too early after the last one.
        case early(Scope, until: Instant)
    }

    public struct Line: Hashable, Sendable {
        public var count = 0
        public var opened: Instant?
        public var closed: Instant?
    }

    // What nobody uses is forgotten from time to time, at the latest when there are so many.
    private static let most = 20_000
    private static let memory = Interval.hours(4)

    public private(set) var lines: [Scope: Line] = [:]

    public init() {}

    /// Whether one more connection may be opened that counts for all of `limits`.
    public func verdict(_ limits: [Limit], now: Instant) -> Verdict {
        var early: Verdict?
        for limit in limits {
            guard let line = lines[limit.scope] else { continue }
            if line.count >= max(1, limit.most) { return .full(limit.scope) }
            for (moment, wait) in [(line.opened, limit.delay), (line.closed, limit.pause)] {
                guard let moment, moment + wait > now else { continue }
                if case .early(_, let until)? = early, until >= moment + wait { continue }
                early = .early(limit.scope, until: moment + wait)
            }
        }
        return early ?? .free
    }

    public mutating func open(_ limits: [Limit], now: Instant) {
        if lines.count >= Self.most { forget(now: now) }
        for limit in limits {
            lines[limit.scope, default: Line()].count += 1
            lines[limit.scope, default: Line()].opened = now
        }
    }

    public mutating func close(_ limits: [Limit], now: Instant) {
        for limit in limits {
            guard let count = lines[limit.scope]?.count, count > 0 else { continue }
            lines[limit.scope]?.count = count - 1
            lines[limit.scope]?.closed = now
        }
    }

    public func count(_ scope: Scope) -> Int { lines[scope]?.count ?? 0 }

    public mutating func forget(now: Instant) {
        lines = lines.filter { $0.value.count > 0 || ($0.value.closed ?? now) + Self.memory > now }
        if lines.count >= Self.most { lines = lines.filter { $0.value.count > 0 } }
    }
}
