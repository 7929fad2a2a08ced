// SPDX-License-Identifier: ISC

public import Mail

/// Listener, Lookup, Delivery (relay) - Resolver. Each is answered once.
public enum ToResolver: Hashable, Sendable {
    /// The name of a client, and whether it points back.
    case name(of: IPAddress)
    case addresses(of: Domain)
    /// The hosts that take mail for a domain, best first. With a host given, only its addresses are asked for.
    case route(Domain, isHost: Bool)
}

/// Resolver - those who asked.
public enum FromResolver: Hashable, Sendable {
    case name(ClientName)
    case addresses(AddressAnswer)
    case route(RouteAnswer)
}

public enum ClientName: Hashable, Sendable {
    /// `isConfirmed`: one of the name's addresses is the client's.
    case found(Domain, isConfirmed: Bool)
    case absent
    case temporaryFailure
}

public enum AddressAnswer: Hashable, Sendable {
    case found([IPAddress])
    case absent
    case temporaryFailure
}

/// One host of a route; without addresses where the lookup of them failed for now. `isSecure` says that the name and its addresses were validated by DNSSEC.
public struct RouteTarget: Hashable, Sendable {
    public var name: Domain
    public var preference: UInt16
    public var addresses: [IPAddress]
    public var isSecure: Bool

    public init(name: Domain, preference: UInt16, addresses: [IPAddress], isSecure: Bool) {
        self.name = name
        self.preference = preference
        self.addresses = addresses
        self.isSecure = isSecure
    }
}

public enum RouteAnswer: Hashable, Sendable {
    /// Best first; `lifetime` in seconds is the least of the records used. `isSecure`: the MX set was validated.
    case found([RouteTarget], isSecure: Bool, lifetime: UInt32)
    /// What to tell: the domain does not exist, takes no mail, has no usable host.
    case failed(Reply)
    case deferred(Reply)
}

extension ToResolver: EdgeMessage {
    private enum Tag: UInt8 {
        case name = 1
        case addresses = 2
        case route = 3
    }

    public var tag: UInt8 {
        switch self {
        case .name: Tag.name.rawValue
        case .addresses: Tag.addresses.rawValue
        case .route: Tag.route.rawValue
        }
    }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .name(let address): address.encode(to: &output)
        case .addresses(let domain): domain.encode(to: &output)
        case .route(let domain, let isHost):
            domain.encode(to: &output)
            isHost.encode(to: &output)
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .name: self = .name(of: try reader.value())
        case .addresses: self = .addresses(of: try reader.value())
        case .route: self = .route(try reader.value(), isHost: try reader.value())
        }
    }
}

extension FromResolver: EdgeMessage {
    private enum Tag: UInt8 {
        case name = 1
        case addresses = 2
        case route = 3
    }

    public var tag: UInt8 {
        switch self {
        case .name: Tag.name.rawValue
        case .addresses: Tag.addresses.rawValue
        case .route: Tag.route.rawValue
        }
    }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .name(let name): name.encode(to: &output)
        case .addresses(let answer): answer.encode(to: &output)
        case .route(let answer): answer.encode(to: &output)
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .name: self = .name(try reader.value())
        case .addresses: self = .addresses(try reader.value())
        case .route: self = .route(try reader.value())
        }
    }
}

extension ClientName: WireValue {
    public func encode(to output: inout [UInt8]) {
        switch self {
        case .found(let name, let isConfirmed):
            UInt8(1).encode(to: &output)
            name.encode(to: &output)
            isConfirmed.encode(to: &output)
        case .absent: UInt8(2).encode(to: &output)
        case .temporaryFailure: UInt8(3).encode(to: &output)
        }
    }

    public init(from reader: inout WireReader) throws(WireError) {
        switch try reader.value(UInt8.self) {
        case 1: self = .found(try reader.value(), isConfirmed: try reader.value())
        case 2: self = .absent
        case 3: self = .temporaryFailure
        default: throw .valueOutOfRange
        }
    }
}

extension AddressAnswer: WireValue {
    public func encode(to output: inout [UInt8]) {
        switch self {
        case .found(let addresses):
            UInt8(1).encode(to: &output)
            addresses.encode(to: &output)
        case .absent: UInt8(2).encode(to: &output)
        case .temporaryFailure: UInt8(3).encode(to: &output)
        }
    }

    public init(from reader: inout WireReader) throws(WireError) {
        switch try reader.value(UInt8.self) {
        case 1: self = .found(try reader.value())
        case 2: self = .absent
        case 3: self = .temporaryFailure
        default: throw .valueOutOfRange
        }
    }
}

extension RouteTarget: WireValue {
    public func encode(to output: inout [UInt8]) {
        name.encode(to: &output)
        preference.encode(to: &output)
        addresses.encode(to: &output)
        isSecure.encode(to: &output)
    }

    public init(from reader: inout WireReader) throws(WireError) {
        self.init(
            name: try reader.value(), preference: try reader.value(), addresses: try reader.value(),
            isSecure: try reader.value())
    }
}

extension RouteAnswer: WireValue {
    public func encode(to output: inout [UInt8]) {
        switch self {
        case .found(let targets, let isSecure, let lifetime):
            UInt8(1).encode(to: &output)
            targets.encode(to: &output)
            isSecure.encode(to: &output)
            lifetime.encode(to: &output)
        case .failed(let reply):
            UInt8(2).encode(to: &output)
            reply.encode(to: &output)
        case .deferred(let reply):
            UInt8(3).encode(to: &output)
            reply.encode(to: &output)
        }
    }

    public init(from reader: inout WireReader) throws(WireError) {
        switch try reader.value(UInt8.self) {
        case 1: self = .found(try reader.value(), isSecure: try reader.value(), lifetime: try reader.value())
        case 2: self = .failed(try reader.value())
        case 3: self = .deferred(try reader.value())
        default: throw .valueOutOfRange
        }
    }
}
