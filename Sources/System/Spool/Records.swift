// SPDX-License-Identifier: ISC

import Mail

/// A message as it stands in the journal.
///
///     moved from:8 body file:8 body size:8 stored size:8 id:4 envelopes:4 envelope bytes:4 attribute bytes:4 pieces:4
///     inline bytes:4 body form:4 zero:4
///     pieces * (source:4 zero:4 offset:8 count:8), envelopes, attributes, inline
///
/// `moved from` is 0, or the number by which a message that was written again keeps being known. A body file is named
/// by its number, 0 for none; its form is 0 for plain bytes, 1 for parts that are compressed or encrypted, and the
/// stored size is that of the file. The source of a piece is 0 for the inline bytes, 1 for the body file.
struct MessageRecord: Sendable {
    var movedFrom: UInt64 = 0
    var bodyFile: UInt64 = 0
    var bodySize: UInt64 = 0
    var bodyStored: UInt64 = 0
    var bodyForm = BodyForm.plain
    var id: MessageID
    var envelopeCount: UInt32
    var envelopes: [UInt8]
    var attributes: [UInt8]
    var pieces: [SpoolPiece]

    var payloadLength: Int {
        var count = RecordLayout.messageSize + envelopes.count + attributes.count
        for piece in pieces {
            count += RecordLayout.pieceSize
            if case .bytes(let bytes) = piece { count += bytes.count }
        }
        return count
    }

    /// Bytes of the payload that are not content.
    var headLength: Int {
        RecordLayout.messageSize + pieces.count * RecordLayout.pieceSize + envelopes.count + attributes.count
    }

    var head: [UInt8] {
        let count = headLength
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            var writer = RecordWriter(buffer: UnsafeMutableRawBufferPointer(buffer), position: 0)
            writeHead(to: &writer)
            filled = count
        }
    }

    func write(to writer: inout RecordWriter) {
        writeHead(to: &writer)
        for piece in pieces { if case .bytes(let bytes) = piece { writer.bytes(bytes) } }
    }

    private func writeHead(to writer: inout RecordWriter) {
        writer.integer(movedFrom)
        writer.integer(bodyFile)
        writer.integer(bodySize)
        writer.integer(bodyStored)
        writer.integer(id.value)
        writer.integer(envelopeCount)
        writer.integer(UInt32(envelopes.count))
        writer.integer(UInt32(attributes.count))
        writer.integer(UInt32(pieces.count))
        let inlineSize = writer.position
        writer.integer(UInt32(0))
        writer.integer(bodyForm.rawValue)
        writer.integer(UInt32(0))
        var inline = 0
        for piece in pieces {
            switch piece {
            case .bytes(let bytes):
                writer.integer(UInt64(0))
                writer.integer(UInt64(inline))
                inline += bytes.count
            case .body(let offset, _):
                writer.integer(UInt64(1))
                writer.integer(offset)
            }
            writer.integer(piece.count)
        }
        writer.bytes(envelopes)
        writer.bytes(attributes)
        var size = RecordWriter(buffer: writer.buffer, position: inlineSize)
        size.integer(UInt32(inline))
    }
}

extension MessageRecord {
    /// A head is all but the inline bytes, and the pieces are not read from it.
    enum Parts { case all, withoutPieces, head }

    /// How many bytes of a payload are its head; nil when its lengths contradict each other.
    static func headLength(_ payload: UnsafeRawBufferPointer) -> Int? {
        guard payload.count >= RecordLayout.messageSize else { return nil }
        let inline = Int(payload.integer(UInt32.self, at: 52))
        let length = payload.count - inline
        return length >= RecordLayout.messageSize ? length : nil
    }

    /// The payload of a record whose sum was right; nil when its lengths contradict each other all the same.
    init?(_ payload: UnsafeRawBufferPointer, _ parts: Parts) {
        guard payload.count >= RecordLayout.messageSize else { return nil }
        movedFrom = payload.integer(at: 0)
        bodyFile = payload.integer(at: 8)
        bodySize = payload.integer(at: 16)
        bodyStored = payload.integer(at: 24)
        id = MessageID(payload.integer(at: 32))
        envelopeCount = payload.integer(at: 36)
        let envelopeBytes = Int(payload.integer(UInt32.self, at: 40))
        let attributeBytes = Int(payload.integer(UInt32.self, at: 44))
        let pieceCount = Int(payload.integer(UInt32.self, at: 48))
        let inlineBytes = Int(payload.integer(UInt32.self, at: 52))
        guard let form = BodyForm(rawValue: payload.integer(at: 56)) else { return nil }
        bodyForm = form
        let envelopesAt = RecordLayout.messageSize + pieceCount * RecordLayout.pieceSize
        let inlineAt = envelopesAt + envelopeBytes + attributeBytes
        guard payload.count == inlineAt + (parts == .head ? 0 : inlineBytes) else { return nil }
        envelopes = Array(payload[envelopesAt..<envelopesAt + envelopeBytes])
        attributes = Array(payload[envelopesAt + envelopeBytes..<inlineAt])
        pieces = []
        if parts != .all { return }
        for index in 0..<pieceCount {
            let at = RecordLayout.messageSize + index * RecordLayout.pieceSize
            let offset = payload.integer(UInt64.self, at: at + 8)
            let count = payload.integer(UInt64.self, at: at + 16)
            switch payload.integer(UInt32.self, at: at) {
            case 0:
                guard offset <= UInt64(inlineBytes), count <= UInt64(inlineBytes) - offset else { return nil }
                let start = inlineAt + Int(offset)
                pieces.append(.bytes(Array(payload[start..<start + Int(count)])))
            case 1: pieces.append(.body(offset: offset, count: count))
            default: return nil
            }
        }
    }
}

/// What became of an envelope, as it stands in the journal.
///
///     message:8 envelope:4 flags:4 bytes:8 payload
///
/// The flags are 1 for a final one and 2 for one that was written again at the tail, and is not counted again.
struct OutcomeRecord: Sendable {
    var message: UInt64
    var envelope: UInt32
    var isFinal: Bool
    var isMoved = false
    var payload: [UInt8]

    static let flagsAt = 12
    static let finalFlag: UInt32 = 1
    static let movedFlag: UInt32 = 2

    func write(to writer: inout RecordWriter) {
        writer.integer(message)
        writer.integer(envelope)
        writer.integer((isFinal ? Self.finalFlag : 0) | (isMoved ? Self.movedFlag : 0))
        writer.integer(UInt64(payload.count))
        writer.bytes(payload)
    }
}

extension OutcomeRecord {
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= RecordLayout.outcomeSize,
            bytes.integer(UInt64.self, at: 16) == UInt64(bytes.count - RecordLayout.outcomeSize)
        else { return nil }
        let flags: UInt32 = bytes.integer(at: Self.flagsAt)
        self.init(
            message: bytes.integer(at: 0), envelope: bytes.integer(at: 8), isFinal: flags & Self.finalFlag != 0,
            isMoved: flags & Self.movedFlag != 0, payload: Array(bytes[RecordLayout.outcomeSize...]))
    }
}

/// A value of another daemon's state, as it stands in the journal.
///
///     key bytes:4 value bytes:4 key value
struct NoteRecord {
    var key: [UInt8]
    var value: [UInt8]

    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= RecordLayout.noteSize else { return nil }
        let split = RecordLayout.noteSize + Int(bytes.integer(UInt32.self, at: 0))
        guard bytes.count == split + Int(bytes.integer(UInt32.self, at: 4)) else { return nil }
        key = Array(bytes[RecordLayout.noteSize..<split])
        value = Array(bytes[split...])
    }
}

/// Ranges of numbers that are void, as they stand in the journal.
///
///     ranges:8 ranges * (first:8 last:8)
enum VoidRecord {
    static func ranges(_ bytes: UnsafeRawBufferPointer) -> [ClosedRange<UInt64>]? {
        guard bytes.count >= 8, bytes.integer(UInt64.self, at: 0) == UInt64((bytes.count - 8) / 16),
            bytes.count % 16 == 8
        else { return nil }
        var ranges: [ClosedRange<UInt64>] = []
        for at in stride(from: 8, to: bytes.count, by: 16) {
            let first = bytes.integer(UInt64.self, at: at)
            let last = bytes.integer(UInt64.self, at: at + 8)
            guard first <= last else { return nil }
            ranges.append(first...last)
        }
        return ranges
    }
}
