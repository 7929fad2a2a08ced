// SPDX-License-Identifier: ISC

/// What a sealed segment holds, so that recovery needs not read all of it: for each record where it is and its head,
/// which is all of it but the content of a message.
///
///     segment:8 first:8 last:8 durable:8 entries:4 zero:4
///     entries * (number:8 offset:4 length:4 type:1 zero:3 head bytes:4, head)
///     trailer, the last bytes of the segment: offset:8 magic:8
///
/// It is gathered while the segment is written, and stands at its end as a record that has the number of the last one
/// before it. It needs no sync: one that is not whole costs time only.
struct SegmentIndex {
    /// A longer head is read from its record.
    static let largestHead = 2048
    static let trailerSize = 16
    static let trailerMagic: UInt64 = 0x5845_444E_494A_524D  // "MRJINDEX"
    static let fixedSize = 40
    static let entrySize = 24
    static let absent = UInt32.max

    private(set) var entries: [UInt8] = []
    private(set) var count: UInt32 = 0
    private(set) var first: UInt64 = 0
    private(set) var last: UInt64 = 0

    var payloadLength: Int { SegmentIndex.fixedSize + entries.count }

    /// How much longer the index becomes by a record at most.
    static func growth(by content: RecordContent) -> Int {
        let length = content.headLength
        return entrySize + (length <= largestHead ? length : 0)
    }

    mutating func append(_ content: RecordContent, number: UInt64, _ location: RecordLocation) {
        pass(number)
        let head = content.headLength <= SegmentIndex.largestHead ? content.head : nil
        count += 1
        let start = entries.count
        entries += [UInt8](repeating: 0, count: SegmentIndex.entrySize)
        entries.withUnsafeMutableBytes { buffer in
            var writer = RecordWriter(buffer: buffer, position: start)
            writer.integer(number)
            writer.integer(UInt32(location.offset))
            writer.integer(UInt32(location.length))
            writer.integer(UInt32(content.type.rawValue))
            writer.integer(head.map { UInt32($0.count) } ?? SegmentIndex.absent)
        }
        if let head { entries += head }
    }

    /// A number of which there is nothing to tell.
    mutating func pass(_ number: UInt64) {
        if first == 0 { first = number }
        last = number
    }

    func payload(segment: UInt64, durable: UInt64) -> [UInt8] {
        var fixed = [UInt8](repeating: 0, count: SegmentIndex.fixedSize)
        fixed.withUnsafeMutableBytes { buffer in
            var writer = RecordWriter(buffer: buffer, position: 0)
            writer.integer(segment)
            writer.integer(first)
            writer.integer(last)
            writer.integer(durable)
            writer.integer(count)
        }
        return fixed + entries
    }
}

extension RecordContent {
    /// The payload without the content of a message.
    fileprivate var head: [UInt8] {
        switch self {
        case .message(let message): return message.head
        case .copy(.message, let payload):
            return Array(payload.prefix(headLength))
        case .deflated(let content, _): return content.head
        case .outcome, .note, .void, .copy: return payload
        }
    }

    fileprivate var headLength: Int {
        switch self {
        case .message(let message): return message.headLength
        case .copy(.message, let payload):
            return payload.withUnsafeBytes { MessageRecord.headLength($0) } ?? payload.count
        case .deflated(let content, _): return content.headLength
        case .outcome, .note, .void, .copy: return payloadLength
        }
    }
}

/// An index as it was found.
struct FoundIndex {
    struct Entry {
        var number: UInt64
        var type: RecordType
        var location: RecordLocation
        /// nil when it has to be read from the record.
        var head: Range<Int>?
    }

    let payload: [UInt8]
    let segment: UInt64
    let first: UInt64
    let last: UInt64
    let durable: UInt64
    let entries: [Entry]

    /// nil when its lengths contradict each other.
    init?(_ payload: [UInt8], segmentSize: Int) {
        guard payload.count >= SegmentIndex.fixedSize else { return nil }
        self.payload = payload
        var entries: [Entry] = []
        let fixed = payload.withUnsafeBytes { bytes -> (UInt64, UInt64, UInt64, UInt64)? in
            let count = Int(bytes.integer(UInt32.self, at: 32))
            guard count <= (bytes.count - SegmentIndex.fixedSize) / SegmentIndex.entrySize else { return nil }
            entries.reserveCapacity(count)
            var at = SegmentIndex.fixedSize
            let segment = bytes.integer(UInt64.self, at: 0)
            for _ in 0..<count {
                guard at + SegmentIndex.entrySize <= bytes.count else { return nil }
                let offset = Int(bytes.integer(UInt32.self, at: at + 8))
                let length = Int(bytes.integer(UInt32.self, at: at + 12))
                let headBytes = bytes.integer(UInt32.self, at: at + 20)
                guard let type = RecordType(rawValue: bytes[at + 16]), offset >= RecordLayout.block,
                    length >= RecordLayout.headerSize, offset + length <= segmentSize
                else { return nil }
                let number = bytes.integer(UInt64.self, at: at)
                at += SegmentIndex.entrySize
                var head: Range<Int>?
                if headBytes != SegmentIndex.absent {
                    guard Int(headBytes) <= bytes.count - at else { return nil }
                    head = at..<at + Int(headBytes)
                    at += Int(headBytes)
                }
                entries.append(
                    Entry(
                        number: number, type: type,
                        location: RecordLocation(segment: segment, offset: offset, length: length), head: head))
            }
            guard at == bytes.count else { return nil }
            return (segment, bytes.integer(at: 8), bytes.integer(at: 16), bytes.integer(at: 24))
        }
        guard let fixed, fixed.1 <= fixed.2 else { return nil }
        (segment, first, last, durable) = fixed
        self.entries = entries
    }
}
