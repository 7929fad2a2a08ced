// SPDX-License-Identifier: ISC

import Mail

@testable import Spool

/// What passed between the spool and those who asked it.
enum Fact {
    case asked(Account.Sent)
    case committed(UInt32, SpoolPosition)
    case outcomeAsked(UInt32, envelope: UInt32, Account.Outcome)
    /// The outcome of that place in the order of an envelope is durable, and those before it.
    case outcomeSafe(UInt32, envelope: UInt32, place: Int)
    case noteAsked([UInt8], [UInt8])
    case noteSafe([UInt8], place: Int)
}

/// The books: what must be in the spool, what may be, and what must not.
struct Account {
    struct Outcome: Hashable {
        var payload: [UInt8]
        var isFinal: Bool
    }

    struct Sent {
        var id: UInt32
        var envelopeCount: UInt32
        var envelopes: [UInt8]
        var attributes: [UInt8]
        var content: [UInt8]
        /// nil while there was no answer; what was found after a crash counts as answered.
        var position: SpoolPosition?
        var outcomes: [UInt32: (all: [Outcome], safe: Int)] = [:]

        /// Whether all envelopes may be done, and whether they are for certain.
        var ends: (maybe: Bool, surely: Bool) {
            var maybe = 0
            var surely = 0
            for (all, safe) in outcomes.values {
                if all.contains(where: \.isFinal) { maybe += 1 }
                if all.prefix(safe).contains(where: \.isFinal) { surely += 1 }
            }
            return (maybe >= envelopeCount, surely >= envelopeCount)
        }
    }

    private(set) var sent: [UInt32: Sent] = [:]
    /// Ids beyond it were never used.
    private(set) var highestID: UInt32 = 0
    private(set) var notes: [[UInt8]: (all: [[UInt8]], safe: Int)] = [:]

    var acknowledged: Set<UInt32> { Set(sent.values.lazy.filter { $0.position != nil }.map(\.id)) }

    mutating func append(_ fact: Fact) {
        switch fact {
        case .asked(let message):
            sent[message.id] = message
            highestID = max(highestID, message.id)
        case .committed(let id, let position): sent[id]?.position = position
        case .outcomeAsked(let id, let envelope, let outcome):
            sent[id]?.outcomes[envelope, default: ([], 0)].all.append(outcome)
        case .outcomeSafe(let id, let envelope, let place):
            let before = sent[id]?.outcomes[envelope]?.safe ?? 0
            sent[id]?.outcomes[envelope]?.safe = max(before, place)
        case .noteAsked(let key, let value): notes[key, default: ([], 0)].all.append(value)
        case .noteSafe(let key, let place):
            let before = notes[key]?.safe ?? 0
            notes[key]?.safe = max(before, place)
        }
    }

    /// What the next life has found is as good as answered: the daemon acts on it.
    mutating func accept(_ recovered: RecoveredSpool) {
        let found = Dictionary(recovered.messages.map { ($0.id.value, $0) }, uniquingKeysWith: { first, _ in first })
        for id in Array(sent.keys) {
            guard let message = found[id] else {
                sent[id] = nil
                continue
            }
            sent[id]?.position = message.position
            for envelope in 1...message.envelopeCount {
                let kept = message.outcomes[envelope].map { [Outcome(payload: $0.payload, isFinal: $0.isFinal)] } ?? []
                sent[id]?.outcomes[envelope] = (kept, kept.count)
            }
        }
        for key in Array(notes.keys) {
            let kept = [recovered.notes[key] ?? []]
            notes[key] = (kept, 1)
        }
    }

    /// What is wrong with a spool that was found after a crash; nothing, if invariants hold.
    func complaints(about recovered: RecoveredSpool, content: (SpoolPosition) -> [UInt8]?) -> [String] {
        var wrong: [String] = []
        for report in recovered.reports {
            switch report {
            case .tornTail, .bodyRemoved: break
            case .corruption, .badHeader, .unreadable, .bodyMissing, .bodySetAside, .bodiesLeft:
                wrong.append("reported: \(report)")
            }
        }
        var found: Set<UInt32> = []
        for message in recovered.messages {
            if !found.insert(message.id.value).inserted { wrong.append("message \(message.id) is there twice") }
            guard let sent = sent[message.id.value] else {
                wrong.append("message \(message.id) was never sent, or was done before the last start")
                continue
            }
            wrong += complaints(about: message, sent, content)
        }
        for (id, sent) in sent where !found.contains(id) && sent.position != nil && !sent.ends.maybe {
            wrong.append("message \(MessageID(id)) was acknowledged and is lost")
        }
        for (key, (all, safe)) in notes {
            let value = recovered.notes[key] ?? []
            let allowed = all.dropFirst(max(0, safe - 1)) + (safe == 0 ? [[]] : [])
            if !allowed.contains(value) { wrong.append("note \(key) is an old one") }
        }
        return wrong
    }

    private func complaints(
        about message: RecoveredMessage, _ sent: Sent, _ content: (SpoolPosition) -> [UInt8]?
    ) -> [String] {
        var wrong: [String] = []
        if sent.ends.surely { wrong.append("message \(message.id) is done and has come back") }
        if let position = sent.position, position != message.position {
            wrong.append("message \(message.id) has another position")
        }
        if message.envelopes != sent.envelopes || message.attributes != sent.attributes
            || message.envelopeCount != sent.envelopeCount || message.size != UInt64(sent.content.count)
        {
            wrong.append("message \(message.id) has not the envelopes that were sent")
        }
        if message.isBodyMissing || content(message.position) != sent.content {
            wrong.append("message \(message.id) has not the bytes that were sent")
        }
        for envelope in 1...sent.envelopeCount {
            let (all, safe) = sent.outcomes[envelope] ?? ([], 0)
            let known = message.outcomes[envelope].map { Outcome(payload: $0.payload, isFinal: $0.isFinal) }
            let allowed = all.dropFirst(max(0, safe - 1))
            if let known {
                if !allowed.contains(known) { wrong.append("envelope \(envelope) of \(message.id) has an old outcome") }
            } else if safe > 0 {
                wrong.append("envelope \(envelope) of \(message.id) has lost its outcome")
            }
        }
        return wrong
    }
}
