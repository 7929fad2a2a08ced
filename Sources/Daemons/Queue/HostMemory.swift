// SPDX-License-Identifier: ISC

import IPC
import Mail
import Spool

/// Hosts that had TLS: kept here for the relays, which have no disk. Each is a note of the spool, as long as it counts.
nonisolated struct HostMemory {
    // As many as a relay remembers.
    static let most = 20_000
    // As long as a relay makes it count, so that a wrong clock is no reason to keep mail for years.
    static let longestLife = Interval.days(2)
    // A relay that says it all the time writes no record all the time.
    static let leastGain = Interval.hours(1)

    private static let prefix = Array("tls-host ".utf8)

    private var hosts: [[UInt8]: Timestamp] = [:]

    /// Takes in what was found in the spool; the keys that are to be forgotten there.
    mutating func restore(_ notes: [[UInt8]: [UInt8]], now: Timestamp) -> [[UInt8]] {
        var obsolete: [[UInt8]] = []
        for (key, value) in notes where key.starts(with: Self.prefix) {
            var reader = WireReader(value, 0..<value.count)
            guard Self.host(key) != nil, hosts.count < Self.most, let until = try? reader.value(Timestamp.self),
                until > now
            else {
                obsolete.append(key)
                continue
            }
            hosts[key] = min(until, now + Self.longestLife)
        }
        return obsolete
    }

    /// What is to be noted in the spool; nil when it is hardly news, when there are too many hosts, or the time of this one
    /// has passed.
    mutating func insert(_ host: ProtectedHost, now: Timestamp) -> (key: [UInt8], value: [UInt8])? {
        let key = Self.key(host.address, host.port)
        let until = min(host.until, now + Self.longestLife)
        if let known = hosts[key] {
            guard until - known >= Self.leastGain else { return nil }
        } else {
            guard until > now, hosts.count < Self.most else { return nil }
        }
        hosts[key] = until
        var value: [UInt8] = []
        until.encode(to: &value)
        return (key, value)
    }

    /// Those whose time has passed, which are to be forgotten in the spool.
    mutating func expired(now: Timestamp) -> [[UInt8]] {
        let keys = hosts.filter { $0.value <= now }.map(\.key)
        for key in keys { hosts[key] = nil }
        return keys
    }

    var all: [ProtectedHost] {
        hosts.compactMap { key, until in
            Self.host(key).map { ProtectedHost(address: $0.address, port: $0.port, until: until) }
        }
    }

    private static func key(_ address: IPAddress, _ port: UInt16) -> [UInt8] {
        var key = prefix
        address.encode(to: &key)
        port.encode(to: &key)
        return key
    }

    private static func host(_ key: [UInt8]) -> (address: IPAddress, port: UInt16)? {
        var reader = WireReader(key, min(prefix.count, key.count)..<key.count)
        guard let address = try? reader.value(IPAddress.self), let port = try? reader.value(UInt16.self) else {
            return nil
        }
        return (address, port)
    }
}
