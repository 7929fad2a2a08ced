// SPDX-License-Identifier: ISC

public import Mail

/// Lookup - Queue. Nothing is answered to `store`: Queue waits with a commit until all its envelopes are there.
public enum LookupToQueue: Hashable, Sendable {
    /// The envelopes of one recipient that has expanded as a whole. `worker` and `generation` are those of the
    /// Listener whose transaction it is, as Parent told them; the same recipient again replaces what was stored.
    case store(worker: UInt16, generation: UInt32, message: MessageID, number: UInt32, [Envelope])
    /// The answer to `rematch`.
    case rematched(RematchAnswer)
}

/// What the rules of today make of an envelope that is queued.
public enum RematchAnswer: Hashable, Sendable {
    case accepted([Envelope])
    case refused(Reply)
}

/// Queue - Lookup.
public enum QueueToLookup: Hashable, Sendable {
    /// An administrator wants to know by which action this would go today, decided by its destination.
    case rematch(Envelope)
}

extension RematchAnswer: WireValue {
    public func encode(to output: inout [UInt8]) {
        switch self {
        case .accepted(let envelopes):
            UInt8(1).encode(to: &output)
            envelopes.encode(to: &output)
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

extension LookupToQueue: EdgeMessage {
    private enum Tag: UInt8 {
        case store = 1
        case rematched = 2
    }

    public var tag: UInt8 {
        switch self {
        case .store: Tag.store.rawValue
        case .rematched: Tag.rematched.rawValue
        }
    }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .store(let worker, let generation, let message, let number, let envelopes):
            worker.encode(to: &output)
            generation.encode(to: &output)
            message.encode(to: &output)
            number.encode(to: &output)
            envelopes.encode(to: &output)
        case .rematched(let answer):
            answer.encode(to: &output)
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .store:
            self = .store(
                worker: try reader.value(), generation: try reader.value(), message: try reader.value(),
                number: try reader.value(), try reader.value())
        case .rematched: self = .rematched(try reader.value())
        }
    }
}

extension QueueToLookup: EdgeMessage {
    private enum Tag: UInt8 { case rematch = 1 }

    public var tag: UInt8 {
        switch self {
        case .rematch: Tag.rematch.rawValue
        }
    }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .rematch(let envelope): envelope.encode(to: &output)
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .rematch: self = .rematch(try reader.value())
        }
    }
}
