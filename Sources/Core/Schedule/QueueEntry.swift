// SPDX-License-Identifier: ISC

public import Mail

/// A recipient as `show queue` tells of it.
public struct QueueEntry: Hashable, Sendable {
    public enum State: Hashable, Sendable {
        case waiting(until: Instant)
        case inFlight(WorkerID, since: Instant)
        case suspended
        case held
        case awaitingNotice
    }

    public let envelope: EnvelopeID
    public let message: QueuedMessage
    public let route: RouteKey
    public let state: State
    public let attempts: Int
    public let expires: Instant
    public let lastTry: Instant?
    public let lastWarning: Interval?
    /// It awaits its notice because its time has passed.
    public let hasExpired: Bool

    /// How long it is tried in all, by its action or as its sender has asked.
    public var retention: Interval {
        .seconds((expires.milliseconds - message.created.milliseconds) / 1000)
    }
}

extension RunQueue {
    /// Up to `limit` entries in ascending order behind `cursor`, from the first without one.
    public func page(after cursor: EnvelopeID?, limit: Int) -> [QueueEntry] {
        let start = cursor.map { $0.value.addingReportingOverflow(1) }
        guard limit > 0, start?.overflow != true else { return [] }
        var entries: [QueueEntry] = []
        index.visit(from: start?.partialValue ?? 0) { _, slot in
            entries.append(entry(slot))
            return entries.count < limit
        }
        return entries
    }

    public func entry(_ envelope: EnvelopeID) -> QueueEntry? { index[envelope.value].map(entry) }

    /// The recipients of a message that are not done, in ascending order.
    public func envelopes(of message: MessageID) -> [EnvelopeID] { slots(of: message).map(identifier) }

    private func entry(_ slot: UInt32) -> QueueEntry {
        let recipient = recipients[slot]
        let message = messages[recipient.message]
        let created = Instant(milliseconds: message.created)
        let due = Instant(milliseconds: recipient.due)
        let state: QueueEntry.State =
            switch recipient.state {
            case .waiting: .waiting(until: due)
            case .inFlight: .inFlight(batches[Int(recipient.batch)].worker, since: due)
            case .suspended: .suspended
            case .held: .held
            case .awaitingNotice: .awaitingNotice
            }
        return QueueEntry(
            envelope: identifier(slot),
            message: QueuedMessage(
                MessageID(message.id), position: message.position, size: message.size, created: created),
            route: routes[Int(recipient.route)].key, state: state, attempts: Int(recipient.attempts),
            expires: Instant(milliseconds: expiry(recipient)),
            lastTry: recipient.lastTry == 0 ? nil : created + .seconds(Int64(recipient.lastTry) - 1),
            lastWarning: recipient.lastWarning == 0 ? nil : .seconds(Int64(recipient.lastWarning)),
            hasExpired: recipient.state == .awaitingNotice && recipient.flags.contains(.expired))
    }
}
