// SPDX-License-Identifier: ISC

import CPosix

/// How things stand on the disk. Integers are little-endian; every record begins at a multiple of 8.
///
///     segment: header block:4096, records to the end, zeros where none is written yet
///     record:  magic:4 sum:4 length:4 type:1 flags:1 zero:2 epoch:8 number:8 durable:8 payload, zeros to 8
///
/// `sum` is the CRC-32C from `length` to the end of the payload; `length` counts header and payload. `epoch` counts
/// the starts in its upper half; its lower half is random, so that no mail can contain a record of it. `number` is
/// the log sequence number; within an epoch there is no gap. `durable` is the highest number known to be on the disk
/// when the record was written. A payload that is compressed (flag 1) was so before it was encrypted (flag 2), with the
/// header from `length` on as associated data; the sum is over what stands on the disk. A record with a flag that is
/// not known is set aside.
enum RecordLayout {
    static let block = 4096
    static let headerSize = 40
    static let magic: UInt32 = 0x314A_524D  // "MRJ1"
    static let segmentMagic: UInt64 = 0x3130_4745_534A_524D  // "MRJSEG01"
    /// Segments larger than this are not ours.
    static let largestSegment = 1 << 30
    static let messageSize = 64
    static let pieceSize = 24
    static let outcomeSize = 24
    static let noteSize = 8

    static func aligned(_ count: Int) -> Int { (count + 7) & ~7 }

    /// The size of a batch of `count` bytes with its padding: a whole number of blocks, the padding record fits.
    static func padded(_ count: Int) -> Int {
        let rest = count % block
        if rest == 0 { return count }
        return count - rest + (block - rest >= headerSize ? block : 2 * block)
    }
}

enum RecordType: UInt8 {
    case padding = 1
    case message = 2
    case outcome = 3
    case note = 4
    /// Ranges of numbers that never were: a batch whose sync failed, what a crash tore.
    case void = 5
    /// What is in a sealed segment; no part of the sequence of numbers.
    case index = 6
}

/// How a payload stands on the disk.
struct RecordFlags: OptionSet, Hashable, Sendable {
    let rawValue: UInt8

    static let deflated = RecordFlags(rawValue: 1)
    static let encrypted = RecordFlags(rawValue: 2)
    static let known: RecordFlags = [.deflated, .encrypted]
}

struct RecordHeader {
    var length: Int
    var type: RecordType
    var flags: RecordFlags
    var epoch: UInt64
    var number: UInt64
    var durable: UInt64

    /// The record at `offset` of a segment; nil unless it is whole and its sum is right.
    init?(in segment: UnsafeRawBufferPointer, at offset: Int) {
        guard offset >= 0, offset <= segment.count - RecordLayout.headerSize,
            segment.integer(UInt32.self, at: offset) == RecordLayout.magic
        else { return nil }
        let length = Int(segment.integer(UInt32.self, at: offset + 8))
        guard length >= RecordLayout.headerSize, length <= segment.count - offset else { return nil }
        let summed = UnsafeRawBufferPointer(rebasing: segment[offset + 8..<offset + length])
        guard martlet_crc32c(0, summed.baseAddress, summed.count) == segment.integer(UInt32.self, at: offset + 4),
            RecordFlags.known.isSuperset(of: RecordFlags(rawValue: segment[offset + 13])),
            let type = RecordType(rawValue: segment[offset + 12])
        else { return nil }
        flags = RecordFlags(rawValue: segment[offset + 13])
        self.length = length
        self.type = type
        epoch = segment.integer(at: offset + 16)
        number = segment.integer(at: offset + 24)
        durable = segment.integer(at: offset + 32)
    }
}

/// Where a record is now. There is one for each record that lives, so it is kept small: in the index of a segment these are
/// 32 bits, too.
struct RecordLocation: Hashable, Sendable {
    private let shortSegment: UInt32
    private var shortOffset: UInt32
    private var shortLength: UInt32

    // Of what is no place in any segment of ours, nothing can be read.
    init(segment: UInt64, offset: Int, length: Int) {
        shortSegment = UInt32(clamping: segment)
        shortOffset = UInt32(clamping: offset)
        shortLength = UInt32(clamping: length)
    }

    /// There are no more than 32 bits have: that many were 64 PiB of journal.
    var segment: UInt64 { UInt64(shortSegment) }
    var offset: Int { Int(shortOffset) }
    /// Header and payload.
    var length: Int { Int(shortLength) }
}

/// A record to be written; numbers, epoch and sum are added by the journal.
enum RecordContent: Sendable {
    case message(MessageRecord)
    case outcome(OutcomeRecord)
    case note(key: [UInt8], value: [UInt8])
    case void([ClosedRange<UInt64>])
    /// The payload of a record that is written again elsewhere.
    case copy(RecordType, [UInt8])
    /// One of the above with its payload compressed.
    indirect case deflated(RecordContent, [UInt8])

    var type: RecordType {
        switch self {
        case .message: .message
        case .outcome: .outcome
        case .note: .note
        case .void: .void
        case .copy(let type, _): type
        case .deflated(let content, _): content.type
        }
    }

    var flags: RecordFlags {
        switch self {
        case .message, .outcome, .note, .void, .copy: []
        case .deflated: .deflated
        }
    }

    /// Whether it is of mail, and so encrypted where anything is.
    var isPrivate: Bool {
        switch self {
        case .message, .outcome, .note, .copy, .deflated: true
        case .void: false
        }
    }

    /// Bytes of the payload before it is encrypted.
    var payloadLength: Int {
        switch self {
        case .message(let message): message.payloadLength
        case .outcome(let outcome): RecordLayout.outcomeSize + outcome.payload.count
        case .note(let key, let value): RecordLayout.noteSize + key.count + value.count
        case .void(let ranges): 8 + 16 * ranges.count
        case .copy(_, let payload), .deflated(_, let payload): payload.count
        }
    }

    func writePayload(to writer: inout RecordWriter) {
        switch self {
        case .message(let message): message.write(to: &writer)
        case .outcome(let outcome): outcome.write(to: &writer)
        case .note(let key, let value):
            writer.integer(UInt32(key.count))
            writer.integer(UInt32(value.count))
            writer.bytes(key)
            writer.bytes(value)
        case .void(let ranges):
            writer.integer(UInt64(ranges.count))
            for range in ranges {
                writer.integer(range.lowerBound)
                writer.integer(range.upperBound)
            }
        case .copy(_, let payload), .deflated(_, let payload): writer.bytes(payload)
        }
    }

    /// The payload as bytes of their own.
    var payload: [UInt8] {
        switch self {
        case .copy(_, let payload), .deflated(_, let payload): return payload
        case .message, .outcome, .note, .void: break
        }
        let count = payloadLength
        return [UInt8](unsafeUninitializedCapacity: max(count, 1)) { buffer, filled in
            var writer = RecordWriter(buffer: UnsafeMutableRawBufferPointer(buffer), position: 0)
            writePayload(to: &writer)
            filled = count
        }
    }
}

extension RecordHeader {
    /// What an encrypted payload is bound to: the header from its length on.
    static let associated = 8..<RecordLayout.headerSize

    init(type: RecordType, flags: RecordFlags, length: Int, epoch: UInt64, number: UInt64, durable: UInt64) {
        self.length = length
        self.type = type
        self.flags = flags
        self.epoch = epoch
        self.number = number
        self.durable = durable
    }

    /// Writes all but the sum, and the zeros behind the record.
    func write(to batch: UnsafeMutableRawBufferPointer, at offset: Int) {
        for index in offset + length..<offset + RecordLayout.aligned(length) { batch[index] = 0 }
        var header = RecordWriter(buffer: batch, position: offset)
        header.integer(RecordLayout.magic)
        header.integer(UInt32(0))
        header.integer(UInt32(length))
        header.integer(UInt32(type.rawValue) | UInt32(flags.rawValue) << 8)
        header.integer(epoch)
        header.integer(number)
        header.integer(durable)
    }

    /// Writes the sum of a record that stands there otherwise.
    func writeSum(to batch: UnsafeMutableRawBufferPointer, at offset: Int) {
        let summed = UnsafeRawBufferPointer(rebasing: batch[offset + 8..<offset + length])
        var sum = RecordWriter(buffer: batch, position: offset + 4)
        sum.integer(martlet_crc32c(0, summed.baseAddress, summed.count))
    }
}

/// The header block of a segment.
///
///     magic:8 version:4 block:4 segment:8 epoch:8 size:8 key:4 sum:4
///
/// `key` is the version of the key with which its records are encrypted, 0 for none.
struct SegmentHeader {
    var segment: UInt64
    var epoch: UInt64
    var size: Int
    var key: UInt32

    private static let summed = 44
    static let version: UInt32 = 1

    init(segment: UInt64, epoch: UInt64, size: Int, key: UInt32) {
        self.segment = segment
        self.epoch = epoch
        self.size = size
        self.key = key
    }

    init?(in bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= RecordLayout.block, bytes.integer(at: 0) == RecordLayout.segmentMagic,
            bytes.integer(UInt32.self, at: 8) == SegmentHeader.version,
            bytes.integer(UInt32.self, at: SegmentHeader.summed)
                == martlet_crc32c(0, bytes.baseAddress, SegmentHeader.summed)
        else { return nil }
        segment = bytes.integer(at: 16)
        epoch = bytes.integer(at: 24)
        size = Int(clamping: bytes.integer(UInt64.self, at: 32))
        key = bytes.integer(at: 40)
    }

    func write(to bytes: UnsafeMutableRawBufferPointer) {
        for index in 0..<RecordLayout.block { bytes[index] = 0 }
        var writer = RecordWriter(buffer: bytes, position: 0)
        writer.integer(RecordLayout.segmentMagic)
        writer.integer(SegmentHeader.version)
        writer.integer(UInt32(RecordLayout.block))
        writer.integer(segment)
        writer.integer(epoch)
        writer.integer(UInt64(size))
        writer.integer(key)
        writer.integer(martlet_crc32c(0, bytes.baseAddress, SegmentHeader.summed))
    }
}

/// Appends to a buffer whose size was reckoned before.
struct RecordWriter {
    let buffer: UnsafeMutableRawBufferPointer
    var position: Int

    mutating func integer<Value: FixedWidthInteger>(_ value: Value) {
        buffer.storeBytes(of: value.littleEndian, toByteOffset: position, as: Value.self)
        position += MemoryLayout<Value>.size
    }

    mutating func bytes(_ bytes: [UInt8]) {
        UnsafeMutableRawBufferPointer(rebasing: buffer[position..<position + bytes.count]).copyBytes(from: bytes)
        position += bytes.count
    }
}

extension UnsafeRawBufferPointer {
    func integer<Value: FixedWidthInteger & BitwiseCopyable>(_: Value.Type = Value.self, at offset: Int) -> Value {
        Value(littleEndian: loadUnaligned(fromByteOffset: offset, as: Value.self))
    }
}
