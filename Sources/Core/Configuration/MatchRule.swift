// SPDX-License-Identifier: ISC

/// One `match` line: what must hold of a transaction and a recipient, and what then happens. The first that holds wins.
public struct MatchRule: Hashable, Sendable {
    public enum Sense: Hashable, Sendable {
        case holds
        case fails
    }

    /// A test whose result may be inverted; an error in a test is never inverted.
    public struct Criterion<Test: Hashable & Sendable>: Hashable, Sendable {
        public var test: Test
        public var sense: Sense

        public init(_ test: Test, _ sense: Sense = .holds) {
            self.test = test
            self.sense = sense
        }
    }

    public enum Origin: Hashable, Sendable {
        /// Submitted on this host by the socket.
        case socket
        /// From this host, by the socket or from one of its addresses.
        case local
        case any
        case source(TablePattern)
        /// The client has a name in the DNS, which must match the pattern when there is one.
        case reverseName(TablePattern?)
    }

    public enum Destination: Hashable, Sendable {
        /// One of this host's own names.
        case local
        case any
        case domain(TablePattern)
    }

    public enum Authentication: Hashable, Sendable {
        case anyUser
        case user(TablePattern)
    }

    public enum Encryption: Hashable, Sendable {
        case encrypted
    }

    public enum Decision: Hashable, Sendable {
        case reject
        case action(String)
    }

    // In the order in which they are tried.
    public var tag: Criterion<TablePattern>?
    public var origin = Criterion(Origin.local)
    public var destination = Criterion(Destination.local)
    public var helo: Criterion<TablePattern>?
    public var authentication: Criterion<Authentication>?
    public var encryption: Criterion<Encryption>?
    public var sender: Criterion<TablePattern>?
    public var recipient: Criterion<TablePattern>?
    public var decision: Decision
    public var location: SourceLocation

    public init(_ decision: Decision, location: SourceLocation = .builtIn) {
        self.decision = decision
        self.location = location
    }
}
