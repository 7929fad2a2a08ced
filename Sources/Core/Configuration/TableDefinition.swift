// SPDX-License-Identifier: ISC

/// A table of the configuration: what it is called and where its content comes from.
public struct TableDefinition: Hashable, Sendable {
    public static let longestName = 64

    public struct Entry: Hashable, Sendable {
        public var key: String
        public var value: String

        public init(key: String, value: String) {
            self.key = key
            self.value = value
        }
    }

    public enum Kind: Hashable, Sendable {
        /// Elements written in the configuration, in the order written, as written.
        case list([String])
        /// Keys and values written in the configuration; a later key replaces an earlier equal one.
        case mapping([Entry])
        /// A text file that is read at start; whether it is a list or a mapping is in its content.
        case file(path: String)
        /// Any other kind, such as `db`, or a program `table-NAME`; its parameter is an absolute path.
        case backend(name: String, path: String?)
    }

    public var name: String
    public var kind: Kind
    public var location: SourceLocation

    public init(name: String, kind: Kind, location: SourceLocation = .builtIn) {
        self.name = name
        self.kind = kind
        self.location = location
    }

    /// Written in place, without a name of its own.
    public var isAnonymous: Bool { name.hasPrefix("<dynamic:") }
}

/// A table that is there without being defined.
public enum BuiltInTable: String, CaseIterable, Hashable, Sendable {
    /// The local host, and every address of either family.
    case anyHost = "anyhost"
    /// The local host and each address of an interface.
    case localHost = "localhost"
    /// `localhost`, the server's name, and the text of each address of an interface.
    case localNames = "localnames"
    /// Every domain.
    case anyDestination = "anydestination"
    /// The users of the system.
    case users = "getpwnam"
}

/// The table that a statement uses.
public enum TableReference: Hashable, Sendable, CustomStringConvertible {
    case builtIn(BuiltInTable)
    case named(String)

    public var name: String {
        switch self {
        case .builtIn(let table): table.rawValue
        case .named(let name): name
        }
    }

    public var description: String { "<\(name)>" }
}

/// A table to match against, its keys taken as patterns of the criterion or as regular expressions.
public struct TablePattern: Hashable, Sendable {
    public enum Syntax: Hashable, Sendable {
        case ordinary
        case regularExpression
    }

    public var table: TableReference
    public var syntax: Syntax

    public init(_ table: TableReference, _ syntax: Syntax = .ordinary) {
        self.table = table
        self.syntax = syntax
    }
}

/// What a table is asked for, hence which kinds of content it may have.
public enum TablePurpose: String, CaseIterable, Hashable, Sendable {
    case alias, virtual, userbase, domain, host
    case heloSource = "helo-src"
    case source = "src"
    case credentials = "auth"
    case hostnames, senders
    case tag, helo, from
    case destination = "for"
    case sender = "mail-from"
    case recipient = "rcpt-to"
    case user

    public var acceptsList: Bool {
        switch self {
        case .alias, .virtual, .userbase, .domain, .heloSource, .credentials, .hostnames, .senders: false
        case .host, .source, .tag, .helo, .from, .destination, .sender, .recipient, .user: true
        }
    }

    public var acceptsMapping: Bool {
        switch self {
        case .alias, .virtual, .userbase, .domain, .heloSource, .source, .credentials, .hostnames, .senders, .sender,
            .recipient, .user:
            true
        case .host, .tag, .helo, .from, .destination: false
        }
    }

    /// Whether nobody would write a mapping for it, though `src` takes the keys of one.
    public var isOfElements: Bool { acceptsList && (self == .source || !acceptsMapping) }

    /// What is wrong with `name` when its content does not fit.
    public func refusal(of name: String) -> String {
        "table \"\(name)\" may not be used for \(self == .user ? "auth" : rawValue) lookups"
    }
}

/// One use of a table, so that the content of a file can be checked once it is known.
public struct TableUse: Hashable, Sendable {
    public var table: TableReference
    public var purpose: TablePurpose
    public var location: SourceLocation

    public init(table: TableReference, purpose: TablePurpose, location: SourceLocation) {
        self.table = table
        self.purpose = purpose
        self.location = location
    }
}
