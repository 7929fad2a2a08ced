// SPDX-License-Identifier: ISC

import IPC
import Mail

/// A recipient as the shelf keeps it: a few dozen bytes in a row of them, its longer texts in the pool.
///
///     length:2 number:4 flags:2 notify:1 reply:4 domain:4 action:4 local part (count:1 bytes)
///     then, as the flags say: domain:4 local part of another destination; user:4; subaddress:4; line:2 or item:4;
///     original recipient:4
enum PackedRecipient {
    struct Flags: OptionSet {
        let rawValue: UInt16
        static let done = Flags(rawValue: 1)
        static let isInternal = Flags(rawValue: 2)
        static let hasDestination = Flags(rawValue: 4)
        static let isLocal = Flags(rawValue: 8)
        static let hasSubaddress = Flags(rawValue: 16)
        static let isForward = Flags(rawValue: 32)
        static let isAlias = Flags(rawValue: 64)
        static let hasOriginal = Flags(rawValue: 128)
    }

    static let numberAt = 2
    static let flagsAt = 6
    static let replyAt = 9

    static func append(
        _ recipient: StoredMessage.Recipient, number: UInt32, to row: inout [UInt8], _ pool: inout TextPool
    ) {
        let start = row.count
        row.append(integer: UInt16(0))
        row.append(integer: number)
        var flags: Flags = []
        if recipient.isInternal { flags.insert(.isInternal) }
        let isElsewhere = recipient.destination != recipient.recipient
        if isElsewhere { flags.insert(.hasDestination) }
        if recipient.report.originalRecipient != nil { flags.insert(.hasOriginal) }
        switch recipient.dispatch {
        case .relay: break
        case .local(_, _, let subaddress, let form):
            flags.insert(.isLocal)
            if subaddress != nil { flags.insert(.hasSubaddress) }
            switch form {
            case .action: break
            case .forward: flags.insert(.isForward)
            case .alias: flags.insert(.isAlias)
            }
        }
        row.append(integer: flags.rawValue)
        row.append(recipient.report.notify.rawValue)
        row.append(integer: recipient.reply.map { pool.take(bytes(of: $0)) } ?? TextPool.none)
        row.append(integer: pool.take(recipient.recipient.domain.text))
        row.append(integer: pool.take(recipient.dispatch.action))
        row.append(short: recipient.recipient.localPart.text)
        if isElsewhere {
            row.append(integer: pool.take(recipient.destination.domain.text))
            row.append(short: recipient.destination.localPart.text)
        }
        if case .local(_, let user, let subaddress, let form) = recipient.dispatch {
            row.append(integer: pool.take(user))
            if let subaddress { row.append(integer: pool.take(subaddress)) }
            switch form {
            case .action: break
            case .forward(let line): row.append(integer: line)
            case .alias(let item): row.append(integer: pool.take(item))
            }
        }
        if let original = recipient.report.originalRecipient { row.append(integer: pool.take(original)) }
        row.set(UInt16(row.count - start), at: start)
    }

    static func bytes(of reply: Reply) -> [UInt8] {
        var bytes: [UInt8] = []
        reply.encodeWithHost(to: &bytes)
        return bytes
    }

    /// The recipient at `start`; nil when the row is not what was written.
    static func recipient(in row: [UInt8], at start: Int, _ pool: TextPool) -> StoredMessage.Recipient? {
        var reader = RowReader(row, start + flagsAt)
        let flags = Flags(rawValue: reader.integer())
        let notify: UInt8 = reader.integer()
        let reply: UInt32 = reader.integer()
        let domain: UInt32 = reader.integer()
        let action = pool.text(reader.integer())
        guard let recipient = mailbox(reader.short(), domain, pool) else { return nil }
        var destination = recipient
        if flags.contains(.hasDestination) {
            let domain: UInt32 = reader.integer()
            guard let elsewhere = mailbox(reader.short(), domain, pool) else { return nil }
            destination = elsewhere
        }
        var dispatch = Dispatch.relay(action: action)
        if flags.contains(.isLocal) {
            let user = pool.text(reader.integer())
            let subaddress = flags.contains(.hasSubaddress) ? pool.text(reader.integer()) : nil
            let form: LocalForm =
                flags.contains(.isForward)
                ? .forward(line: reader.integer())
                : flags.contains(.isAlias) ? .alias(item: pool.text(reader.integer())) : .action
            dispatch = .local(action: action, user: user, subaddress: subaddress, form: form)
        }
        let original = flags.contains(.hasOriginal) ? pool.text(reader.integer()) : nil
        return StoredMessage.Recipient(
            recipient: recipient, destination: destination, dispatch: dispatch,
            report: ReportRequest(notify: .init(rawValue: notify), originalRecipient: original),
            isInternal: flags.contains(.isInternal), reply: Self.reply(reply, pool))
    }

    /// Gives back what the recipient at `start` has in the pool.
    static func drop(in row: [UInt8], at start: Int, _ pool: inout TextPool) {
        var reader = RowReader(row, start + flagsAt)
        let flags = Flags(rawValue: reader.integer())
        let _: UInt8 = reader.integer()
        for _ in 0..<3 { pool.drop(reader.integer()) }
        _ = reader.short()
        if flags.contains(.hasDestination) {
            pool.drop(reader.integer())
            _ = reader.short()
        }
        if flags.contains(.isLocal) {
            pool.drop(reader.integer())
            if flags.contains(.hasSubaddress) { pool.drop(reader.integer()) }
            if flags.contains(.isForward) { let _: UInt16 = reader.integer() }
            if flags.contains(.isAlias) { pool.drop(reader.integer()) }
        }
        if flags.contains(.hasOriginal) { pool.drop(reader.integer()) }
    }

    static func mailbox(_ local: ArraySlice<UInt8>, _ domain: UInt32, _ pool: TextPool) -> Mailbox? {
        guard let local = LocalPart(String(decoding: local, as: UTF8.self)), let domain = Domain(pool.text(domain))
        else { return nil }
        return Mailbox(local, at: domain)
    }

    private static func reply(_ number: UInt32, _ pool: TextPool) -> Reply? {
        guard number != TextPool.none else { return nil }
        let bytes = pool[number]
        var reader = WireReader(bytes, 0..<bytes.count)
        return try? Reply(withHost: &reader)
    }
}

/// Takes values from a row that this process wrote itself.
struct RowReader {
    private let row: [UInt8]
    private(set) var position: Int

    init(_ row: [UInt8], _ position: Int) {
        self.row = row
        self.position = position
    }

    mutating func integer<Value: FixedWidthInteger>(_: Value.Type = Value.self) -> Value {
        defer { position += Value.bitWidth / 8 }
        return row.integer(at: position)
    }

    /// A count of one byte and as many bytes.
    mutating func short() -> ArraySlice<UInt8> {
        let count = Int(row[position])
        defer { position += 1 + count }
        return row[position + 1..<position + 1 + count]
    }

    /// Seven bits in a byte, the lowest first.
    mutating func variable() -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while shift < 64 {
            let byte: UInt8 = integer()
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { break }
            shift += 7
        }
        return value
    }
}

extension [UInt8] {
    mutating func append<Value: FixedWidthInteger>(integer value: Value) {
        for offset in 0..<Value.bitWidth / 8 { append(UInt8(truncatingIfNeeded: value >> Value(offset * 8))) }
    }

    /// At most 255 bytes, as a local part has.
    mutating func append(short text: String) {
        let bytes = text.utf8.prefix(255)
        append(UInt8(bytes.count))
        append(contentsOf: bytes)
    }

    mutating func append(variable value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(rest))
    }

    func integer<Value: FixedWidthInteger>(_: Value.Type = Value.self, at position: Int) -> Value {
        var value: Value = 0
        for offset in 0..<Value.bitWidth / 8 {
            value |= Value(truncatingIfNeeded: self[position + offset]) << Value(offset * 8)
        }
        return value
    }

    mutating func set<Value: FixedWidthInteger>(_ value: Value, at position: Int) {
        for offset in 0..<Value.bitWidth / 8 {
            self[position + offset] = UInt8(truncatingIfNeeded: value >> Value(offset * 8))
        }
    }
}
