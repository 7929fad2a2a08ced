// SPDX-License-Identifier: ISC

public import Mail

/// Delivery (local) - Parent. Names an action and a user; never a command, a path or a uid.
public enum LocalToParent: Hashable, Sendable {
    /// Wants a mailbox agent for that user by that action. Answered by `agent` or `refused`.
    case agent(action: String, user: String)
}

/// Parent - Delivery (local).
public enum ParentToLocal: Hashable, Sendable {
    /// With the stream to the agent.
    case agent
    /// No such action, no such user, or it cannot be started now.
    case refused(DeliveryOutcome)
    /// An agent has gone; how, in words for the log.
    case exited(action: String, user: String, status: String)
}

extension LocalToParent: EdgeMessage {
    private enum Tag: UInt8 {
        case agent = 1
    }

    public var tag: UInt8 {
        switch self {
        case .agent: Tag.agent.rawValue
        }
    }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .agent(let action, let user):
            action.encode(to: &output)
            user.encode(to: &output)
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .agent: self = .agent(action: try reader.value(), user: try reader.value())
        }
    }
}

extension ParentToLocal: EdgeMessage {
    private enum Tag: UInt8 {
        case agent = 1
        case refused = 2
        case exited = 3
    }

    public var tag: UInt8 {
        switch self {
        case .agent: Tag.agent.rawValue
        case .refused: Tag.refused.rawValue
        case .exited: Tag.exited.rawValue
        }
    }

    public var carriesDescriptor: Bool {
        switch self {
        case .agent: true
        case .refused: false
        case .exited: false
        }
    }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .agent: break
        case .refused(let value):
            value.encode(to: &output)
        case .exited(let action, let user, let status):
            action.encode(to: &output)
            user.encode(to: &output)
            status.encode(to: &output)
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .agent: self = .agent
        case .refused: self = .refused(try reader.value())
        case .exited: self = .exited(action: try reader.value(), user: try reader.value(), status: try reader.value())
        }
    }
}
