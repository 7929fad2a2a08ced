// SPDX-License-Identifier: ISC

public import Mail

/// Lookup - Queue. Nothing is said leftwards: Queue waits with a commit until all its envelopes are there.
public enum LookupToQueue: Hashable, Sendable {
    /// The envelopes of one recipient that has expanded as a whole. `worker` and `generation` are those of the
    /// Listener whose transaction it is, as Parent told them; the same recipient again replaces what was stored.
    case store(worker: UInt16, generation: UInt32, message: MessageID, number: UInt32, [Envelope])
}

/// Queue - Lookup: an edge with no messages in this direction.
public enum QueueToLookup: Hashable, Sendable {}

extension LookupToQueue: EdgeMessage {
    private enum Tag: UInt8 { case store = 1 }

    public var tag: UInt8 { Tag.store.rawValue }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .store(let worker, let generation, let message, let number, let envelopes):
            worker.encode(to: &output)
            generation.encode(to: &output)
            message.encode(to: &output)
            number.encode(to: &output)
            envelopes.encode(to: &output)
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .store:
            self = .store(
                worker: try reader.value(), generation: try reader.value(), message: try reader.value(),
                number: try reader.value(), try reader.value())
        }
    }
}

extension QueueToLookup: EdgeMessage {
    public var tag: UInt8 { switch self {} }
    public func writePayload(to output: inout [UInt8]) { switch self {} }
    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) { throw .unknownTag(tag) }
}
