// SPDX-License-Identifier: ISC

import Bytes
public import Configuration
import Mail

/// The content of a table that is held in memory, indexed for every way of asking: a million exact keys cost one hash.
///
/// Keys are in lower case, and so is what is asked. Only keys with a wildcard are ever tried one by one.
public struct TableContent: Sendable {
    public enum Shape: Hashable, Sendable {
        case list
        case mapping
    }

    // The reference refuses longer keys.
    public static let longestKey = 1023

    public let shape: Shape
    // A list has empty values.
    private var values: [String: String] = [:]
    private var domains = DomainPattern.Index()
    private var mailboxes = MailboxPattern.Index()
    private var networks = NetworkPattern.Index()
    private var wildcards: [String] = []
    private var expressions: [(key: String, expression: RegularExpression)]?

    public init(list: some Sequence<String>) {
        self.init(.list, capacity: list.underestimatedCount)
        for key in list { insert(key, "") }
        sortPatterns()
    }

    /// A later value replaces an earlier one of the same key.
    public init(mapping: some Sequence<(String, String)>) {
        self.init(.mapping, capacity: mapping.underestimatedCount)
        for (key, value) in mapping { insert(key, value) }
        sortPatterns()
    }

    /// To be filled entry by entry and then sorted.
    init(_ shape: Shape, capacity: Int) {
        self.shape = shape
        values.reserveCapacity(capacity)
    }

    /// The content that the configuration itself spells; nil for a table whose content is elsewhere.
    public init?(_ kind: TableDefinition.Kind) {
        switch kind {
        case .list(let elements): self.init(list: elements)
        case .mapping(let entries): self.init(mapping: entries.lazy.map { ($0.key, $0.value) })
        case .file, .backend: return nil
        }
    }

    public var count: Int { values.count }
    /// All keys in ascending order.
    public var keys: [String] { values.keys.sorted() }

    public func contains(
        _ key: String, for service: TableService, delimiters: SubaddressDelimiters = .plus
    ) -> Bool {
        let key = key.asciiLowercased
        if values[key] != nil, service != .mailbox, service != .regularExpression { return true }
        switch service {
        case .domain:
            return domains.matches(key)
        case .networkAddress:
            return IPAddress(hostText: key).map(networks.matches) ?? false
        case .mailbox:
            return containsMailbox(key, delimiters)
        case .regularExpression:
            if let expressions { return expressions.contains { $0.expression.matches(key) } }
            return values.keys.contains { RegularExpression($0)?.matches(key) ?? false }
        case .alias, .credentials, .authentication, .user, .source, .nameOfAddress, .senders, .relayHost, .text:
            return false
        }
    }

    /// The value of `key`, or of the first key in ascending order that matches it; nil when there is none.
    public func value(
        of key: String, for service: TableService, delimiters: SubaddressDelimiters = .plus
    ) -> String? {
        let key = key.asciiLowercased
        if let value = values[key] { return value }
        switch service {
        case .domain:
            guard domains.matches(key) else { return nil }
            return wildcards.first { DomainPattern($0).matches(key) }.flatMap { values[$0] }
        case .nameOfAddress, .networkAddress:
            guard let address = IPAddress(hostText: key) else { return nil }
            if let value = values[address.description] ?? values[address.hostText] { return value }
            guard service == .networkAddress, networks.matches(address) else { return nil }
            return keys.first { NetworkPattern($0)?.matches(address) ?? false }.flatMap { values[$0] }
        case .mailbox:
            guard containsMailbox(key, delimiters) else { return nil }
            return keys.first { MailboxPattern($0).matches(key, delimiters: delimiters) }.flatMap { values[$0] }
        case .regularExpression:
            if let expressions { return expressions.first { $0.expression.matches(key) }.flatMap { values[$0.key] } }
            return keys.first { RegularExpression($0)?.matches(key) ?? false }.flatMap { values[$0] }
        case .alias, .credentials, .authentication, .user, .source, .senders, .relayHost, .text:
            return nil
        }
    }

    /// Compiles the keys as regular expressions, once, for a table that is used as such, and returns those that are none.
    public mutating func compileRegularExpressions() -> [String] {
        var compiled: [(key: String, expression: RegularExpression)] = []
        var invalid: [String] = []
        for key in keys {
            if let expression = RegularExpression(key) {
                compiled.append((key, expression))
            } else {
                invalid.append(key)
            }
        }
        expressions = compiled
        return invalid
    }

    mutating func sortPatterns() { wildcards.sort() }

    /// Joins `addition` to the value of `key`, which has one; returns the length of the whole in bytes.
    mutating func extend(_ key: String, by addition: String) -> Int {
        values[key.asciiLowercased, default: ""] += " " + addition
        return values[key.asciiLowercased]?.utf8.count ?? 0
    }

    mutating func insert(_ key: String, _ value: String) {
        let key = key.asciiLowercased
        values[key] = value
        if key.utf8.contains(UInt8(ascii: "*")) {
            wildcards.append(key)
            if !key.utf8.contains(UInt8(ascii: "@")) { domains.insert(key) }
            let pattern = MailboxPattern(key)
            if pattern.domain.utf8.contains(UInt8(ascii: "*")) { mailboxes.insert(pattern) }
        } else if Self.mayBeNetwork(key), let network = NetworkPattern(key) {
            networks.insert(network)
        }
    }

    // Spares a domain table of a million lines the attempt.
    private static func mayBeNetwork(_ key: String) -> Bool {
        key.utf8.allSatisfy { $0.isDigit || $0 == .dot || $0 == UInt8(ascii: "/") }
            || key.utf8.contains(.colon)
            || key.utf8.first == UInt8(ascii: "[")
    }

    private func containsMailbox(_ key: String, _ delimiters: SubaddressDelimiters) -> Bool {
        if values["@"] != nil { return true }
        let (user, domain) = MailboxPattern.parts(of: key)
        if !domain.isEmpty, values["@" + domain] != nil || mailboxes.matches(domain: domain) { return true }
        if user.isEmpty { return false }
        let base = delimiters.base(of: user)
        for name in base == user ? [user] : [user, base] {
            // A quoted local part may have an `@`, and then spells what would be a key of another kind.
            if values[name] != nil, !name.utf8.contains(UInt8(ascii: "@")) { return true }
            if values[name + "@"] != nil { return true }
            if !domain.isEmpty {
                if values[name + "@" + domain] != nil || mailboxes.matches(user: name, domain: domain) { return true }
            }
        }
        return false
    }
}
