// SPDX-License-Identifier: ISC

public import Mail

/// What a packet says to its question: the records of the type asked for, at the end of the chain of aliases.
public struct Answer: Hashable, Sendable {
    // As many as resolvers follow.
    public static let mostAliases = 16

    public let responseCode: ResponseCode
    /// The question's name, or the one that its aliases lead to.
    public let canonicalName: Name
    public let contents: [Record.Content]
    /// The shortest among aliases and records; zero when there are none.
    public let timeToLive: Interval

    /// The answer in a raw packet, as a resolver hands it over.
    public init(parsing bytes: Span<UInt8>) throws(PacketFault) {
        try self.init(Packet(parsing: bytes))
    }

    public init(_ packet: Packet) throws(PacketFault) {
        var name = packet.question.name
        var life: Interval?
        var aliases = 0
        let type = packet.question.type
        while type != .canonicalName, let (target, duration) = Self.alias(of: name, in: packet) {
            aliases += 1
            guard aliases <= Self.mostAliases else { throw .tooManyAliases }
            name = target
            life = min(life ?? duration, duration)
        }
        var contents: [Record.Content] = []
        for record in packet.answers where record.type == type && record.name == name {
            contents.append(record.content)
            life = min(life ?? record.timeToLive, record.timeToLive)
        }
        responseCode = packet.responseCode
        canonicalName = name
        self.contents = contents
        timeToLive = life ?? .seconds(0)
    }

    /// An answer that did not come as a packet: from a hosts file, or none at all.
    public init(
        _ responseCode: ResponseCode, name: Name, contents: [Record.Content] = [], timeToLive: Interval = .seconds(0)
    ) {
        self.responseCode = responseCode
        canonicalName = name
        self.contents = contents
        self.timeToLive = timeToLive
    }

    /// The addresses among the records.
    public var addresses: [IPAddress] {
        contents.compactMap { content in
            switch content {
            case .address(let address): address
            case .mailExchange, .pointer, .canonicalName, .text, .tlsa: nil
            }
        }
    }

    /// The names that PTR records give, those fit for a host.
    public var pointers: [Domain] {
        contents.compactMap { content in
            switch content {
            case .pointer(let name): name.domain
            case .address, .mailExchange, .canonicalName, .text, .tlsa: nil
            }
        }
    }

    private static func alias(of name: Name, in packet: Packet) -> (Name, Interval)? {
        for record in packet.answers where record.name == name {
            switch record.content {
            case .canonicalName(let target): return (target, record.timeToLive)
            case .address, .mailExchange, .pointer, .text, .tlsa: continue
            }
        }
        return nil
    }
}
