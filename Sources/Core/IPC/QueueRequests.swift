// SPDX-License-Identifier: ISC

import Bytes
public import Mail

/// Which addresses a command means.
public enum AddressPattern: Hashable, Sendable {
    /// The null reverse-path of notices.
    case nobody
    case mailbox(Mailbox)
    /// `@domain`: everybody there.
    case domain(Domain)

    /// The pattern that `text` spells; nil when it is none.
    public init?(_ text: String) {
        if text.isEmpty || text == "<>" {
            self = .nobody
        } else if text.hasPrefix("@") {
            guard let domain = Domain(String(text.dropFirst())) else { return nil }
            self = .domain(domain)
        } else {
            guard let mailbox = Mailbox(text) else { return nil }
            self = .mailbox(mailbox)
        }
    }

    /// Local parts are compared without case: an administrator looks for a person, not for a spelling.
    public func matches(_ address: Mailbox?) -> Bool {
        switch self {
        case .nobody: address == nil
        case .domain(let domain): address?.domain == domain
        case .mailbox(let mailbox):
            address.map {
                $0.domain == mailbox.domain
                    && $0.localPart.text.asciiLowercased == mailbox.localPart.text.asciiLowercased
            } ?? false
        }
    }
}

/// Which envelopes a command means: those of which all that is given here is true.
public struct QueueSelector: Hashable, Sendable {
    public enum Scope: Hashable, Sendable {
        case all
        case message(MessageID)
        case envelope(EnvelopeID)
    }

    public enum State: UInt8, Hashable, Sendable, CaseIterable, WireValue {
        case pending = 1
        case inflight = 2
        case suspended = 3
        case held = 4
        /// Its sender is to be told, and was not yet.
        case bounce = 5

        public var name: String {
            switch self {
            case .pending: "pending"
            case .inflight: "inflight"
            case .suspended: "suspended"
            case .held: "held"
            case .bounce: "bounce"
            }
        }
    }

    public var scope: Scope
    public var sender: AddressPattern?
    /// As given in RCPT, or the destination.
    public var recipient: AddressPattern?
    /// Of the destination.
    public var domain: Domain?
    /// Accepted longer ago than this.
    public var olderThan: Interval?
    public var state: State?

    public init(
        _ scope: Scope = .all, sender: AddressPattern? = nil, recipient: AddressPattern? = nil,
        domain: Domain? = nil, olderThan: Interval? = nil, state: State? = nil
    ) {
        self.scope = scope
        self.sender = sender
        self.recipient = recipient
        self.domain = domain
        self.olderThan = olderThan
        self.state = state
    }

    public static let all = QueueSelector()
    public static func message(_ id: MessageID) -> QueueSelector { QueueSelector(.message(id)) }
    public static func envelope(_ id: EnvelopeID) -> QueueSelector { QueueSelector(.envelope(id)) }
}

/// What is done with envelopes.
public enum EnvelopeVerb: UInt8, Hashable, Sendable, CaseIterable, WireValue {
    case schedule = 1
    case remove = 2
    case suspend = 3
    case unsuspend = 4
    case hold = 5
    case release = 6
    /// Has Lookup say by which action they go today.
    case rematch = 7
}

/// An envelope of another server's queue, on its way into this one.
public struct ForeignEnvelope: Hashable, Sendable {
    public var envelope: Envelope
    public var created: Timestamp
    public var attempts: UInt32
    public var lastTry: Timestamp?
    public var isSuspended: Bool
    /// What the last try ended in.
    public var reply: Reply?
    /// It has failed, and its sender was not told.
    public var owesNotice: Bool

    public init(
        envelope: Envelope, created: Timestamp, attempts: UInt32 = 0,
        lastTry: Timestamp? = nil, isSuspended: Bool = false, reply: Reply? = nil, owesNotice: Bool = false
    ) {
        self.envelope = envelope
        self.created = created
        self.attempts = attempts
        self.lastTry = lastTry
        self.isSuspended = isSuspended
        self.reply = reply
        self.owesNotice = owesNotice
    }
}

/// martletctl - Queue.
public enum QueueRequest: Hashable, Sendable {
    /// A page of envelopes in the order of their ids, those behind `after`.
    case show(QueueSelector, after: EnvelopeID?)
    case envelope(EnvelopeID)
    /// The content from `offset` on, as `bytes`, and `more` where that is not all.
    case content(MessageID, offset: UInt64)
    /// Does it with some of the envelopes behind `after`.
    case change(EnvelopeVerb, QueueSelector, after: EnvelopeID?)
    /// What became of everything that was ever accepted.
    case audit
    /// The life of the messages that have this id, Message-ID or ENVID.
    case trace(String)
    /// Begins the import of a message; `done` has its number.
    case beginImport
    /// More of its content; lines end with CRLF.
    case importContent(UInt64, [UInt8])
    /// All of it was sent. Answered when it is durable, with a record that names the new message.
    case finishImport(UInt64, request: MessageRequest, [ForeignEnvelope])
}

// MARK: - As they travel

extension AddressPattern: TextWireValue {
    public var wireText: String {
        switch self {
        case .nobody: ""
        case .mailbox(let mailbox): mailbox.description
        case .domain(let domain): "@\(domain)"
        }
    }
}

extension QueueSelector: WireValue {
    public func encode(to output: inout [UInt8]) {
        switch scope {
        case .all: UInt8(1).encode(to: &output)
        case .message(let value):
            UInt8(2).encode(to: &output)
            value.encode(to: &output)
        case .envelope(let value):
            UInt8(3).encode(to: &output)
            value.encode(to: &output)
        }
        sender.encode(to: &output)
        recipient.encode(to: &output)
        domain.encode(to: &output)
        olderThan.encode(to: &output)
        state.encode(to: &output)
    }

    public init(from reader: inout WireReader) throws(WireError) {
        switch try reader.value(UInt8.self) {
        case 1: scope = .all
        case 2: scope = .message(try reader.value())
        case 3: scope = .envelope(try reader.value())
        default: throw .valueOutOfRange
        }
        sender = try reader.value()
        recipient = try reader.value()
        domain = try reader.value()
        olderThan = try reader.value()
        state = try reader.value()
    }
}

extension ForeignEnvelope: WireValue {
    public func encode(to output: inout [UInt8]) {
        envelope.encode(to: &output)
        created.encode(to: &output)
        attempts.encode(to: &output)
        lastTry.encode(to: &output)
        isSuspended.encode(to: &output)
        reply.encode(to: &output)
        owesNotice.encode(to: &output)
    }

    public init(from reader: inout WireReader) throws(WireError) {
        self.init(
            envelope: try reader.value(), created: try reader.value(), attempts: try reader.value(),
            lastTry: try reader.value(), isSuspended: try reader.value(), reply: try reader.value(),
            owesNotice: try reader.value())
    }
}

extension QueueRequest: WireValue {
    private enum Tag: UInt8, WireValue {
        case show = 1
        case envelope = 2
        case content = 3
        case change = 4
        case audit = 5
        case trace = 6
        case beginImport = 7
        case importContent = 8
        case finishImport = 9
    }

    public func encode(to output: inout [UInt8]) {
        switch self {
        case .show(let selector, let after):
            Tag.show.encode(to: &output)
            selector.encode(to: &output)
            after.encode(to: &output)
        case .envelope(let id):
            Tag.envelope.encode(to: &output)
            id.encode(to: &output)
        case .content(let id, let offset):
            Tag.content.encode(to: &output)
            id.encode(to: &output)
            offset.encode(to: &output)
        case .change(let verb, let selector, let after):
            Tag.change.encode(to: &output)
            verb.encode(to: &output)
            selector.encode(to: &output)
            after.encode(to: &output)
        case .audit: Tag.audit.encode(to: &output)
        case .trace(let text):
            Tag.trace.encode(to: &output)
            text.encode(to: &output)
        case .beginImport: Tag.beginImport.encode(to: &output)
        case .importContent(let number, let bytes):
            Tag.importContent.encode(to: &output)
            number.encode(to: &output)
            bytes.encode(to: &output)
        case .finishImport(let number, let request, let envelopes):
            Tag.finishImport.encode(to: &output)
            number.encode(to: &output)
            request.encode(to: &output)
            envelopes.encode(to: &output)
        }
    }

    public init(from reader: inout WireReader) throws(WireError) {
        switch try reader.value(Tag.self) {
        case .show: self = .show(try reader.value(), after: try reader.value())
        case .envelope: self = .envelope(try reader.value())
        case .content: self = .content(try reader.value(), offset: try reader.value())
        case .change: self = .change(try reader.value(), try reader.value(), after: try reader.value())
        case .audit: self = .audit
        case .trace: self = .trace(try reader.value())
        case .beginImport: self = .beginImport
        case .importContent: self = .importContent(try reader.value(), try reader.value())
        case .finishImport:
            self = .finishImport(try reader.value(), request: try reader.value(), try reader.value())
        }
    }
}
