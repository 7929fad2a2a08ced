// SPDX-License-Identifier: ISC

import IPC
import Mail

/// Routes that were found lately, each for as long as its records say, and the questions that several wait for.
struct RouteCache {
    struct Key: Hashable {
        var domain: Domain
        var isHost: Bool
    }

    static let most = 10_000
    // A record that lives shorter would be asked for with every message.
    static let shortestSeconds: UInt32 = 5
    static let longestSeconds: UInt32 = 3_600

    private var entries: [Key: (answer: RouteAnswer, until: UInt64)] = [:]

    /// What is known at `now`, in monotonic milliseconds.
    func answer(_ key: Key, at now: UInt64) -> RouteAnswer? {
        guard let entry = entries[key], entry.until > now else { return nil }
        return entry.answer
    }

    mutating func keep(_ answer: RouteAnswer, for key: Key, at now: UInt64) {
        if entries.count >= Self.most {
            entries = entries.filter { $0.value.until > now }
            if entries.count >= Self.most { entries.removeAll(keepingCapacity: true) }
        }
        let seconds: UInt32 =
            switch answer {
            case .found(_, _, let lifetime): min(max(lifetime, Self.shortestSeconds), Self.longestSeconds)
            case .failed, .deferred: Self.shortestSeconds
            }
        entries[key] = (answer, now + UInt64(seconds) * 1000)
    }

    mutating func removeAll() { entries.removeAll() }
}
