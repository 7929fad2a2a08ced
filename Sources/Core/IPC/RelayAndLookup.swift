// SPDX-License-Identifier: ISC

public import Mail

/// Delivery (relay) - Lookup: what tables say about an outgoing connection.
public enum RelayToLookup: Hashable, Sendable {
    /// The name to greet with when connecting from that address by that action. Answered by `heloName`.
    case heloName(action: String, source: IPAddress)
    /// An address to connect from. Answered by `source`.
    case source(action: String)
    /// The next of the hosts that the action names in a table. Answered by `host`.
    case host(action: String)
    /// The host that the action's table has for a domain. Answered by `host`.
    case domainHost(action: String, domain: String)
    /// What to prove oneself with at hosts with that label. Answered by `credentials`.
    case credentials(action: String, label: String)
    /// The sender of this host for a message from `sender` that was addressed to `recipient` and goes on by that action.
    /// Answered by `forwarded`.
    case forwarded(action: String, sender: Mailbox, recipient: Domain)
}

/// Lookup - Delivery (relay).
public enum LookupToRelay: Hashable, Sendable {
    /// nil: the server name.
    case heloName(Domain?)
    /// nil: as the system chooses.
    case source(IPAddress?)
    /// The text of a relay URL; nil: the table has none.
    case host(String?)
    /// nil: the table has none for the label.
    case credentials(RelayCredentials?)
    /// nil: the sender stays as it is.
    case forwarded(Mailbox?)
    case temporaryFailure
}

/// A name and a password, which is never printed.
public struct RelayCredentials: Hashable, Sendable, WireValue, CustomStringConvertible, CustomReflectable {
    public var user: String
    public var password: [UInt8]

    public init(user: String, password: [UInt8]) {
        self.user = user
        self.password = password
    }

    // What the reference takes.
    private static let shortest = 3
    private static let longest = 2047

    /// The value that a table has for `label`: `user:password`, or a password alone for the user of that name.
    public init?(_ text: String, label: String) {
        guard (Self.shortest...Self.longest).contains(text.utf8.count) else { return nil }
        guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) else {
            self.init(user: label, password: Array(text.utf8))
            return
        }
        guard colon > text.utf8.startIndex, colon < text.utf8.index(before: text.utf8.endIndex) else { return nil }
        self.init(user: String(text[..<colon]), password: Array(text.utf8[text.utf8.index(after: colon)...]))
    }

    public func encode(to output: inout [UInt8]) {
        user.encode(to: &output)
        password.encode(to: &output)
    }

    public init(from reader: inout WireReader) throws(WireError) {
        self.init(user: try reader.value(), password: try reader.value())
    }

    public var description: String { "<secret>" }
    public var customMirror: Mirror { Mirror(self, children: EmptyCollection<Mirror.Child>()) }
}

extension RelayToLookup: EdgeMessage {
    private enum Tag: UInt8 {
        case heloName = 1
        case source = 2
        case host = 3
        case domainHost = 4
        case credentials = 5
        case forwarded = 6
    }

    public var tag: UInt8 {
        switch self {
        case .heloName: Tag.heloName.rawValue
        case .source: Tag.source.rawValue
        case .host: Tag.host.rawValue
        case .domainHost: Tag.domainHost.rawValue
        case .credentials: Tag.credentials.rawValue
        case .forwarded: Tag.forwarded.rawValue
        }
    }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .heloName(let action, let source):
            action.encode(to: &output)
            source.encode(to: &output)
        case .source(let action), .host(let action):
            action.encode(to: &output)
        case .domainHost(let action, let domain):
            action.encode(to: &output)
            domain.encode(to: &output)
        case .credentials(let action, let label):
            action.encode(to: &output)
            label.encode(to: &output)
        case .forwarded(let action, let sender, let recipient):
            action.encode(to: &output)
            sender.encode(to: &output)
            recipient.encode(to: &output)
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .heloName: self = .heloName(action: try reader.value(), source: try reader.value())
        case .source: self = .source(action: try reader.value())
        case .host: self = .host(action: try reader.value())
        case .domainHost: self = .domainHost(action: try reader.value(), domain: try reader.value())
        case .credentials: self = .credentials(action: try reader.value(), label: try reader.value())
        case .forwarded:
            self = .forwarded(
                action: try reader.value(), sender: try reader.value(), recipient: try reader.value())
        }
    }
}

extension LookupToRelay: EdgeMessage {
    private enum Tag: UInt8 {
        case heloName = 1
        case source = 2
        case temporaryFailure = 3
        case host = 4
        case credentials = 5
        case forwarded = 6
    }

    public var tag: UInt8 {
        switch self {
        case .heloName: Tag.heloName.rawValue
        case .source: Tag.source.rawValue
        case .host: Tag.host.rawValue
        case .credentials: Tag.credentials.rawValue
        case .forwarded: Tag.forwarded.rawValue
        case .temporaryFailure: Tag.temporaryFailure.rawValue
        }
    }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .heloName(let value):
            value.encode(to: &output)
        case .source(let value):
            value.encode(to: &output)
        case .host(let value):
            value.encode(to: &output)
        case .credentials(let value):
            value.encode(to: &output)
        case .forwarded(let value):
            value.encode(to: &output)
        case .temporaryFailure: break
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .heloName: self = .heloName(try reader.value())
        case .source: self = .source(try reader.value())
        case .host: self = .host(try reader.value())
        case .credentials: self = .credentials(try reader.value())
        case .forwarded: self = .forwarded(try reader.value())
        case .temporaryFailure: self = .temporaryFailure
        }
    }
}
