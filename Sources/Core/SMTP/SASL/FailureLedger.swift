// SPDX-License-Identifier: ISC

public import Mail

/// Failures of authentication, by whence they came and whom they were for: whoever guesses is slowed down.
///
/// A source is an IPv4 address or an IPv6 /64. After its tenth failure within ten minutes nothing from it is looked at
/// until they are over. A user has a hundred, so that those who guess from everywhere are slowed too; but a source from
/// which this user came in before is not made to pay for them. Old entries go, and in an attack the oldest ones.
public struct FailureLedger: Sendable {
    public static let mostOfSource = 10
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
    private var users: [String: Failures] = [:]
    private var trusted: [Pair: UInt64] = [:]

    public init() {}

    private static func source(_ address: IPAddress) -> NetworkPattern {
        let plain = address.unmapped
        return NetworkPattern(plain, prefixLength: plain.family == .v4 ? 32 : 64)
    }

    /// Whether a try may be looked at now.
    public func mayTry(_ user: String, from address: IPAddress, at milliseconds: UInt64) -> Bool {
        let source = Self.source(address)
        if count(sources[source], milliseconds) >= Self.mostOfSource { return false }
        if count(users[user], milliseconds) < Self.mostOfUser { return true }
        return trusted[Pair(user: user, source: source)].map { milliseconds < $0 + Self.trustMilliseconds } ?? false
    }

    public mutating func failed(_ user: String, from address: IPAddress, at milliseconds: UInt64) {
        let source = Self.source(address)
        sources[source] = more(sources[source], milliseconds)
        users[user] = more(users[user], milliseconds)
        if sources.count > Self.most { sources = sweep(sources, milliseconds) }
        if users.count > Self.most { users = sweep(users, milliseconds) }
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

    private func more(_ failures: Failures?, _ milliseconds: UInt64) -> Failures {
        var next = failures ?? Failures(since: milliseconds)
        if milliseconds >= next.since + Self.windowMilliseconds { next = Failures(since: milliseconds) }
        next.count += 1
        return next
    }

    private func sweep<Key>(_ all: [Key: Failures], _ milliseconds: UInt64) -> [Key: Failures] {
        let live = all.filter { count($0.value, milliseconds) > 0 }
        guard live.count > Self.most else { return live }
        return live.filter { $0.value.count > 1 }.count > Self.most ? [:] : live.filter { $0.value.count > 1 }
    }
}
