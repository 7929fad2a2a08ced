// SPDX-License-Identifier: ISC

public import Mail

/// One message for the mailbox of the user that the agent is.
public struct MailboxDelivery: Hashable, Sendable {
    public var id: EnvelopeID
    public var sender: ReversePath
    /// As given in RCPT TO.
    public var recipient: Mailbox
    /// After expansion.
    public var destination: Mailbox
    public var subaddress: String?
    public var form: LocalForm
    public var created: Timestamp
    /// The body is not lines: no byte of it may be changed.
    public var isBinary = false
    /// Of the content that follows, in bytes.
    public var length: UInt64

    public init(
        id: EnvelopeID, sender: ReversePath, recipient: Mailbox, destination: Mailbox, subaddress: String?,
        form: LocalForm, created: Timestamp, isBinary: Bool = false, length: UInt64
    ) {
        self.id = id
        self.sender = sender
        self.recipient = recipient
        self.destination = destination
        self.subaddress = subaddress
        self.form = form
        self.created = created
        self.isBinary = isBinary
        self.length = length
    }
}

/// How a delivery by an agent ended, with one printable sentence.
public enum MailboxOutcome: Hashable, Sendable {
    /// The message is in the mailbox and synced.
    case delivered
    case deferred(String)
    case failed(String)
}

/// Delivery (local) - mailbox agent.
public enum LocalToMailbox: Hashable, Sendable {
    /// Begins a delivery; exactly `length` bytes of content follow it before the next.
    case deliver(MailboxDelivery)
    case content([UInt8])
}

/// Mailbox agent - Delivery (local).
public enum MailboxToLocal: Hashable, Sendable {
    /// One for each delivery, in any order.
    case outcome(EnvelopeID, MailboxOutcome)
}

extension MailboxDelivery: WireValue {
    public func encode(to output: inout [UInt8]) {
        id.encode(to: &output)
        sender.encode(to: &output)
        recipient.encode(to: &output)
        destination.encode(to: &output)
        subaddress.encode(to: &output)
        form.encode(to: &output)
        created.encode(to: &output)
        isBinary.encode(to: &output)
        length.encode(to: &output)
    }

    public init(from reader: inout WireReader) throws(WireError) {
        self.init(
            id: try reader.value(), sender: try reader.value(), recipient: try reader.value(),
            destination: try reader.value(), subaddress: try reader.value(), form: try reader.value(),
            created: try reader.value(), isBinary: try reader.value(), length: try reader.value())
    }
}

extension MailboxOutcome: WireValue {
    public func encode(to output: inout [UInt8]) {
        switch self {
        case .delivered: UInt8(1).encode(to: &output)
        case .deferred(let value):
            UInt8(2).encode(to: &output)
            value.encode(to: &output)
        case .failed(let value):
            UInt8(3).encode(to: &output)
            value.encode(to: &output)
        }
    }

    public init(from reader: inout WireReader) throws(WireError) {
        switch try reader.value(UInt8.self) {
        case 1: self = .delivered
        case 2: self = .deferred(try reader.value())
        case 3: self = .failed(try reader.value())
        default: throw .valueOutOfRange
        }
    }
}

extension LocalToMailbox: EdgeMessage {
    private enum Tag: UInt8 {
        case deliver = 1
        case content = 2
    }

    public var tag: UInt8 {
        switch self {
        case .deliver: Tag.deliver.rawValue
        case .content: Tag.content.rawValue
        }
    }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .deliver(let value):
            value.encode(to: &output)
        case .content(let value):
            value.encode(to: &output)
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .deliver: self = .deliver(try reader.value())
        case .content: self = .content(try reader.value())
        }
    }
}

extension MailboxToLocal: EdgeMessage {
    private enum Tag: UInt8 {
        case outcome = 1
    }

    public var tag: UInt8 {
        switch self {
        case .outcome: Tag.outcome.rawValue
        }
    }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .outcome(let value0, let value1):
            value0.encode(to: &output)
            value1.encode(to: &output)
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .outcome: self = .outcome(try reader.value(), try reader.value())
        }
    }
}
