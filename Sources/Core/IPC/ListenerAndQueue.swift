// SPDX-License-Identifier: ISC

public import Mail

/// A part of the message that is committed: new bytes, or a range of the content that was sent.
public enum MessagePiece: Hashable, Sendable {
    case bytes([UInt8])
    /// Offset and length, in bytes, in the content sent for the transaction.
    case range(offset: UInt64, length: UInt64)
}

/// The end of a transaction: what the message is made of and how many envelopes belong to it.
public struct CommitRequest: Hashable, Sendable {
    public var message: MessageID
    /// The client's session, as the log names it.
    public var session: SessionID
    /// Over all accepted recipients; Queue waits until Lookup has stored as many.
    public var envelopes: UInt32
    public var pieces: [MessagePiece]
    public var request: MessageRequest
    /// Of the Message-ID, so that the message can be found by it.
    public var fingerprint: MessageFingerprint?

    public init(
        message: MessageID, session: SessionID, envelopes: UInt32, pieces: [MessagePiece], request: MessageRequest,
        fingerprint: MessageFingerprint? = nil
    ) {
        self.message = message
        self.session = session
        self.envelopes = envelopes
        self.pieces = pieces
        self.request = request
        self.fingerprint = fingerprint
    }
}

extension CommitRequest {
    // A trace field, fields that were missing, values of fields that were rewritten, what a filter adds: far less.
    static let mostAdded: UInt64 = 256 * 1024
    static let mostPieces = 10_000

    /// What in the pieces cannot be, for content of `size` bytes. Each byte of it is used once at most: a message is never
    /// larger than what was sent for it, whatever a list of ranges would make of it.
    ///
    /// Queue has a worker with such a request replaced; so the worker asks first, and refuses the message.
    public func fault(inContentOf size: UInt64) -> String? {
        guard pieces.count <= Self.mostPieces else { return "too many pieces" }
        var added: UInt64 = 0
        var position: UInt64 = 0
        for piece in pieces {
            switch piece {
            case .bytes(let bytes):
                added += UInt64(bytes.count)
            case .range(let offset, let length):
                let (end, overflow) = offset.addingReportingOverflow(length)
                guard !overflow, end <= size else { return "a piece outside the content" }
                guard offset >= position else { return "content used twice" }
                position = end
            }
        }
        return added <= Self.mostAdded ? nil : "too much new content"
    }
}

/// Listener - Queue.
public enum ListenerToQueue: Hashable, Sendable {
    /// The next content of a transaction; its first is its beginning. At most `credit` bytes may be unacknowledged.
    case content(MessageID, [UInt8])
    /// Answered by `committed` or `refused`.
    case commit(CommitRequest)
    /// Forgets the transaction and what Lookup stored for it; the id is spent.
    case rollback(MessageID)
    /// The answer to `inject`.
    case injected(InjectionResult)
    /// More ids are wanted.
    case wantIDs
}

/// How a notice fared at the front door.
public enum InjectionResult: Hashable, Sendable {
    case accepted(MessageID)
    case refused(Reply)
}

/// Queue - Listener.
public enum QueueToListener: Hashable, Sendable {
    /// Ids for this worker's transactions, given in advance so that none is waited for.
    case ids([MessageID])
    /// So many more bytes of the transaction's content may be sent.
    case credit(MessageID, bytes: UInt64)
    case committed
    case refused(Reply)
    /// A notice to the sender of a message, with its priority: from nobody, to one mailbox. Enters like any other mail.
    case inject(recipient: Mailbox, priority: MessageRequest.Priority?, content: [UInt8])

    /// Of content that may be sent before any credit.
    public static let initialCredit: UInt64 = 256 * 1024
}

extension MessagePiece: WireValue {
    public func encode(to output: inout [UInt8]) {
        switch self {
        case .bytes(let bytes):
            UInt8(1).encode(to: &output)
            bytes.encode(to: &output)
        case .range(let offset, let length):
            UInt8(2).encode(to: &output)
            offset.encode(to: &output)
            length.encode(to: &output)
        }
    }

    public init(from reader: inout WireReader) throws(WireError) {
        switch try reader.value(UInt8.self) {
        case 1: self = .bytes(try reader.value())
        case 2: self = .range(offset: try reader.value(), length: try reader.value())
        default: throw .valueOutOfRange
        }
    }
}

extension CommitRequest: WireValue {
    public func encode(to output: inout [UInt8]) {
        message.encode(to: &output)
        session.encode(to: &output)
        envelopes.encode(to: &output)
        pieces.encode(to: &output)
        request.encode(to: &output)
        fingerprint.encode(to: &output)
    }

    public init(from reader: inout WireReader) throws(WireError) {
        self.init(
            message: try reader.value(), session: try reader.value(), envelopes: try reader.value(),
            pieces: try reader.value(), request: try reader.value(), fingerprint: try reader.value())
    }
}

extension InjectionResult: WireValue {
    public func encode(to output: inout [UInt8]) {
        switch self {
        case .accepted(let message):
            UInt8(1).encode(to: &output)
            message.encode(to: &output)
        case .refused(let reply):
            UInt8(2).encode(to: &output)
            reply.encode(to: &output)
        }
    }

    public init(from reader: inout WireReader) throws(WireError) {
        switch try reader.value(UInt8.self) {
        case 1: self = .accepted(try reader.value())
        case 2: self = .refused(try reader.value())
        default: throw .valueOutOfRange
        }
    }
}

extension ListenerToQueue: EdgeMessage {
    private enum Tag: UInt8 {
        case content = 1
        case commit = 2
        case rollback = 3
        case injected = 4
        case wantIDs = 5
    }

    public var tag: UInt8 {
        switch self {
        case .content: Tag.content.rawValue
        case .commit: Tag.commit.rawValue
        case .rollback: Tag.rollback.rawValue
        case .injected: Tag.injected.rawValue
        case .wantIDs: Tag.wantIDs.rawValue
        }
    }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .content(let message, let bytes):
            message.encode(to: &output)
            bytes.encode(to: &output)
        case .commit(let request): request.encode(to: &output)
        case .rollback(let message): message.encode(to: &output)
        case .injected(let result): result.encode(to: &output)
        case .wantIDs: break
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .content: self = .content(try reader.value(), try reader.value())
        case .commit: self = .commit(try reader.value())
        case .rollback: self = .rollback(try reader.value())
        case .injected: self = .injected(try reader.value())
        case .wantIDs: self = .wantIDs
        }
    }
}

extension QueueToListener: EdgeMessage {
    private enum Tag: UInt8 {
        case ids = 1
        case credit = 2
        case committed = 3
        case refused = 4
        case inject = 5
    }

    public var tag: UInt8 {
        switch self {
        case .ids: Tag.ids.rawValue
        case .credit: Tag.credit.rawValue
        case .committed: Tag.committed.rawValue
        case .refused: Tag.refused.rawValue
        case .inject: Tag.inject.rawValue
        }
    }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .ids(let ids): ids.encode(to: &output)
        case .credit(let message, let bytes):
            message.encode(to: &output)
            bytes.encode(to: &output)
        case .committed: break
        case .refused(let reply): reply.encode(to: &output)
        case .inject(let recipient, let priority, let content):
            recipient.encode(to: &output)
            priority.encode(to: &output)
            content.encode(to: &output)
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .ids: self = .ids(try reader.value())
        case .credit: self = .credit(try reader.value(), bytes: try reader.value())
        case .committed: self = .committed
        case .refused: self = .refused(try reader.value())
        case .inject:
            self = .inject(
                recipient: try reader.value(), priority: try reader.value(), content: try reader.value())
        }
    }
}
