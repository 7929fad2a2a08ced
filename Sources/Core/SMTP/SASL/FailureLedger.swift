// SPDX-License-Identifier: ISC

public import Mail

/// Failures of authentication, by whence they came and whom they were for: whoever guesses is slowed down.
///
/// A source is an IPv4 address or an IPv6 /64. After its tenth failure within ten minutes nothing from it is looked at
/// until they are over. A user has a hundred, so that those who guess from everywhere are slowed too, and so has an IPv6
/// /48, whose owner has 65,536 of the others; but a source from which this user came in before is not made to pay for
/// them. Old entries go, and in an attack the oldest ones: whoever is new is always counted.
public struct FailureLedger: Sendable {
    public static let mostOfSource = 10
    public static let mostOfNetwork = 100
    public static let mostOfUser = 100
    static let windowMilliseconds: UInt64 = 600_000
    static let most = 50_000
    // Sources that a user came in from, remembered for a day.
    static let trustMilliseconds: UInt64 = 86_400_000

    private struct Failures {
        var since: UInt64
        var count = 0
    }

    private struct Pair: Hashable {
        let user: String
        let source: NetworkPattern
    }

    private var sources: [NetworkPattern: Failures] = [:]
    private var networks: [NetworkPattern: Failures] = [:]
    private var users: [String: Failures] = [:]
    private var trusted: [Pair: UInt64] = [:]

    public init() {}

    private static func source(_ address: IPAddress) -> NetworkPattern {
        let plain = address.unmapped
        return NetworkPattern(plain, prefixLength: plain.family == .v4 ? 32 : 64)
    }

    // RFC 6177: a site may get a /48.
    private static func network(_ address: IPAddress) -> NetworkPattern? {
        let plain = address.unmapped
        return plain.family == .v4 ? nil : NetworkPattern(plain, prefixLength: 48)
    }

    /// Whether a try may be looked at now.
    public func mayTry(_ user: String, from address: IPAddress, at milliseconds: UInt64) -> Bool {
        let source = Self.source(address)
        if count(sources[source], milliseconds) >= Self.mostOfSource { return false }
        let ofNetwork = Self.network(address).map { count(networks[$0], milliseconds) } ?? 0
        if ofNetwork < Self.mostOfNetwork, count(users[user], milliseconds) < Self.mostOfUser { return true }
        return trusted[Pair(user: user, source: source)].map { milliseconds < $0 + Self.trustMilliseconds } ?? false
    }

    public mutating func failed(_ user: String, from address: IPAddress, at milliseconds: UInt64) {
        Self.add(Self.source(address), to: &sources, milliseconds)
        if let network = Self.network(address) { Self.add(network, to: &networks, milliseconds) }
        Self.add(user, to: &users, milliseconds)
    }

    public mutating func succeeded(_ user: String, from address: IPAddress, at milliseconds: UInt64) {
        let source = Self.source(address)
        if trusted.count >= Self.most { trusted.removeAll() }
        trusted[Pair(user: user, source: source)] = milliseconds
    }

    private func count(_ failures: Failures?, _ milliseconds: UInt64) -> Int {
        guard let failures, milliseconds < failures.since + Self.windowMilliseconds else { return 0 }
        return failures.count
    }

    private static func add<Key>(_ key: Key, to all: inout [Key: Failures], _ milliseconds: UInt64) {
        var next = all[key] ?? Failures(since: milliseconds)
        if milliseconds >= next.since + windowMilliseconds { next = Failures(since: milliseconds) }
        next.count += 1
        all[key] = next
        if all.count > most { sweep(&all, milliseconds) }
    }

    // To three quarters at most, so that it is far from being done each time.
    private static func sweep<Key>(_ all: inout [Key: Failures], _ milliseconds: UInt64) {
        all = all.filter { milliseconds < $0.value.since + windowMilliseconds }
        let room = most / 4 * 3
        guard all.count > room else { return }
        let newest = all.sorted { $0.value.since > $1.value.since }.prefix(room)
        all = Dictionary(uniqueKeysWithValues: newest.map { ($0.key, $0.value) })
    }
}
