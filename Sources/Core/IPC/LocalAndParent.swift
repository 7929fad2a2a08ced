// SPDX-License-Identifier: ISC

public import Mail

/// What an agent may be asked for.
public enum AgentKind: UInt8, Hashable, Sendable, WireValue {
    /// The mailbox that the action names, in a sandbox.
    case mailbox = 1
    /// Commands and files of ~/.forward and of aliases, with all rights of the user.
    case commands = 2
}

/// What is to become of an agent to which Delivery has closed its stream.
public enum AgentEnding: UInt8, Hashable, Sendable, WireValue {
    /// It leaves by itself, as it does when its stream ends.
    case leaving = 1
    /// It has not answered in time and does nothing any more by itself.
    case hung = 2
}

/// As whom foreign programs run, and the files that aliases name are read and written.
public enum ForeignUser {
    public static let name = "_martletu"
    /// In the order in which they are looked for on a host.
    public static let candidates = [name, "_smtpd"]
}

/// Delivery (local) - Parent. Names an action and a user; never a command, a path or a uid.
public enum LocalToParent: Hashable, Sendable {
    /// Wants an agent of that user by that action. Answered by `agent` or `refused`.
    case agent(action: String, user: String, kind: AgentKind)
    /// Wants a connection to the LMTP server of that action, whose first addresses are skipped. Answered by `connection`
    /// or `refused`.
    case connection(action: String, user: String, skipping: UInt8)
    /// The stream to the agent that was asked for by the same words is closed. Not answered.
    case closed(action: String, user: String, kind: AgentKind, AgentEnding)
}

/// Parent - Delivery (local).
public enum ParentToLocal: Hashable, Sendable {
    /// With the stream to the agent, which has hung when a delivery takes it longer than so many milliseconds.
    case agent(limit: UInt64)
    /// No such action, no such user, or it cannot be started or reached now.
    case refused(DeliveryOutcome)
    /// With a socket that is connecting.
    case connection
    /// An agent has gone; how, in words for the log.
    case exited(action: String, user: String, kind: AgentKind, status: String)
}

extension LocalToParent: EdgeMessage {
    private enum Tag: UInt8 {
        case agent = 1
        case connection = 2
        case closed = 3
    }

    public var tag: UInt8 {
        switch self {
        case .agent: Tag.agent.rawValue
        case .connection: Tag.connection.rawValue
        case .closed: Tag.closed.rawValue
        }
    }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .agent(let action, let user, let kind):
            action.encode(to: &output)
            user.encode(to: &output)
            kind.encode(to: &output)
        case .connection(let action, let user, let skipping):
            action.encode(to: &output)
            user.encode(to: &output)
            skipping.encode(to: &output)
        case .closed(let action, let user, let kind, let ending):
            action.encode(to: &output)
            user.encode(to: &output)
            kind.encode(to: &output)
            ending.encode(to: &output)
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .agent:
            self = .agent(action: try reader.value(), user: try reader.value(), kind: try reader.value())
        case .connection:
            self = .connection(action: try reader.value(), user: try reader.value(), skipping: try reader.value())
        case .closed:
            self = .closed(
                action: try reader.value(), user: try reader.value(), kind: try reader.value(), try reader.value())
        }
    }
}

extension ParentToLocal: EdgeMessage {
    private enum Tag: UInt8 {
        case agent = 1
        case refused = 2
        case exited = 3
        case connection = 4
    }

    public var tag: UInt8 {
        switch self {
        case .agent: Tag.agent.rawValue
        case .refused: Tag.refused.rawValue
        case .exited: Tag.exited.rawValue
        case .connection: Tag.connection.rawValue
        }
    }

    public var carriesDescriptor: Bool {
        switch self {
        case .agent: true
        case .refused: false
        case .exited: false
        case .connection: true
        }
    }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .connection: break
        case .agent(let limit):
            limit.encode(to: &output)
        case .refused(let value):
            value.encode(to: &output)
        case .exited(let action, let user, let kind, let status):
            action.encode(to: &output)
            user.encode(to: &output)
            kind.encode(to: &output)
            status.encode(to: &output)
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .agent: self = .agent(limit: try reader.value())
        case .refused: self = .refused(try reader.value())
        case .connection: self = .connection
        case .exited:
            self = .exited(
                action: try reader.value(), user: try reader.value(), kind: try reader.value(),
                status: try reader.value())
        }
    }
}
