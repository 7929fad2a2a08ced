// SPDX-License-Identifier: ISC

import Bytes
public import Configuration

/// A pattern for addresses: `user`, `@domain`, `user@domain`, or `@` for every one.
public struct MailboxPattern: Hashable, Sendable {
    public let user: String
    public let domain: String

    public init(_ text: String) { (user, domain) = Self.parts(of: text.asciiLowercased) }

    /// What stands before and behind the last `@`; without one, the whole is a user.
    static func parts(of text: String) -> (user: String, domain: String) {
        guard let at = text.utf8.lastIndex(of: UInt8(ascii: "@")) else { return (text, "") }
        return (String(text[..<at]), String(text[text.utf8.index(after: at)...]))
    }

    /// Whether `address` (`user@domain`, or `@` for the empty sender) is meant. The domain follows ``DomainPattern``; a tag in
    /// the address counts only where the pattern has one.
    public func matches(_ address: String, delimiters: SubaddressDelimiters) -> Bool {
        let (addressUser, addressDomain) = Self.parts(of: address.asciiLowercased)
        if !domain.isEmpty, !DomainPattern(domain).matches(addressDomain) { return false }
        if user.isEmpty { return true }
        let hasTag = delimiters.split(user) != nil
        return user == (hasTag ? addressUser : delimiters.base(of: addressUser))
    }

    /// The patterns whose domain has a wildcard; all others are found by their text.
    struct Index: Sendable {
        private var domains = DomainPattern.Index()
        private var domainsOfUser: [String: DomainPattern.Index] = [:]

        mutating func insert(_ pattern: MailboxPattern) {
            if pattern.user.isEmpty {
                domains.insert(pattern.domain)
            } else {
                domainsOfUser[pattern.user, default: DomainPattern.Index()].insert(pattern.domain)
            }
        }

        func matches(user: String, domain: String) -> Bool {
            domainsOfUser[user]?.matches(domain) ?? false
        }

        func matches(domain: String) -> Bool { domains.matches(domain) }
    }
}
