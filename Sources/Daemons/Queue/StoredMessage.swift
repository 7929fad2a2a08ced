// SPDX-License-Identifier: ISC

import IPC
import Mail
import Schedule
import Spool

/// What Queue knows of a message beside its schedule: everything of its envelopes that a delivery or a notice needs.
struct StoredMessage {
    /// One recipient that is not done.
    struct Recipient {
        var recipient: Mailbox
        var destination: Mailbox
        var dispatch: Dispatch
        var report: ReportRequest
        var isInternal: Bool
        /// What the last attempt ended in.
        var reply: Reply?
    }

    let position: SpoolPosition
    let size: UInt64
    let created: Timestamp
    let sender: ReversePath
    let origin: Origin
    let request: MessageRequest
    /// Nothing can be delivered of it.
    var isBodyMissing = false
    /// By the envelope's number.
    var recipients: [UInt32: Recipient]

    func work(_ id: EnvelopeID) -> RecipientWork? {
        guard let recipient = recipients[id.number] else { return nil }
        return RecipientWork(
            id: id, sender: sender, recipient: recipient.recipient, destination: recipient.destination,
            dispatch: recipient.dispatch, report: recipient.report, created: created)
    }

    func route(_ number: UInt32) -> RouteKey? {
        guard let recipient = recipients[number] else { return nil }
        return RouteKey(
            Envelope(
                sender: sender, recipient: recipient.recipient, destination: recipient.destination,
                dispatch: recipient.dispatch, report: recipient.report, origin: origin))
    }
}

// MARK: - As the spool keeps it

extension StoredMessage {
    // The first byte of both payloads; another one is not read.
    private static let layout: UInt8 = 1

    /// What all envelopes share: layout:1 created:8 sender request origin.
    static func attributes(
        created: Timestamp, sender: ReversePath, origin: Origin, request: MessageRequest
    ) -> [UInt8] {
        var bytes: [UInt8] = [layout]
        created.encode(to: &bytes)
        sender.encode(to: &bytes)
        request.encode(to: &bytes)
        origin.encode(to: &bytes)
        return bytes
    }

    /// layout:1 count:4, then for each: number:4 recipient destination dispatch report internal:1.
    static func envelopes(_ recipients: [(UInt32, Recipient)]) -> [UInt8] {
        var bytes: [UInt8] = [layout]
        UInt32(recipients.count).encode(to: &bytes)
        for (number, recipient) in recipients {
            number.encode(to: &bytes)
            recipient.recipient.encode(to: &bytes)
            recipient.destination.encode(to: &bytes)
            recipient.dispatch.encode(to: &bytes)
            recipient.report.encode(to: &bytes)
            recipient.isInternal.encode(to: &bytes)
        }
        return bytes
    }

    /// The message of a record that was found at the start, without the envelopes that are done.
    init(_ recovered: RecoveredMessage) throws(WireError) {
        var reader = WireReader(recovered.attributes, 0..<recovered.attributes.count)
        guard try reader.value(UInt8.self) == Self.layout else { throw .valueOutOfRange }
        created = try reader.value()
        sender = try reader.value()
        request = try reader.value()
        origin = try reader.value()
        try reader.finish()
        position = recovered.position
        size = recovered.size
        recipients = [:]
        var envelopes = WireReader(recovered.envelopes, 0..<recovered.envelopes.count)
        guard try envelopes.value(UInt8.self) == Self.layout else { throw .valueOutOfRange }
        for _ in 0..<(try envelopes.count(ofAtLeast: 16)) {
            let number: UInt32 = try envelopes.value()
            let recipient = Recipient(
                recipient: try envelopes.value(), destination: try envelopes.value(), dispatch: try envelopes.value(),
                report: try envelopes.value(), isInternal: try envelopes.value())
            if recovered.outcomes[number]?.isFinal != true { recipients[number] = recipient }
        }
        try envelopes.finish()
    }
}

/// What the spool keeps of an envelope between its acceptance and its end.
struct EnvelopeProgress {
    enum State: UInt8, WireValue {
        case waiting = 1
        case suspended = 2
        case held = 3
        case awaitingNotice = 4
        case done = 5
        /// Delivered; its sender asked to be told, and was not yet.
        case owesSuccess = 6

        var queued: QueuedRecipient.State {
            switch self {
            case .waiting, .done, .owesSuccess: .waiting
            case .suspended: .suspended
            case .held: .held
            case .awaitingNotice: .awaitingNotice
            }
        }
    }

    var state: State
    var attempts: UInt32
    var lastTry: Timestamp?
    var lastWarning: Interval?
    var reply: Reply?

    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        state.encode(to: &bytes)
        attempts.encode(to: &bytes)
        lastTry.encode(to: &bytes)
        lastWarning.encode(to: &bytes)
        reply.encode(to: &bytes)
        return bytes
    }

    init(
        _ state: State, attempts: Int = 0, lastTry: Timestamp? = nil, lastWarning: Interval? = nil, reply: Reply? = nil
    ) {
        self.state = state
        self.attempts = UInt32(clamping: attempts)
        self.lastTry = lastTry
        self.lastWarning = lastWarning
        self.reply = reply
    }

    init(decoding bytes: [UInt8]) throws(WireError) {
        var reader = WireReader(bytes, 0..<bytes.count)
        state = try reader.value()
        attempts = try reader.value()
        lastTry = try reader.value()
        lastWarning = try reader.value()
        reply = try reader.value()
        try reader.finish()
    }
}
