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

    var position: SpoolPosition
    let size: UInt64
    let created: Timestamp
    /// The age of the queue when the message came.
    let born: Int64
    let sender: ReversePath
    let origin: Origin
    let request: MessageRequest
    /// Of its Message-ID.
    let fingerprint: MessageFingerprint?
    /// Nothing can be delivered of it.
    var isBodyMissing = false
    /// By the envelope's number.
    var recipients: [UInt32: Recipient]

    func stored(at position: SpoolPosition) -> StoredMessage {
        var message = self
        message.position = position
        return message
    }

    /// How long after its creation the message may wait, where `usual` holds without its sender's wishes.
    func lifetime(_ usual: Interval) -> Interval {
        var lifetime = usual
        // RFC 4865 section 3: the time for retries begins with the release.
        if let release = request.notBefore { lifetime = lifetime + max(.seconds(0), release - created) }
        // RFC 2852 section 4.1.5
        if let deadline = request.deadline, deadline.mode == .giveUp {
            lifetime = min(lifetime, max(.seconds(1), deadline.time - created))
        }
        return lifetime
    }

    func route(_ number: UInt32) -> RouteKey? {
        guard let recipient = recipients[number] else { return nil }
        return RouteKey(recipient.dispatch, to: recipient.destination)
    }
}

// MARK: - As the spool keeps it

extension StoredMessage {
    // The first byte of both payloads; another one is not read. The older layout of attributes knew no age of the queue
    // and no fingerprint.
    private static let layout: UInt8 = 1
    private static let ageLayout: UInt8 = 2
    // The first two layouts of attributes have a request that ends behind BODY, the third one without a priority.
    private static let deadlineLayout: UInt8 = 3
    private static let attributeLayout: UInt8 = 4

    /// What all envelopes share: layout:1 created:8 born:8 fingerprint sender request origin.
    static func attributes(
        created: Timestamp, born: Int64, fingerprint: MessageFingerprint?, sender: ReversePath, origin: Origin,
        request: MessageRequest
    ) -> [UInt8] {
        var bytes: [UInt8] = [attributeLayout]
        created.encode(to: &bytes)
        born.encode(to: &bytes)
        fingerprint.encode(to: &bytes)
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
        let layout: UInt8 = try reader.value()
        created = try reader.value()
        switch layout {
        case Self.attributeLayout, Self.deadlineLayout, Self.ageLayout:
            born = try reader.value()
            fingerprint = try reader.value()
        case Self.layout:
            // The queue's age began as what the wall clock says.
            born = created.seconds
            fingerprint = nil
        default: throw .valueOutOfRange
        }
        sender = try reader.value()
        switch layout {
        case Self.attributeLayout: request = try reader.value()
        case Self.deadlineLayout: request = try MessageRequest(third: &reader)
        default: request = try MessageRequest(first: &reader)
        }
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
        /// Its time has passed; its sender was not told yet.
        case expired = 7
        /// An administrator removed it while it was in hand.
        case removing = 8

        var queued: QueuedRecipient.State {
            switch self {
            case .waiting, .done, .owesSuccess, .removing: .waiting
            case .suspended: .suspended
            case .held: .held
            case .awaitingNotice, .expired: .awaitingNotice
            }
        }
    }

    /// By which action it goes now, where that is not the one with which it came.
    struct Rerouting: WireValue {
        var destination: Mailbox
        var dispatch: Dispatch

        init(destination: Mailbox, dispatch: Dispatch) {
            self.destination = destination
            self.dispatch = dispatch
        }

        func encode(to output: inout [UInt8]) {
            destination.encode(to: &output)
            dispatch.encode(to: &output)
        }

        init(from reader: inout WireReader) throws(WireError) {
            self.init(destination: try reader.value(), dispatch: try reader.value())
        }
    }

    var state: State
    var attempts: UInt32
    var lastTry: Timestamp?
    var lastWarning: Interval?
    var reply: Reply?
    var rerouting: Rerouting?

    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        state.encode(to: &bytes)
        attempts.encode(to: &bytes)
        lastTry.encode(to: &bytes)
        lastWarning.encode(to: &bytes)
        reply.encode(to: &bytes)
        // Left out where there is none, as it was before there could be one.
        if rerouting != nil { rerouting.encode(to: &bytes) }
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
        rerouting = reader.remaining > 0 ? try reader.value() : nil
        try reader.finish()
    }
}

/// How a recipient ended: the one byte of its final outcome, which is counted for ever.
enum EnvelopeEnd: UInt8, CaseIterable {
    /// Put into a mailbox of this host.
    case delivered = 1
    /// Taken by the next hop.
    case relayed = 2
    case bounced = 3
    case expired = 4
    /// By an administrator.
    case removed = 5
    /// By a rule.
    case discarded = 6

    var name: String {
        switch self {
        case .delivered: "delivered"
        case .relayed: "relayed"
        case .bounced: "bounced"
        case .expired: "expired"
        case .removed: "removed"
        case .discarded: "discarded"
        }
    }
}
