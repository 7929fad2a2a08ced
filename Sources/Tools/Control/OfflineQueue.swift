// SPDX-License-Identifier: ISC

import Configuration
import IPC
import Mail
import Spool

/// The queue as an idle spool has it: envelopes in the order of their numbers, each as Queue would tell of it.
struct OfflineQueue {
    private struct Message {
        var found: RecoveredMessage
        var record: QueueRecord
        var progress: [UInt32: EnvelopeProgress] = [:]
    }

    private let messages: [Message]
    private let usualLifetime: Interval
    private let lifetimes: [String: Interval]
    private let now: Timestamp
    /// What of it is damaged, a sentence for each.
    let complaints: [String]

    init(_ spool: IdleSpool, _ configuration: ServerConfiguration?, now: Timestamp) {
        self.now = now
        usualLifetime = configuration?.queueLifetime ?? .days(4)
        lifetimes = Dictionary(
            (configuration?.actions ?? []).compactMap { action in action.lifetime.map { (action.name, $0) } },
            uniquingKeysWith: { first, _ in first })
        var complaints = spool.reports.map { "spool: \($0)" }
        var messages: [Message] = []
        messages.reserveCapacity(spool.messages.count)
        for found in spool.messages {
            do throws(WireError) {
                messages.append(try Self.message(found))
            } catch {
                complaints.append("spool: message \(found.id) cannot be read (\(error))")
            }
        }
        self.messages = messages.sorted { $0.found.id < $1.found.id }
        self.complaints = complaints
    }

    private static func message(_ found: RecoveredMessage) throws(WireError) -> Message {
        let record = try QueueRecord(attributes: found.attributes, envelopes: found.envelopes) { number in
            found.outcomes[number]?.isFinal == true
        }
        var message = Message(found: found, record: record)
        for (number, outcome) in found.outcomes where !outcome.isFinal {
            let progress = try EnvelopeProgress(decoding: outcome.payload)
            message.progress[number] = progress
            message.record.apply(progress, to: number)
        }
        return message
    }

    /// Calls `take` with the fields of each envelope that `selector` means.
    func each(_ selector: QueueSelector, _ take: ([ControlField]) -> Void) {
        for message in messages where isMeant(message, by: selector) {
            for (number, recipient) in message.record.recipients.sorted(by: { $0.key < $1.key }) {
                let row = row(message, number, recipient)
                if isMeant(message, row, number, by: selector) { take(row.fields) }
            }
        }
    }

    /// All that is known of an envelope; nil when there is none of that number.
    func envelope(_ id: EnvelopeID) -> [ControlField]? {
        for message in messages where message.found.id == id.message {
            guard let recipient = message.record.recipients[id.number] else { continue }
            return row(message, id.number, recipient).allFields(
                size: message.found.size, request: message.record.request)
        }
        return nil
    }

    /// Where the content of a message is; nil when there is none of that number.
    func position(_ id: MessageID) -> SpoolPosition? { messages.first { $0.found.id == id }?.found.position }

    // MARK: Which

    private func isMeant(_ message: Message, by selector: QueueSelector) -> Bool {
        let id = message.found.id
        switch selector.scope {
        case .all: break
        case .message(let wanted): if id != wanted { return false }
        case .envelope(let wanted): if id != wanted.message { return false }
        }
        if let age = selector.olderThan, now - message.record.created < age { return false }
        return selector.sender?.matches(message.record.sender.mailbox) ?? true
    }

    private func isMeant(_ message: Message, _ row: QueueRow, _ number: UInt32, by selector: QueueSelector) -> Bool {
        let progress = message.progress[number]?.state ?? .waiting
        // What is there for a notice about its success only is in no schedule.
        if progress == .owesSuccess { return false }
        if case .envelope(let wanted) = selector.scope, row.envelope != wanted { return false }
        if let state = selector.state, state != progress.shown { return false }
        if let pattern = selector.recipient, !pattern.matches(row.recipient.recipient),
            !pattern.matches(row.recipient.destination)
        {
            return false
        }
        return selector.domain.map { $0 == row.recipient.destination.domain } ?? true
    }

    private func row(_ message: Message, _ number: UInt32, _ recipient: QueueRecord.Recipient) -> QueueRow {
        let record = message.record
        let progress = message.progress[number]
        let usual = lifetimes[recipient.dispatch.action] ?? usualLifetime
        return QueueRow(
            EnvelopeID(message.found.id, number: number), sender: record.sender, origin: record.origin,
            recipient: recipient, created: record.created,
            expires: record.created + record.request.lifetime(usual, created: record.created),
            lastTry: progress?.lastTry, attempts: Int(progress?.attempts ?? 0), flag: progress?.state.flag,
            state: "offline", seconds: nil)
    }
}

extension EnvelopeProgress.State {
    fileprivate var shown: QueueSelector.State {
        switch self {
        case .waiting, .done, .owesSuccess, .removing: .pending
        case .suspended: .suspended
        case .held: .held
        case .awaitingNotice, .expired: .bounce
        }
    }

    fileprivate var flag: String? {
        switch shown {
        case .pending, .inflight: nil
        case .suspended: "suspend"
        case .held: "hold"
        case .bounce: "bounce"
        }
    }
}
