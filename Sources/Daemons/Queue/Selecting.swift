// SPDX-License-Identifier: ISC

import IPC
import Mail
import Posix
import Schedule

/// Which envelopes a command means, some of them at a time.
extension QueueProcess {
    struct Slice {
        var envelopes: [QueueEntry]
        /// What was looked at last; nil when that was the end.
        var last: EnvelopeID?
    }

    // Looked at for one request: a few milliseconds.
    private static let mostExamined = 4096

    /// At most `limit` of the envelopes behind `after` that are meant.
    func slice(_ selector: QueueSelector, after: EnvelopeID?, limit: Int) -> Slice {
        switch selector.scope {
        case .envelope(let id):
            let entry = after == nil ? schedule.entry(id) : nil
            return Slice(envelopes: entry.map { isMeant($0, by: selector) ? [$0] : [] } ?? [], last: nil)
        case .message(let message):
            let start = max(after ?? EnvelopeID(message, number: 0), EnvelopeID(message, number: 0))
            return slice(selector, after: start, limit: limit) { $0.envelope.message == message }
        case .all:
            return slice(selector, after: after, limit: limit) { _ in true }
        }
    }

    private func slice(
        _ selector: QueueSelector, after: EnvelopeID?, limit: Int, isWithin: (QueueEntry) -> Bool
    ) -> Slice {
        // Where everything is meant nothing more than that is looked at.
        let examined = selector == .all ? limit : Self.mostExamined
        let entries = schedule.page(after: after, limit: examined)
        var found: [QueueEntry] = []
        for entry in entries {
            guard isWithin(entry) else { return Slice(envelopes: found, last: nil) }
            if isMeant(entry, by: selector) { found.append(entry) }
            if found.count == limit { return Slice(envelopes: found, last: entry.envelope) }
        }
        return Slice(envelopes: found, last: entries.count == examined ? entries.last?.envelope : nil)
    }

    private func isMeant(_ entry: QueueEntry, by selector: QueueSelector) -> Bool {
        if let state = selector.state, state != QueueSelector.State(entry.state) { return false }
        if let domain = selector.domain, case .relay(_, let routed) = entry.route, routed != domain.canonical {
            return false
        }
        guard
            selector.sender != nil || selector.recipient != nil || selector.domain != nil || selector.olderThan != nil
        else { return true }
        if let age = selector.olderThan, entry.message.created + age > now { return false }
        if let sender = selector.sender {
            guard let head = shelf.head(entry.envelope.message), sender.matches(head.sender.mailbox) else {
                return false
            }
        }
        guard selector.recipient != nil || selector.domain != nil else { return true }
        guard let recipient = shelf.recipient(entry.envelope) else { return false }
        if let pattern = selector.recipient,
            !pattern.matches(recipient.recipient), !pattern.matches(recipient.destination)
        {
            return false
        }
        return selector.domain.map { $0 == recipient.destination.domain } ?? true
    }
}

extension QueueSelector.State {
    init(_ state: QueueEntry.State) {
        switch state {
        case .waiting: self = .pending
        case .inFlight: self = .inflight
        case .suspended: self = .suspended
        case .held: self = .held
        case .awaitingNotice: self = .bounce
        }
    }
}
