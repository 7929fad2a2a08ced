// SPDX-License-Identifier: ISC

import Bytes
public import Mail

/// Why bytes are no answer.
public enum PacketFault: Error, Hashable, Sendable {
    case truncated
    case notAResponse
    case badPointer
    case badLabel
    case nameTooLong
    /// The data of a record do not have the form of its type.
    case badData
    case tooManyRecords
    case tooManyAliases
}

/// The type of a record (RFC 1035 section 3.2.2).
public struct RecordType: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt16

    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let address = RecordType(rawValue: 1)
    public static let canonicalName = RecordType(rawValue: 5)
    public static let pointer = RecordType(rawValue: 12)
    public static let mailExchange = RecordType(rawValue: 15)
    public static let text = RecordType(rawValue: 16)
    public static let address6 = RecordType(rawValue: 28)
    public static let tlsa = RecordType(rawValue: 52)
}

/// How the server judged the question (RFC 1035 section 4.1.1).
public enum ResponseCode: Hashable, Sendable {
    case success
    case formatError
    case serverFailure
    case noSuchName
    case notImplemented
    case refused
    case other(UInt8)

    init(_ value: UInt8) {
        switch value {
        case 0: self = .success
        case 1: self = .formatError
        case 2: self = .serverFailure
        case 3: self = .noSuchName
        case 4: self = .notImplemented
        case 5: self = .refused
        default: self = .other(value)
        }
    }
}

/// A record of the answer section; other types than these are not kept.
public struct Record: Hashable, Sendable {
    public enum Content: Hashable, Sendable {
        case address(IPAddress)
        case mailExchange(preference: UInt16, exchange: Name)
        case pointer(Name)
        case canonicalName(Name)
        /// The character-strings, joined (RFC 7208 section 3.3).
        case text([UInt8])
        case tlsa(TLSARecord)
    }

    public let name: Name
    public let type: RecordType
    public let timeToLive: Interval
    public let content: Content
}

/// RFC 6698 section 2.1
public struct TLSARecord: Hashable, Sendable {
    public let certificateUsage: UInt8
    public let selector: UInt8
    public let matchingType: UInt8
    public let association: [UInt8]
}

/// A response of the DNS as it came, down to the end of its answer section (RFC 1035 section 4).
public struct Packet: Hashable, Sendable {
    // A packet of 64 KiB has room for some 4000 records; the largest honest sets have about a hundred.
    public static let mostRecordsRead = 1000
    public static let mostRecordsKept = 100
    // RFC 8767 section 4: longer than a week is not meant.
    public static let longestTimeToLive = Interval.days(7)

    public struct Question: Hashable, Sendable {
        public let name: Name
        public let type: RecordType
    }

    public let identifier: UInt16
    public let responseCode: ResponseCode
    /// More would have come over TCP.
    public let isTruncated: Bool
    /// The AD bit; worth nothing unless the resolver is ours.
    public let isAuthenticData: Bool
    public let question: Question
    public let answers: [Record]

    private static let headerLength = 12
    private static let internet: UInt16 = 1

    public init(parsing packet: Span<UInt8>) throws(PacketFault) {
        guard packet.count >= Self.headerLength else { throw .truncated }
        identifier = Self.number(packet, 0)
        let flags = Self.number(packet, 2)
        guard flags & 0x8000 != 0, Self.number(packet, 4) == 1 else { throw .notAResponse }
        responseCode = ResponseCode(UInt8(flags & 15))
        isTruncated = flags & 0x0200 != 0
        isAuthenticData = flags & 0x0020 != 0
        let count = Int(Self.number(packet, 6))
        guard count <= Self.mostRecordsRead else { throw .tooManyRecords }

        var offset = Self.headerLength
        let name = try Name(from: packet, at: &offset)
        guard offset + 4 <= packet.count else { throw .truncated }
        question = Question(name: name, type: RecordType(rawValue: Self.number(packet, offset)))
        offset += 4

        var answers: [Record] = []
        for _ in 0..<count {
            if let record = try Self.record(packet, at: &offset) { answers.append(record) }
        }
        self.answers = Self.kept(answers)
    }

    // Of too many records: aliases, without which none of the others is found, then the best exchangers, then the first.
    private static func kept(_ records: [Record]) -> [Record] {
        guard records.count > mostRecordsKept else { return records }
        func rank(_ record: Record) -> Int {
            switch record.content {
            case .canonicalName: 0
            case .mailExchange(let preference, _): 1 + Int(preference)
            case .address, .pointer, .text, .tlsa: 1
            }
        }
        let order = records.indices.sorted { (rank(records[$0]), $0) < (rank(records[$1]), $1) }
        return order.prefix(mostRecordsKept).sorted().map { records[$0] }
    }

    // name, type:2, class:2, ttl:4, length:2, data:length                                 (RFC 1035 section 4.1.3)
    private static func record(_ packet: Span<UInt8>, at offset: inout Int) throws(PacketFault) -> Record? {
        let name = try Name(from: packet, at: &offset)
        guard offset + 10 <= packet.count else { throw .truncated }
        let type = RecordType(rawValue: number(packet, offset))
        let isInternet = number(packet, offset + 2) == internet
        let seconds = Int64(number(packet, offset + 4)) << 16 | Int64(number(packet, offset + 6))
        let length = Int(number(packet, offset + 8))
        offset += 10
        let end = offset + length
        guard end <= packet.count else { throw .truncated }
        defer { offset = end }
        guard isInternet, let content = try content(of: type, in: packet, offset..<end) else { return nil }
        // RFC 2181 section 8: with the highest bit set a time to live is zero.
        let life = seconds > Int64(Int32.max) ? Interval.seconds(0) : min(.seconds(seconds), longestTimeToLive)
        return Record(name: name, type: type, timeToLive: life, content: content)
    }

    private static func content(
        of type: RecordType, in packet: Span<UInt8>, _ range: Range<Int>
    ) throws(PacketFault) -> Record.Content? {
        let data = packet.extracting(range)
        switch type {
        case .address:
            guard data.count == 4, let address = IPAddress(bytes: data.array) else { throw .badData }
            return .address(address)
        case .address6:
            guard data.count == 16, let address = IPAddress(bytes: data.array) else { throw .badData }
            return .address(address)
        case .mailExchange:
            guard data.count >= 3 else { throw .badData }
            let exchange = try soleName(packet, range.lowerBound + 2, end: range.upperBound)
            return .mailExchange(preference: number(packet, range.lowerBound), exchange: exchange)
        case .pointer:
            return .pointer(try soleName(packet, range.lowerBound, end: range.upperBound))
        case .canonicalName:
            return .canonicalName(try soleName(packet, range.lowerBound, end: range.upperBound))
        case .text:
            return .text(try text(data))
        case .tlsa:
            guard data.count > 3 else { throw .badData }
            let association = data.extracting(droppingFirst: 3).array
            return .tlsa(
                TLSARecord(
                    certificateUsage: data[0], selector: data[1], matchingType: data[2], association: association))
        default:
            return nil
        }
    }

    private static func soleName(_ packet: Span<UInt8>, _ start: Int, end: Int) throws(PacketFault) -> Name {
        var offset = start
        let name = try Name(from: packet, at: &offset)
        guard offset == end else { throw .badData }
        return name
    }

    // TXT-DATA = 1*<character-string>; character-string = length:1 bytes:length       (RFC 1035 section 3.3, 3.3.14)
    private static func text(_ data: Span<UInt8>) throws(PacketFault) -> [UInt8] {
        var rest = data
        var text: [UInt8] = []
        while let length = rest.first {
            guard rest.count > Int(length) else { throw .badData }
            text.append(rest.extracting(1..<(1 + Int(length))))
            rest = rest.extracting(droppingFirst: 1 + Int(length))
        }
        return text
    }

    /// The caller has checked that both bytes are there.
    private static func number(_ packet: Span<UInt8>, _ offset: Int) -> UInt16 {
        UInt16(packet[offset]) << 8 | UInt16(packet[offset + 1])
    }
}
