// SPDX-License-Identifier: ISC

public import Mail

/// One recipient to be delivered to.
public struct RecipientWork: Hashable, Sendable {
    public var id: EnvelopeID
    public var sender: ReversePath
    public var recipient: Mailbox
    public var destination: Mailbox
    public var dispatch: Dispatch
    public var report: ReportRequest
    /// When the message was accepted: what the delay in the log counts from.
    public var created: Timestamp

    public init(
        id: EnvelopeID, sender: ReversePath, recipient: Mailbox, destination: Mailbox, dispatch: Dispatch,
        report: ReportRequest, created: Timestamp
    ) {
        self.id = id
        self.sender = sender
        self.recipient = recipient
        self.destination = destination
        self.dispatch = dispatch
        self.report = report
        self.created = created
    }
}

/// One message and those of its recipients that share a route.
public struct DeliveryRequest: Hashable, Sendable {
    public var message: MessageID
    public var request: MessageRequest
    /// Of the whole content, in bytes.
    public var size: UInt64
    public var content: DeliveryContent
    /// For a relay all of one route: the same action and the same domain. For mailboxes of any users and actions.
    public var recipients: [RecipientWork]

    public init(
        message: MessageID, request: MessageRequest, size: UInt64, content: DeliveryContent, recipients: [RecipientWork]
    ) {
        self.message = message
        self.request = request
        self.size = size
        self.content = content
        self.recipients = recipients
    }
}

/// Where the bytes of a message are; lines end in CRLF, dots are not doubled.
public enum DeliveryContent: Hashable, Sendable {
    /// All of it.
    case inline([UInt8])
    /// New bytes, and ranges of the file whose descriptor comes with the request.
    case file([MessagePiece])
}

/// Queue - Delivery, relay and local alike.
public enum QueueToDelivery: Hashable, Sendable {
    /// Answered by one `outcome` for each recipient, in any order.
    case deliver(DeliveryRequest)
    /// The outcomes of these are kept; the worker may forget them.
    case recorded([EnvelopeID])
    /// Not wanted any more: what has not begun is answered by `cancelled`, the rest ends in an outcome.
    case cancel([EnvelopeID])
    /// An administrator wants to see a try: hosts that are left alone after failures are not, this time.
    case forgetFailures
    /// The first word to a relay: hosts that had TLS, as relays before it have said.
    case protectedHosts([ProtectedHost])
}

/// Delivery - Queue.
public enum DeliveryToQueue: Hashable, Sendable {
    /// The first word to a new Queue: what is under way here and must not be given out again.
    case inFlight([EnvelopeID])
    /// Kept by the worker until Queue says `recorded`.
    case outcome(EnvelopeID, DeliveryOutcome)
    /// Of what was to be cancelled this had not begun, and is not here any more.
    case cancelled([EnvelopeID])
    /// A relay wants it to be known to those after it that the host had TLS.
    case protected(ProtectedHost)
}

/// A host whose TLS went well, so that mail does not go there without for a time.
public struct ProtectedHost: Hashable, Sendable {
    public var address: IPAddress
    public var port: UInt16
    public var until: Timestamp

    public init(address: IPAddress, port: UInt16, until: Timestamp) {
        self.address = address
        self.port = port
        self.until = until
    }
}

extension ProtectedHost: WireValue {
    public func encode(to output: inout [UInt8]) {
        address.encode(to: &output)
        port.encode(to: &output)
        until.encode(to: &output)
    }

    public init(from reader: inout WireReader) throws(WireError) {
        self.init(address: try reader.value(), port: try reader.value(), until: try reader.value())
    }
}

extension DeliveryContent {
    public var isFile: Bool {
        switch self {
        case .inline: false
        case .file: true
        }
    }
}

extension RecipientWork: WireValue {
    public func encode(to output: inout [UInt8]) {
        id.encode(to: &output)
        sender.encode(to: &output)
        recipient.encode(to: &output)
        destination.encode(to: &output)
        dispatch.encode(to: &output)
        report.encode(to: &output)
        created.encode(to: &output)
    }

    public init(from reader: inout WireReader) throws(WireError) {
        self.init(
            id: try reader.value(), sender: try reader.value(), recipient: try reader.value(),
            destination: try reader.value(), dispatch: try reader.value(), report: try reader.value(),
            created: try reader.value())
    }
}

extension DeliveryRequest: WireValue {
    public func encode(to output: inout [UInt8]) {
        message.encode(to: &output)
        request.encode(to: &output)
        size.encode(to: &output)
        content.encode(to: &output)
        recipients.encode(to: &output)
    }

    public init(from reader: inout WireReader) throws(WireError) {
        self.init(
            message: try reader.value(), request: try reader.value(), size: try reader.value(),
            content: try reader.value(), recipients: try reader.value())
    }
}

extension DeliveryContent: WireValue {
    public func encode(to output: inout [UInt8]) {
        switch self {
        case .inline(let value):
            UInt8(1).encode(to: &output)
            value.encode(to: &output)
        case .file(let value):
            UInt8(2).encode(to: &output)
            value.encode(to: &output)
        }
    }

    public init(from reader: inout WireReader) throws(WireError) {
        switch try reader.value(UInt8.self) {
        case 1: self = .inline(try reader.value())
        case 2: self = .file(try reader.value())
        default: throw .valueOutOfRange
        }
    }
}

extension QueueToDelivery: EdgeMessage {
    private enum Tag: UInt8 {
        case deliver = 1
        case recorded = 2
        case cancel = 3
        case forgetFailures = 4
        case protectedHosts = 5
    }

    public var tag: UInt8 {
        switch self {
        case .deliver: Tag.deliver.rawValue
        case .recorded: Tag.recorded.rawValue
        case .cancel: Tag.cancel.rawValue
        case .forgetFailures: Tag.forgetFailures.rawValue
        case .protectedHosts: Tag.protectedHosts.rawValue
        }
    }

    public var carriesDescriptor: Bool {
        switch self {
        case .deliver(let request): request.content.isFile
        case .recorded: false
        case .cancel: false
        case .forgetFailures: false
        case .protectedHosts: false
        }
    }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .deliver(let value):
            value.encode(to: &output)
        case .recorded(let value):
            value.encode(to: &output)
        case .cancel(let value):
            value.encode(to: &output)
        case .forgetFailures: break
        case .protectedHosts(let value):
            value.encode(to: &output)
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .deliver: self = .deliver(try reader.value())
        case .recorded: self = .recorded(try reader.value())
        case .cancel: self = .cancel(try reader.value())
        case .forgetFailures: self = .forgetFailures
        case .protectedHosts: self = .protectedHosts(try reader.value())
        }
    }
}

extension DeliveryToQueue: EdgeMessage {
    private enum Tag: UInt8 {
        case inFlight = 1
        case outcome = 2
        case protected = 3
        case cancelled = 4
    }

    public var tag: UInt8 {
        switch self {
        case .inFlight: Tag.inFlight.rawValue
        case .outcome: Tag.outcome.rawValue
        case .cancelled: Tag.cancelled.rawValue
        case .protected: Tag.protected.rawValue
        }
    }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .inFlight(let value):
            value.encode(to: &output)
        case .outcome(let value0, let value1):
            value0.encode(to: &output)
            value1.encode(to: &output)
        case .cancelled(let value):
            value.encode(to: &output)
        case .protected(let value):
            value.encode(to: &output)
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .inFlight: self = .inFlight(try reader.value())
        case .outcome: self = .outcome(try reader.value(), try reader.value())
        case .cancelled: self = .cancelled(try reader.value())
        case .protected: self = .protected(try reader.value())
        }
    }
}
