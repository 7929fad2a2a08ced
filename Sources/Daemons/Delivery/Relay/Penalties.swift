// SPDX-License-Identifier: ISC

import Mail

/// Routes, each a host seen from a source, that could not be used, and how long each is left alone: 15 s, 60 s, 135 s,
/// up to an hour.
nonisolated struct Penalties: Sendable {
    struct Key: Hashable, Sendable {
        let source: IPAddress?
        let address: IPAddress
        let port: UInt16
        // A certificate that is no good under one policy is no matter under another.
        let security: SecurityPolicy
        // Nor is a password that is wrong for one account any matter for another.
        let label: String?

        init(_ endpoint: Endpoint, from source: IPAddress?) {
            self.source = source
            address = endpoint.address
            port = endpoint.port
            security = endpoint.security
            label = endpoint.label
        }
    }

    struct Entry: Sendable {
        /// Failures in a row.
        var count: UInt64
        /// In monotonic milliseconds.
        var until: UInt64
        var reason: String
    }

    // The reference's numbers.
    private static let unitSeconds: UInt64 = 15
    private static let longestSeconds: UInt64 = 3600
    private static let most = 10_000

    private(set) var entries: [Key: Entry] = [:]

    /// Notes a failed attempt and returns for how many seconds the host is left alone. `now` in monotonic milliseconds.
    mutating func failed(_ endpoint: Endpoint, from source: IPAddress? = nil, because reason: String, now: UInt64)
        -> UInt64
    {
        if entries.count >= Self.most { entries = entries.filter { $0.value.until > now } }
        if entries.count >= Self.most { entries.removeAll() }
        let key = Key(endpoint, from: source)
        let count = min((entries[key]?.count ?? 0) + 1, Self.longestSeconds)
        let seconds = min(Self.unitSeconds * count * count, Self.longestSeconds)
        entries[key] = Entry(count: count, until: now + seconds * 1000, reason: reason)
        return seconds
    }

    mutating func succeeded(_ endpoint: Endpoint, from source: IPAddress? = nil) {
        entries[Key(endpoint, from: source)] = nil
    }

    /// What is held against the host; it may be tried again from `until` on.
    func entry(_ endpoint: Endpoint, from source: IPAddress? = nil) -> Entry? {
        entries[Key(endpoint, from: source)]
    }

    func isBlocked(_ endpoint: Endpoint, from source: IPAddress? = nil, now: UInt64) -> Bool {
        (entry(endpoint, from: source)?.until ?? 0) > now
    }
}
