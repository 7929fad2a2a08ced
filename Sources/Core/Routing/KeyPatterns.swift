// SPDX-License-Identifier: ISC

import Bytes
public import Configuration
import Mail

/// The keys of a table that stand for many (wildcards, networks, regular expressions), and what is asked of a table in
/// the way of each service. The other keys are somewhere else, in memory or in a database, and are found by their text.
public struct KeyPatterns: Sendable {
    private var domains = DomainPattern.Index()
    private var mailboxes = MailboxPattern.Index()
    private var networks = NetworkPattern.Index()
    private var wildcards: [String] = []
    private var networkKeys: [String] = []
    private var expressions: [(key: String, expression: RegularExpression)] = []

    public init() {}

    /// Takes note of `key`, which is in lower case, if it is such a pattern.
    public mutating func insert(_ key: Span<UInt8>) {
        if key.firstIndex(of: UInt8(ascii: "*")) != nil {
            insert(wildcard: String(displaying: key))
        } else if Self.mayBeNetwork(key) {
            insert(network: String(displaying: key))
        }
    }

    private mutating func insert(wildcard key: String) {
        wildcards.append(key)
        if !key.utf8.contains(UInt8(ascii: "@")) { domains.insert(key) }
        let pattern = MailboxPattern(key)
        if pattern.domain.utf8.contains(UInt8(ascii: "*")) { mailboxes.insert(pattern) }
    }

    private mutating func insert(network key: String) {
        guard let network = NetworkPattern(key) else { return }
        // A single address as it is usually written is found by its text.
        if let address = IPAddress(hostText: key), key == address.hostText || key == address.description { return }
        networks.insert(network)
        networkKeys.append(key)
    }

    // Spares a domain table of a million lines the attempt.
    private static func mayBeNetwork(_ key: Span<UInt8>) -> Bool {
        if key.first == UInt8(ascii: "[") || key.firstIndex(of: .colon) != nil { return true }
        for index in key.indices {
            let byte = key[index]
            guard byte.isDigit || byte == .dot || byte == UInt8(ascii: "/") else { return false }
        }
        return true
    }

    /// Whether `one` stands before `two`: byte by byte.
    static func precedes(_ one: String, _ two: String) -> Bool { one.utf8.lexicographicallyPrecedes(two.utf8) }

    /// Takes `keys`, which stand behind those that were taken before, as regular expressions, compiled now and never again;
    /// returns those that are none.
    public mutating func compile(_ keys: some Sequence<String>) -> [String] {
        var invalid: [String] = []
        for key in keys {
            if let expression = RegularExpression(key) {
                expressions.append((key, expression))
            } else {
                invalid.append(key)
            }
        }
        return invalid
    }

    /// Whether `key` matches a key of the table in the way of `service`. `contains` says whether the table has just that
    /// key.
    public func matches<Failure: Error>(
        _ key: String, for service: TableService, delimiters: SubaddressDelimiters,
        contains: (String) throws(Failure) -> Bool
    ) throws(Failure) -> Bool {
        switch service {
        case .domain:
            if try contains(key) { return true }
            return domains.matches(key)
        case .networkAddress:
            if try contains(key) { return true }
            guard let address = IPAddress(hostText: key) else { return false }
            if try contains(address.hostText) { return true }
            if try contains(address.description) { return true }
            return networks.matches(address)
        case .nameOfAddress:
            return try firstKey(matching: key, for: service, delimiters: delimiters, contains: contains) != nil
        case .mailbox:
            for name in Self.exactKeys(ofMailbox: key, delimiters) where try contains(name) { return true }
            return matchesMailboxWildcard(key, delimiters)
        case .regularExpression:
            return expressions.contains { $0.expression.matches(key) }
        case .alias, .credentials, .authentication, .user, .source, .senders, .relayHost, .text:
            return try contains(key)
        }
    }

    /// The key of the table that `key` matches in the way of `service`: that very one, else the first pattern.
    public func firstKey<Failure: Error>(
        matching key: String, for service: TableService, delimiters: SubaddressDelimiters,
        contains: (String) throws(Failure) -> Bool
    ) throws(Failure) -> String? {
        switch service {
        case .domain:
            if try contains(key) { return key }
            guard domains.matches(key) else { return nil }
            return Self.first(of: wildcards) { DomainPattern($0).matches(key) }
        case .nameOfAddress, .networkAddress:
            if try contains(key) { return key }
            guard let address = IPAddress(hostText: key) else { return nil }
            for text in [address.hostText, address.description] where try contains(text) { return text }
            guard networks.matches(address) else { return nil }
            return Self.first(of: networkKeys) { text in
                guard let network = NetworkPattern(text), network.matches(address) else { return false }
                // A name belongs to one address, however that is written; not to all of a network.
                return service == .networkAddress || network.prefixLength == address.bytes.count * 8
            }
        case .mailbox:
            for name in Self.exactKeys(ofMailbox: key, delimiters) where try contains(name) { return name }
            guard matchesMailboxWildcard(key, delimiters) else { return nil }
            return Self.first(of: wildcards) { MailboxPattern($0).matches(key, delimiters: delimiters) }
        case .regularExpression:
            return expressions.first { $0.expression.matches(key) }?.key
        case .alias, .credentials, .authentication, .user, .source, .senders, .relayHost, .text:
            return try contains(key) ? key : nil
        }
    }

    // They are not kept in order: a million of them would have to be sorted at once, before any is asked for.
    private static func first(of keys: [String], where matches: (String) -> Bool) -> String? {
        keys.lazy.filter(matches).min(by: precedes)
    }

    /// The keys without wildcard that mean the address `key`.
    private static func exactKeys(ofMailbox key: String, _ delimiters: SubaddressDelimiters) -> [String] {
        var keys = ["@"]
        let (user, domain) = MailboxPattern.parts(of: key)
        if !domain.isEmpty { keys.append("@" + domain) }
        if user.isEmpty { return keys }
        for name in names(of: user, delimiters) {
            // A quoted local part may have an `@`, and then spells what would be a key of another kind.
            if !name.utf8.contains(UInt8(ascii: "@")) { keys.append(name) }
            keys.append(name + "@")
            if !domain.isEmpty { keys.append("\(name)@\(domain)") }
        }
        return keys
    }

    private static func names(of user: String, _ delimiters: SubaddressDelimiters) -> [String] {
        let base = delimiters.base(of: user)
        return base == user ? [user] : [user, base]
    }

    private func matchesMailboxWildcard(_ key: String, _ delimiters: SubaddressDelimiters) -> Bool {
        if wildcards.isEmpty { return false }
        let (user, domain) = MailboxPattern.parts(of: key)
        if domain.isEmpty { return false }
        if mailboxes.matches(domain: domain) { return true }
        if user.isEmpty { return false }
        return Self.names(of: user, delimiters).contains { mailboxes.matches(user: $0, domain: domain) }
    }
}
