// SPDX-License-Identifier: ISC

public import Mail

/// One recipient to be expanded.
public struct ExpansionRequest: Hashable, Sendable {
    public var message: MessageID
    /// Which accepted recipient of the transaction this would be, from 0; its envelopes carry the number to Queue.
    public var number: UInt32
    public var sender: ReversePath
    public var recipient: Mailbox
    public var report: ReportRequest
    /// The listen statement the client came in by; the submission socket has none.
    public var statement: UInt16?
    public var origin: Origin
    public var isAuthenticated: Bool
    public var isSecure: Bool

    public init(
        message: MessageID, number: UInt32, sender: ReversePath, recipient: Mailbox, report: ReportRequest,
        statement: UInt16?, origin: Origin, isAuthenticated: Bool, isSecure: Bool
    ) {
        self.message = message
        self.number = number
        self.sender = sender
        self.recipient = recipient
        self.report = report
        self.statement = statement
        self.origin = origin
        self.isAuthenticated = isAuthenticated
        self.isSecure = isSecure
    }
}

/// Listener - Lookup.
public enum ListenerToLookup: Hashable, Sendable {
    /// Answered by `accepted` or `refused`.
    case expand(ExpansionRequest)
}

/// Lookup - Listener.
public enum LookupToListener: Hashable, Sendable {
    /// So many envelopes were stored with Queue for this recipient.
    case accepted(envelopes: UInt32)
    case refused(Reply)
}

extension ListenerToLookup: EdgeMessage {
    private enum Tag: UInt8 { case expand = 1 }

    public var tag: UInt8 { Tag.expand.rawValue }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .expand(let request):
            request.message.encode(to: &output)
            request.number.encode(to: &output)
            request.sender.encode(to: &output)
            request.recipient.encode(to: &output)
            request.report.encode(to: &output)
            request.statement.encode(to: &output)
            request.origin.encode(to: &output)
            request.isAuthenticated.encode(to: &output)
            request.isSecure.encode(to: &output)
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .expand:
            self = .expand(
                ExpansionRequest(
                    message: try reader.value(), number: try reader.value(), sender: try reader.value(),
                    recipient: try reader.value(), report: try reader.value(), statement: try reader.value(),
                    origin: try reader.value(), isAuthenticated: try reader.value(), isSecure: try reader.value()))
        }
    }
}

extension LookupToListener: EdgeMessage {
    private enum Tag: UInt8 {
        case accepted = 1
        case refused = 2
    }

    public var tag: UInt8 {
        switch self {
        case .accepted: Tag.accepted.rawValue
        case .refused: Tag.refused.rawValue
        }
    }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .accepted(let envelopes): envelopes.encode(to: &output)
        case .refused(let reply): reply.encode(to: &output)
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .accepted: self = .accepted(envelopes: try reader.value())
        case .refused: self = .refused(try reader.value())
        }
    }
}
