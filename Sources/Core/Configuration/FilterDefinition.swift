// SPDX-License-Identifier: ISC

/// A filter by name: a program, one built-in condition, or a chain of others.
public struct FilterDefinition: Hashable, Sendable {
    public enum Phase: String, CaseIterable, Hashable, Sendable {
        case connect, helo, ehlo, auth
        case mailFrom = "mail-from"
        case recipient = "rcpt-to"
        case data, commit
    }

    public enum Condition: Hashable, Sendable {
        /// The client's name leads back to its address.
        case confirmedReverseName
        case reverseName(TablePattern?)
        case source(TablePattern)
        case helo(TablePattern)
        case authentication(TablePattern?)
        case sender(TablePattern)
        case recipient(TablePattern)
    }

    public enum Decision: Hashable, Sendable {
        case reject(String)
        case disconnect(String)
        case rewrite(String)
        case report(String)
        case junk
        case bypass
    }

    public struct Rule: Hashable, Sendable {
        public var phase: Phase
        public var condition: MatchRule.Criterion<Condition>
        public var decision: Decision
    }

    public enum Kind: Hashable, Sendable {
        /// A program that a `proc` line names.
        case process(String)
        /// A program of this filter alone.
        case command(ProcessDefinition)
        case rule(Rule)
        case chain([String])
    }

    public var name: String
    public var kind: Kind
    public var location: SourceLocation

    /// Written in place, without a name of its own.
    public var isAnonymous: Bool { name.hasPrefix("<dynchain:") }
}

/// A program that filters mail.
public struct ProcessDefinition: Hashable, Sendable {
    public var name: String
    public var command: String
    public var user: String?
    public var group: String?
    public var chroot: String?
    public var location: SourceLocation
}

/// A command around the commands of deliveries; `%{mda}` stands for the inner one.
public struct WrapperDefinition: Hashable, Sendable {
    public var name: String
    public var command: String
    public var location: SourceLocation
}
