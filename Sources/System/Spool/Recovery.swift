// SPDX-License-Identifier: ISC

import Bytes
import CPosix
import Glibc
public import Mail
import Posix

/// What was found at the start.
public struct RecoveredSpool {
    /// Live messages in the order of their positions. Deliver none before all of this has been read.
    public var messages: [RecoveredMessage] = []
    public var notes: [[UInt8]: [UInt8]] = [:]
    public var reports: [SpoolReport] = []

    public init() {}
}

/// A message that was committed and has an envelope without a final outcome.
public struct RecoveredMessage {
    public var position: SpoolPosition
    public var id: MessageID
    public var envelopeCount: UInt32
    public var envelopes: [UInt8]
    public var attributes: [UInt8]
    /// Bytes of the message as it will be sent.
    public var size: UInt64
    /// The latest outcome of each envelope that has one.
    public var outcomes: [UInt32: RecoveredOutcome]
    /// Its body file is gone or too short: there is nothing that could be delivered.
    public var isBodyMissing: Bool

    public init(
        position: SpoolPosition, id: MessageID, envelopeCount: UInt32, envelopes: [UInt8], attributes: [UInt8],
        size: UInt64, outcomes: [UInt32: RecoveredOutcome], isBodyMissing: Bool
    ) {
        self.position = position
        self.id = id
        self.envelopeCount = envelopeCount
        self.envelopes = envelopes
        self.attributes = attributes
        self.size = size
        self.outcomes = outcomes
        self.isBodyMissing = isBodyMissing
    }
}

public struct RecoveredOutcome: Hashable, Sendable {
    public var payload: [UInt8]
    public var isFinal: Bool

    public init(payload: [UInt8], isFinal: Bool) {
        self.payload = payload
        self.isFinal = isFinal
    }
}

/// Something that the log has to tell.
public enum SpoolReport: Hashable, Sendable, CustomStringConvertible {
    /// The end of the journal was being written when the machine stopped; nobody had an answer for it.
    case tornTail(segment: UInt64, bytes: Int)
    /// Records that had been safe are damaged; a copy of the bytes is in `aside`, where one was made.
    case corruption(segment: UInt64, offset: Int, bytes: Int, records: UInt64, aside: String?)
    case badHeader(segment: UInt64)
    case unreadable(segment: UInt64, SpoolError)
    case bodyMissing(MessageID)
    case bodyRemoved(String)
    /// It may belong to a message whose record cannot be read.
    case bodySetAside(String)
    case bodiesLeft(SpoolError)

    public var description: String {
        switch self {
        case .tornTail(let segment, let bytes):
            "torn tail of \(bytes) bytes in segment \(SpoolNames.segment(segment))"
        case .corruption(let segment, let offset, let bytes, let records, let aside):
            "corruption: \(records == 0 ? "some" : "\(records)") records lost, \(bytes) bytes at \(offset) of segment "
                + SpoolNames.segment(segment) + (aside.map { ", set aside as \($0)" } ?? "")
        case .badHeader(let segment): "damaged header of segment \(SpoolNames.segment(segment))"
        case .unreadable(let segment, let error): "segment \(SpoolNames.segment(segment)) is not readable: \(error)"
        case .bodyMissing(let id): "body file of message \(id) is missing"
        case .bodyRemoved(let name): "\(name) belonged to no message and was removed"
        case .bodySetAside(let name): "\(name) belongs to no message that can be read and was set aside"
        case .bodiesLeft(let error): "bodies that belong to no message stay where they are: \(error)"
        }
    }
}

/// Reads the journal as the last process left it: a value that takes one segment after another, in their order.
///
/// Every record with a right sum counts, the others leave a hole in the sequence of numbers. A hole is settled when a
/// void record names it, unread where the disk did not give all of its segment, corruption when something later knew a
/// number at or above it to be durable, and a torn tail otherwise.
struct Recovery {
    enum Cause {
        case corruption
        case tear
        /// The numbers are not to be settled: the next start may be able to read them.
        case unread
    }

    /// Bytes that are no record, and the numbers missing there (none: only bytes).
    struct Hole {
        /// Of the process that wrote what is missing.
        var epoch: UInt64
        /// Where the last record before it stands.
        var after: UInt64
        var segment: UInt64
        var bytes: Range<Int>
        var first: UInt64
        var last: UInt64?

        var count: UInt64 { last.map { $0 - first + 1 } ?? 0 }
        var range: ClosedRange<UInt64>? { last.map { first...$0 } }

        /// Where a process began far behind the one before, the count says nothing.
        func corruption(aside: String?) -> SpoolReport {
            let records = count < DiskSpool.numberGap ? count : 0
            return .corruption(
                segment: segment, offset: bytes.lowerBound, bytes: bytes.count, records: records, aside: aside)
        }
    }

    var messages: [UInt64: Live] = [:]
    var notes: [[UInt8]: (value: [UInt8], location: RecordLocation)] = [:]
    var reports: [SpoolReport] = []
    /// In use, in their order.
    var segments: [UInt64] = []
    /// Prepared and never written to.
    var empty: [UInt64] = []
    /// Those of which the disk did not give all.
    private(set) var unread: Set<UInt64> = []
    /// Where the last record stands that was read.
    private var lastSegment: UInt64 = 0
    var highestEpoch: UInt64 = 0
    /// 0 until a record was read.
    var highestNumber: UInt64 = 0
    /// What each process has known to be durable.
    private var durable: [UInt64: UInt64] = [:]
    /// Of the last record that was read.
    private var lastEpoch: UInt64 = 0
    /// A process of this epoch has read all that was before it: what is missing now was there then.
    private var vouchingEpoch: UInt64 = 0
    private var firstNumbers: [UInt64: UInt64] = [:]
    var voids: [ClosedRange<UInt64>] = []
    var tail = TallyTail()
    /// Of a key that was not given.
    private(set) var missingKey: UInt32?
    private let unsealer: Unsealer
    private var holes: [Hole] = []
    /// Outcomes of messages that have not been met: one that was moved stands behind its older outcomes.
    var early: [UInt64: [UInt32: Outcome]] = [:]
    /// Who was done in this segment and in the one before.
    var justDone: [UInt64] = []
    var doneBefore: [UInt64] = []
    private var epoch: UInt64 = 0

    init(_ unsealer: Unsealer = Unsealer()) { self.unsealer = unsealer }

    /// Part of a segment cannot be read.
    mutating func leaveUnread(_ segment: UInt64, _ error: SystemError) {
        unread.insert(segment)
        reports.append(.unreadable(segment: segment, .system(error)))
    }

    /// Nothing of a segment can be read.
    mutating func pass(_ segment: UInt64, _ error: SystemError) {
        forgetDone()
        segments.append(segment)
        leaveUnread(segment, error)
    }

    /// Reads what a sealed segment tells of itself. `fetch` reads a record whose head is not in the index.
    mutating func read(
        _ index: FoundIndex, epoch: UInt64, fetch: (RecordLocation) -> [UInt8]?
    ) {
        forgetDone()
        segments.append(index.segment)
        highestEpoch = max(highestEpoch, epoch)
        if highestNumber != 0, index.first > highestNumber + 1 {
            note(
                Hole(
                    epoch: lastEpoch, after: lastSegment, segment: index.segment,
                    bytes: RecordLayout.block..<RecordLayout.block, first: highestNumber + 1, last: index.first - 1))
        }
        begin(epoch, index.first, in: index.segment)
        for entry in index.entries {
            let isTaken: Bool
            if let head = entry.head {
                isTaken = index.payload.withUnsafeBytes { bytes in
                    take(entry.type, entry.number, UnsafeRawBufferPointer(rebasing: bytes[head]), .head, entry.location)
                }
            } else if let record = fetch(entry.location) {
                isTaken = record.withUnsafeBytes { bytes in
                    guard let header = RecordHeader(in: bytes, at: 0), header.number == entry.number else {
                        return false
                    }
                    return take(header, bytes, entry.location)
                }
            } else {
                isTaken = false
            }
            if !isTaken {
                let end = entry.location.offset + entry.location.length
                holes.append(
                    Hole(
                        epoch: epoch, after: index.segment, segment: index.segment, bytes: entry.location.offset..<end,
                        first: entry.number, last: entry.number))
            }
        }
        highestNumber = max(highestNumber, index.last)
        durable[epoch] = max(durable[epoch] ?? 0, index.durable)
        self.epoch = epoch
    }

    /// `isWhole` says that the disk gave all of it: only then can it be known to be empty.
    mutating func read(_ bytes: UnsafeRawBufferPointer, segment: UInt64, isWhole: Bool = true) {
        forgetDone()
        var isEmpty = isWhole
        defer { if isEmpty { empty.append(segment) } else { segments.append(segment) } }
        if let header = SegmentHeader(in: bytes), header.segment == segment {
            epoch = header.epoch
        } else {
            isEmpty = false
            reports.append(.badHeader(segment: segment))
            // Every batch begins at a block, so the first record of the segment is where it always is.
            if let first = RecordHeader(in: bytes, at: RecordLayout.block) { epoch = first.epoch }
        }
        highestEpoch = max(highestEpoch, epoch)
        // A record never begins with a zero: behind the last byte that is none there is nothing to look for.
        let used = martlet_used_length(bytes.baseAddress, bytes.count)
        var position = RecordLayout.block
        while position < used {
            guard let found = next(in: bytes, from: position, to: used) else {
                isEmpty = false
                holes.append(
                    Hole(
                        epoch: epoch, after: lastSegment, segment: segment, bytes: position..<used,
                        first: highestNumber + 1))
                return
            }
            let header = found.header
            isEmpty = false
            if header.type == .index {
                position = found.offset + RecordLayout.aligned(header.length)
                continue
            }
            if highestNumber == 0, found.offset > position, header.number > 0 {
                // The oldest segment has nothing before it that could tell how many are missing: at least one.
                let missing = position..<found.offset
                note(
                    Hole(
                        epoch: epoch, after: lastSegment, segment: segment, bytes: missing, first: header.number - 1,
                        last: header.number - 1))
            } else if highestNumber != 0, header.number > highestNumber + 1 {
                note(
                    Hole(
                        epoch: lastEpoch, after: lastSegment, segment: segment, bytes: position..<found.offset,
                        first: highestNumber + 1, last: header.number - 1))
            }
            highestNumber = header.number
            begin(epoch, header.number, in: segment)
            durable[epoch] = max(durable[epoch] ?? 0, header.durable)
            let record = UnsafeRawBufferPointer(rebasing: bytes[found.offset..<found.offset + header.length])
            let location = RecordLocation(segment: segment, offset: found.offset, length: header.length)
            if !take(header, record, location) {
                let end = found.offset + header.length
                holes.append(
                    Hole(
                        epoch: epoch, after: segment, segment: segment, bytes: found.offset..<end,
                        first: header.number, last: header.number))
            }
            position = found.offset + RecordLayout.aligned(header.length)
        }
    }

    private mutating func begin(_ epoch: UInt64, _ number: UInt64, in segment: UInt64) {
        lastEpoch = epoch
        lastSegment = segment
        if firstNumbers[epoch] == nil { firstNumbers[epoch] = number }
    }

    // What is missing before the first record of a segment is what stood in the bytes at the end of the one before.
    private mutating func note(_ hole: Hole) {
        if hole.bytes.isEmpty, let tail = holes.last, tail.last == nil, tail.first == hole.first {
            holes[holes.count - 1].last = hole.last
        } else {
            holes.append(hole)
        }
    }

    /// The next record of this epoch that continues the sequence, at `start` or behind bytes that are none.
    private func next(in bytes: UnsafeRawBufferPointer, from start: Int, to used: Int) -> (
        offset: Int, header: RecordHeader
    )? {
        var offset = start
        while offset < used, offset <= bytes.count - RecordLayout.headerSize {
            // The epoch first: no sum is reckoned over what only looks like a record.
            if bytes.integer(UInt64.self, at: offset + 16) == epoch,
                let header = RecordHeader(in: bytes, at: offset),
                header.number > highestNumber || header.type == .index
            {
                return (offset, header)
            }
            offset += 8
        }
        return nil
    }

    /// False when the record's own lengths contradict each other, or it cannot be decrypted.
    private mutating func take(
        _ header: RecordHeader, _ record: UnsafeRawBufferPointer, _ location: RecordLocation
    ) -> Bool {
        do throws(Cipher.Fault) {
            return try unsealer.withPayload(of: record, header) {
                take(header.type, header.number, $0, .withoutPieces, location)
            } ?? false
        } catch {
            if case .unknownKey(let version) = error { missingKey = version }
            return false
        }
    }

    private mutating func take(
        _ type: RecordType, _ number: UInt64, _ payload: UnsafeRawBufferPointer, _ parts: MessageRecord.Parts,
        _ location: RecordLocation
    ) -> Bool {
        switch type {
        case .padding, .index: return true
        case .message:
            guard let message = MessageRecord(payload, parts), let size = MessageRecord.size(payload)
            else { return false }
            if message.movedFrom == 0 { tail.accepted(message.envelopeCount, number: number) }
            take(message, size, Standing(number: number, location: location))
        case .outcome:
            guard let outcome = OutcomeRecord(payload) else { return false }
            if outcome.isFinal, !outcome.isMoved { tail.ended(outcome.payload, number: number) }
            take(outcome, location)
        case .note:
            guard let note = NoteRecord(payload) else { return false }
            if note.key == SpoolTally.key { tail.noted(note.value) }
            notes[note.key] = note.value.isEmpty ? nil : (note.value, location)
        case .void:
            guard let ranges = VoidRecord.ranges(payload) else { return false }
            voids += ranges
            // The numbers up to its own first are the last that a process settles, when it has read what was before.
            if let first = firstNumbers[lastEpoch], ranges.contains(where: { $0.upperBound < first }) {
                vouchingEpoch = max(vouchingEpoch, lastEpoch)
            }
            takeBack { number in ranges.contains { $0.contains(number) } }
        }
        return true
    }

    /// Holes that no void record names, with what made them.
    func unsettled() -> [(hole: Hole, cause: Cause)] {
        let ordered = voids.sorted { $0.lowerBound < $1.lowerBound }
        var result: [(Hole, Cause)] = []
        for hole in holes {
            let isUnread = unread.contains { (hole.after...hole.segment).contains($0) }
            guard let last = hole.last else {
                // Bytes behind the last record: where the sequence goes on without a gap, nothing is missing there.
                let isVoid = voids.contains { $0.contains(hole.first) }
                if highestNumber < hole.first, !isVoid { result.append((hole, isUnread ? .unread : .tear)) }
                continue
            }
            var first = hole.first
            for range in ordered where range.contains(first) { first = range.upperBound &+ 1 }
            if first > last { continue }
            var rest = hole
            rest.first = first
            let wasSafe = hole.epoch < vouchingEpoch || durable[hole.epoch] ?? 0 >= first
            result.append((rest, isUnread ? .unread : wasSafe ? .corruption : .tear))
        }
        return result
    }
}

extension MessageRecord {
    /// The sum of the counts of the pieces.
    static func size(_ payload: UnsafeRawBufferPointer) -> UInt64? {
        var size: UInt64 = 0
        for index in 0..<Int(payload.integer(UInt32.self, at: 48)) {
            let at = RecordLayout.messageSize + index * RecordLayout.pieceSize + 16
            guard at + 8 <= payload.count else { return nil }
            size &+= payload.integer(UInt64.self, at: at)
        }
        return size
    }
}
