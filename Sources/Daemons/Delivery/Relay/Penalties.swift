// SPDX-License-Identifier: ISC

import Mail

/// Hosts that could not be reached, and how long each is left alone: 15 s, 60 s, 135 s, up to an hour.
nonisolated struct Penalties: Sendable {
    struct Key: Hashable, Sendable {
        let address: IPAddress
        let port: UInt16
        // A certificate that is no good under one policy is no matter under another.
        let security: SecurityPolicy

        init(_ endpoint: Endpoint) {
            address = endpoint.address
            port = endpoint.port
            security = endpoint.security
        }
    }

    // The reference's numbers.
    private static let unitSeconds: UInt64 = 15
    private static let longestSeconds: UInt64 = 3600
    private static let most = 10_000

    private struct Entry: Sendable {
        var count: UInt64
        var until: UInt64
    }

    private var entries: [Key: Entry] = [:]

    /// Notes a failed attempt and returns for how many seconds the host is left alone. `now` in monotonic milliseconds.
    mutating func failed(_ endpoint: Endpoint, now: UInt64) -> UInt64 {
        if entries.count >= Self.most { entries = entries.filter { $0.value.until > now } }
        let key = Key(endpoint)
        let count = min((entries[key]?.count ?? 0) + 1, Self.longestSeconds)
        let seconds = min(Self.unitSeconds * count * count, Self.longestSeconds)
        entries[key] = Entry(count: count, until: now + seconds * 1000)
        return seconds
    }

    mutating func succeeded(_ endpoint: Endpoint) {
        entries[Key(endpoint)] = nil
    }

    func isBlocked(_ endpoint: Endpoint, now: UInt64) -> Bool {
        (entries[Key(endpoint)]?.until ?? 0) > now
    }
}
