// SPDX-License-Identifier: ISC

public import Mail

/// What is done with a message that a rule accepts.
public struct ActionDefinition: Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        case local(LocalAction)
        case relay(RelayAction)
    }

    public var name: String
    public var kind: Kind
    /// How long delivery is tried; the queue's own lifetime when nil.
    public var lifetime: Interval?
    public var location: SourceLocation

    public init(name: String, kind: Kind, lifetime: Interval? = nil, location: SourceLocation = .builtIn) {
        self.name = name
        self.kind = kind
        self.lifetime = lifetime
        self.location = location
    }
}

/// Delivery to a user of this host.
public struct LocalAction: Hashable, Sendable {
    public enum LMTPRecipient: Hashable, Sendable {
        /// RCPT names the local user.
        case user
        /// RCPT names the address that the client gave.
        case address
    }

    public enum JunkFolder: Hashable, Sendable {
        case unused
        case used
    }

    public enum Method: Hashable, Sendable {
        case mbox
        /// `~/Maildir` without a path.
        case maildir(path: String?, JunkFolder)
        case lmtp(destination: String, LMTPRecipient)
        case command(String)
        /// Only what ~/.forward says; nothing is delivered.
        case forwardOnly
        /// Only what alias tables say; nothing is delivered.
        case expandOnly
    }

    public enum Expansion: Hashable, Sendable {
        case none
        /// Names of this host.
        case aliases(TableReference)
        /// Addresses of any domain.
        case virtual(TableReference)
    }

    public var method: Method
    public var user: String?
    public var expansion = Expansion.none
    public var userbase = TableReference.builtIn(.users)
    public var wrapper: String?

    public init(_ method: Method) { self.method = method }
}

/// Delivery to another host by SMTP or LMTP.
public struct RelayAction: Hashable, Sendable {
    public enum Destination: Hashable, Sendable {
        /// The mail exchangers of the recipient's domain.
        case mailExchangers
        /// The exchangers that are better than the named one, or than this server.
        case backup(exchanger: String?)
        /// One of the relay URLs in the list.
        case host(TableReference)
        /// The relay URL that the mapping has for the recipient's domain.
        case domain(TableReference)
    }

    public enum Encryption: Hashable, Sendable {
        case opportunistic
        case required
        /// Required, but any certificate will do.
        case requiredUnverified
    }

    public enum SenderRewriting: Hashable, Sendable {
        case none
        case srs
    }

    public var destination = Destination.mailExchangers
    public var helo: String?
    public var heloSource: TableReference?
    public var pki: String?
    public var ca: String?
    public var ciphers: String?
    public var protocols: String?
    public var source: TableReference?
    /// The reverse-path to use instead, `user@domain` or `@domain`.
    public var mailFrom: String?
    public var encryption = Encryption.opportunistic
    public var credentials: TableReference?
    public var senderRewriting = SenderRewriting.none
    public var filter: String?

    public init() {}
}
