// SPDX-License-Identifier: ISC

public import Mail

/// Delivery (relay) - Lookup: what tables say about an outgoing connection.
public enum RelayToLookup: Hashable, Sendable {
    /// The name to greet with when connecting from that address by that action. Answered by `heloName`.
    case heloName(action: String, source: IPAddress)
    /// An address to connect from. Answered by `source`.
    case source(action: String)
}

/// Lookup - Delivery (relay).
public enum LookupToRelay: Hashable, Sendable {
    /// nil: the server name.
    case heloName(Domain?)
    /// nil: as the system chooses.
    case source(IPAddress?)
    case temporaryFailure
}

extension RelayToLookup: EdgeMessage {
    private enum Tag: UInt8 {
        case heloName = 1
        case source = 2
    }

    public var tag: UInt8 {
        switch self {
        case .heloName: Tag.heloName.rawValue
        case .source: Tag.source.rawValue
        }
    }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .heloName(let action, let source):
            action.encode(to: &output)
            source.encode(to: &output)
        case .source(let action):
            action.encode(to: &output)
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .heloName: self = .heloName(action: try reader.value(), source: try reader.value())
        case .source: self = .source(action: try reader.value())
        }
    }
}

extension LookupToRelay: EdgeMessage {
    private enum Tag: UInt8 {
        case heloName = 1
        case source = 2
        case temporaryFailure = 3
    }

    public var tag: UInt8 {
        switch self {
        case .heloName: Tag.heloName.rawValue
        case .source: Tag.source.rawValue
        case .temporaryFailure: Tag.temporaryFailure.rawValue
        }
    }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .heloName(let value):
            value.encode(to: &output)
        case .source(let value):
            value.encode(to: &output)
        case .temporaryFailure: break
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .heloName: self = .heloName(try reader.value())
        case .source: self = .source(try reader.value())
        case .temporaryFailure: self = .temporaryFailure
        }
    }
}
