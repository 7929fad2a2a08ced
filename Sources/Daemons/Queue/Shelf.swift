// SPDX-License-Identifier: ISC

import IPC
import Mail
import Schedule
import Spool

/// All messages that are not done, packed: with what the schedule needs, a queued recipient must cost 300 bytes at most.
///
/// A message is one row of bytes, its head and then its recipients in the order of their numbers; where there are many,
/// the others stand in further rows. Nothing of it is on the heap for a recipient alone.
///
///     row: head size:2 left:4 flags:1 request:1 origin:4 position, size, created, born (variable)
///          fingerprint:8 or none, ENVID:4 or none, wishes:4 or none, sender (domain:4 local part) or none, recipients
struct Shelf {
    /// A message without its recipients.
    struct Head {
        var position: SpoolPosition
        var size: UInt64
        var created: Timestamp
        var born: Int64
        var sender: ReversePath
        var origin: Origin
        var request: MessageRequest
        var fingerprint: MessageFingerprint?
        var isBodyMissing: Bool
    }

    private struct Flags: OptionSet {
        let rawValue: UInt8
        static let isBodyMissing = Flags(rawValue: 1)
        static let hasFingerprint = Flags(rawValue: 2)
        static let hasEnvelopeIdentifier = Flags(rawValue: 4)
        static let hasSender = Flags(rawValue: 8)
        /// The request asks for more than RET, ENVID and BODY.
        static let hasWishes = Flags(rawValue: 16)
    }

    /// Where a recipient stands: in the row of its message, or in one of the further rows.
    private struct Place {
        var row: Int?
        var offset: Int
    }

    private var rows = RowStore()
    private var further: [UInt32: [[UInt8]]] = [:]
    private var pool = TextPool()
    /// Recipients of all messages.
    private(set) var count = 0

    // A recipient is found by going through its row.
    private static let mostInRow = 32
    private static let leftAt = 2
    private static let flagsAt = 6
    private static let fixedSize = 12

    var messageCount: Int { rows.count }
    /// All rows together, without what each costs beside its bytes.
    var rowBytes: Int {
        rows.liveBytes + further.values.joined().reduce(0) { $0 + $1.count }
    }
    var textCount: Int { pool.count }

    func contains(_ id: MessageID) -> Bool { rows.contains(id.value) }

    /// Which messages there are, in no order.
    var ids: [MessageID] { rows.numbers.map(MessageID.init) }

    // MARK: Putting in

    mutating func insert(_ id: MessageID, _ message: StoredMessage) {
        var row: [UInt8] = []
        row.reserveCapacity(128)
        var flags: Flags = []
        if message.isBodyMissing { flags.insert(.isBodyMissing) }
        if message.fingerprint != nil { flags.insert(.hasFingerprint) }
        if message.request.envelopeIdentifier != nil { flags.insert(.hasEnvelopeIdentifier) }
        if message.sender.mailbox != nil { flags.insert(.hasSender) }
        let wishes = message.request.wishes
        if wishes != nil { flags.insert(.hasWishes) }
        row.append(integer: UInt16(0))
        row.append(integer: UInt32(message.recipients.count))
        row.append(flags.rawValue)
        row.append((message.request.returned?.rawValue ?? 0) << 4 | (message.request.body?.rawValue ?? 0))
        var origin: [UInt8] = []
        message.origin.encode(to: &origin)
        row.append(integer: pool.take(origin))
        row.append(variable: message.position.sequenceNumber)
        row.append(variable: message.size)
        row.append(variable: UInt64(bitPattern: message.created.seconds))
        row.append(variable: UInt64(bitPattern: message.born))
        if let fingerprint = message.fingerprint { row.append(integer: fingerprint.value) }
        if let identifier = message.request.envelopeIdentifier { row.append(integer: pool.take(identifier)) }
        if let wishes { row.append(integer: pool.take(wishes)) }
        if let sender = message.sender.mailbox {
            row.append(integer: pool.take(sender.domain.text))
            row.append(short: sender.localPart.text)
        }
        row.set(UInt16(row.count), at: 0)
        var full: [[UInt8]] = []
        var inRow = 0
        for (number, recipient) in message.recipients.sorted(by: { $0.key < $1.key }) {
            if inRow == Self.mostInRow {
                full.append(Array(row[...]))
                row = []
                inRow = 0
            }
            PackedRecipient.append(recipient, number: number, to: &row, &pool)
            inRow += 1
        }
        // Exactly as large as it is.
        full.append(Array(row[...]))
        rows.set(id.value, full[0])
        if full.count > 1 { further[id.value] = Array(full[1...]) }
        count += message.recipients.count
    }

    // MARK: Looking

    func head(_ id: MessageID) -> Head? {
        guard let row = rows[id.value] else { return nil }
        let flags = Flags(rawValue: row[Self.flagsAt])
        let request = row[Self.flagsAt + 1]
        var reader = RowReader(row, Self.flagsAt + 2)
        let originBytes = pool[reader.integer()]
        var originReader = WireReader(originBytes, 0..<originBytes.count)
        guard let origin = try? originReader.value(Origin.self) else { return nil }
        let position = SpoolPosition(sequenceNumber: reader.variable())
        let size = reader.variable()
        let created = Timestamp(seconds: Int64(bitPattern: reader.variable()))
        let born = Int64(bitPattern: reader.variable())
        let fingerprint = flags.contains(.hasFingerprint) ? MessageFingerprint(value: reader.integer()) : nil
        let identifier = flags.contains(.hasEnvelopeIdentifier) ? pool.text(reader.integer()) : nil
        var asked = MessageRequest()
        if flags.contains(.hasWishes) {
            let bytes = pool[reader.integer()]
            var wishes = WireReader(bytes, 0..<bytes.count)
            guard let found = try? wishes.value(MessageRequest.self) else { return nil }
            asked = found
        }
        asked.returned = MessageRequest.Return(rawValue: request >> 4)
        asked.envelopeIdentifier = identifier
        asked.body = MessageRequest.Body(rawValue: request & 15)
        var sender = ReversePath.null
        if flags.contains(.hasSender) {
            let domain: UInt32 = reader.integer()
            guard let mailbox = PackedRecipient.mailbox(reader.short(), domain, pool) else { return nil }
            sender = .mailbox(mailbox)
        }
        return Head(
            position: position, size: size, created: created, born: born, sender: sender, origin: origin,
            request: asked, fingerprint: fingerprint, isBodyMissing: flags.contains(.isBodyMissing))
    }

    /// Where the message is in the spool.
    func position(_ id: MessageID) -> SpoolPosition? {
        guard let row = rows[id.value] else { return nil }
        var reader = RowReader(row, Self.fixedSize)
        return SpoolPosition(sequenceNumber: reader.variable())
    }

    /// Whether a message has this fingerprint or ENVID; without decoding the rest of it.
    func matches(_ id: MessageID, _ fingerprint: MessageFingerprint, envelopeIdentifier: String) -> Bool {
        guard let row = rows[id.value] else { return false }
        let flags = Flags(rawValue: row[Self.flagsAt])
        var reader = RowReader(row, Self.fixedSize)
        for _ in 0..<4 { _ = reader.variable() }
        if flags.contains(.hasFingerprint), reader.integer(UInt64.self) == fingerprint.value { return true }
        return flags.contains(.hasEnvelopeIdentifier) && pool.text(reader.integer()) == envelopeIdentifier
    }

    func recipient(_ id: EnvelopeID) -> StoredMessage.Recipient? {
        guard let place = place(of: id), let row = row(place, of: id.message) else { return nil }
        return PackedRecipient.recipient(in: row, at: place.offset, pool)
    }

    func contains(_ id: EnvelopeID) -> Bool { place(of: id) != nil }

    /// The numbers of the recipients of a message that are not done.
    func numbers(_ id: MessageID) -> [UInt32] {
        guard let row = rows[id.value] else { return [] }
        var found: [UInt32] = []
        Self.visit(row, from: Int(row.integer(UInt16.self, at: 0))) { number, _ in
            found.append(number)
            return true
        }
        for row in further[id.value] ?? [] {
            Self.visit(row, from: 0) { number, _ in
                found.append(number)
                return true
            }
        }
        return found
    }

    // MARK: Changing

    mutating func setReply(_ id: EnvelopeID, _ reply: Reply?) {
        guard let place = place(of: id), let row = row(place, of: id.message) else { return }
        let old: UInt32 = row.integer(at: place.offset + PackedRecipient.replyAt)
        let new = reply.map { pool.take(PackedRecipient.bytes(of: $0)) } ?? TextPool.none
        pool.drop(old)
        write(new, place, PackedRecipient.replyAt, of: id.message)
    }

    /// Sends a recipient to another destination by another action.
    mutating func setDispatch(_ id: EnvelopeID, _ destination: Mailbox, _ dispatch: Dispatch) {
        guard let place = place(of: id), let row = row(place, of: id.message) else { return }
        var changed = Array(row[..<place.offset])
        guard var recipient = PackedRecipient.recipient(in: row, at: place.offset, pool) else { return }
        recipient.destination = destination
        recipient.dispatch = dispatch
        PackedRecipient.append(recipient, number: id.number, to: &changed, &pool)
        PackedRecipient.drop(in: row, at: place.offset, &pool)
        changed += row[(place.offset + Int(row.integer(UInt16.self, at: place.offset)))...]
        if let index = place.row {
            further[id.message.value]?[index] = changed
        } else {
            rows.set(id.message.value, changed)
        }
    }

    /// Forgets a recipient that is done; false when it was none.
    @discardableResult
    mutating func remove(_ id: EnvelopeID) -> Bool {
        guard let place = place(of: id), let row = row(place, of: id.message) else { return false }
        PackedRecipient.drop(in: row, at: place.offset, &pool)
        let flags: UInt16 = row.integer(at: place.offset + PackedRecipient.flagsAt)
        write(flags | PackedRecipient.Flags.done.rawValue, place, PackedRecipient.flagsAt, of: id.message)
        let left = (rows[id.message.value]?.integer(UInt32.self, at: Self.leftAt) ?? 1) - 1
        rows.write(left, id.message.value, at: Self.leftAt)
        count -= 1
        return true
    }

    /// Forgets a message with whatever is left of it.
    mutating func remove(_ id: MessageID) {
        for number in numbers(id) { remove(EnvelopeID(id, number: number)) }
        guard let row = rows[id.value] else { return }
        rows.remove(id.value)
        further[id.value] = nil
        let flags = Flags(rawValue: row[Self.flagsAt])
        var reader = RowReader(row, Self.flagsAt + 2)
        pool.drop(reader.integer())
        for _ in 0..<4 { _ = reader.variable() }
        if flags.contains(.hasFingerprint) { let _: UInt64 = reader.integer() }
        if flags.contains(.hasEnvelopeIdentifier) { pool.drop(reader.integer()) }
        if flags.contains(.hasWishes) { pool.drop(reader.integer()) }
        if flags.contains(.hasSender) { pool.drop(reader.integer()) }
    }

    // MARK: Rows

    private func row(_ place: Place, of id: MessageID) -> [UInt8]? {
        place.row.map { further[id.value]?[$0] } ?? rows[id.value]
    }

    private mutating func write<Value: FixedWidthInteger>(
        _ value: Value, _ place: Place, _ field: Int, of id: MessageID
    ) {
        if let index = place.row {
            further[id.value]?[index].set(value, at: place.offset + field)
        } else {
            rows.write(value, id.value, at: place.offset + field)
        }
    }

    private func place(of id: EnvelopeID) -> Place? {
        guard let row = rows[id.message.value] else { return nil }
        if let offset = Self.offset(of: id.number, in: row, from: Int(row.integer(UInt16.self, at: 0))) {
            return Place(row: nil, offset: offset)
        }
        guard let others = further[id.message.value] else { return nil }
        // The last row that begins at or below the number.
        var low = 0
        var high = others.count
        while low < high {
            let middle = (low + high) / 2
            if others[middle].integer(UInt32.self, at: PackedRecipient.numberAt) <= id.number {
                low = middle + 1
            } else {
                high = middle
            }
        }
        guard low > 0, let offset = Self.offset(of: id.number, in: others[low - 1], from: 0) else { return nil }
        return Place(row: low - 1, offset: offset)
    }

    private static func offset(of wanted: UInt32, in row: [UInt8], from start: Int) -> Int? {
        var found: Int?
        visit(row, from: start) { number, offset in
            if number == wanted { found = offset }
            return number < wanted
        }
        return found
    }

    /// Calls `visit` with the number and the place of each recipient that is not done, until it returns false.
    private static func visit(_ row: [UInt8], from start: Int, _ visit: (UInt32, Int) -> Bool) {
        var offset = start
        while offset < row.count {
            let flags = PackedRecipient.Flags(rawValue: row.integer(at: offset + PackedRecipient.flagsAt))
            if !flags.contains(.done) {
                guard visit(row.integer(at: offset + PackedRecipient.numberAt), offset) else { return }
            }
            offset += Int(row.integer(UInt16.self, at: offset))
        }
    }
}

extension MessageRequest {
    /// All that is asked beside RET, ENVID and BODY, for the few messages that ask for it; nil where nothing is.
    fileprivate var wishes: [UInt8]? {
        var rest = self
        rest.returned = nil
        rest.envelopeIdentifier = nil
        rest.body = nil
        guard rest != MessageRequest() else { return nil }
        var bytes: [UInt8] = []
        rest.encode(to: &bytes)
        return bytes
    }
}

extension Shelf.Head {
    /// At what age the sender is to be told that the deadline has passed and delivery goes on.
    var ageOfDeadline: Interval? {
        guard let deadline = request.deadline, deadline.mode == .notify else { return nil }
        return max(.seconds(1), deadline.time - created)
    }
}
