// SPDX-License-Identifier: ISC

import IPC
import Mail
import Schedule
import Spool

/// What Queue knows of a message beside its schedule: everything of its envelopes that a delivery or a notice needs.
struct StoredMessage {
    /// One recipient that is not done.
    typealias Recipient = QueueRecord.Recipient

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
    func lifetime(_ usual: Interval) -> Interval { request.lifetime(usual, created: created) }

    func route(_ number: UInt32) -> RouteKey? {
        guard let recipient = recipients[number] else { return nil }
        return RouteKey(recipient.dispatch, to: recipient.destination)
    }
}

extension StoredMessage {
    /// The message of a record that was found at the start, without the envelopes that are done.
    init(_ recovered: RecoveredMessage) throws(WireError) {
        let record = try QueueRecord(attributes: recovered.attributes, envelopes: recovered.envelopes) { number in
            recovered.outcomes[number]?.isFinal == true
        }
        self.init(
            position: recovered.position, size: recovered.size, created: record.created, born: record.born,
            sender: record.sender, origin: record.origin, request: record.request, fingerprint: record.fingerprint,
            recipients: record.recipients)
    }
}

extension EnvelopeProgress.State {
    var queued: QueuedRecipient.State {
        switch self {
        case .waiting, .done, .owesSuccess, .removing: .waiting
        case .suspended: .suspended
        case .held: .held
        case .awaitingNotice, .expired: .awaitingNotice
        }
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
