// SPDX-License-Identifier: ISC

import Mail

/// What the records of a message and of its envelopes make of it.
///
/// A message whose envelopes are all done is forgotten, unless it stands behind one of its outcomes: cleaning moved it,
/// and the process that had to write the outcome again has not done so. Whoever adopts what was found has to (invariant
/// 5), or that outcome's segment is freed first and the message lives again.
extension Recovery {
    struct Live {
        var message: MessageRecord
        var size: UInt64
        var standing: Standing
        /// Where it stood before it was moved, the oldest first.
        var before: [Standing] = []
        var outcomes: [UInt32: Outcome] = [:]
        var finals: UInt32 = 0

        var location: RecordLocation { standing.location }
        var isDone: Bool { finals >= message.envelopeCount }

        /// Done, and no outcome goes before the message when segments are freed from the oldest on.
        var isForgettable: Bool {
            isDone && outcomes.values.allSatisfy { $0.location.segment >= location.segment }
        }
    }

    /// One of the records of a message.
    struct Standing {
        var number: UInt64
        var location: RecordLocation
    }

    struct Outcome {
        var payload: [UInt8]
        var isFinal: Bool
        var location: RecordLocation
    }

    mutating func take(_ message: MessageRecord, _ size: UInt64, _ standing: Standing) {
        let identity = message.movedFrom == 0 ? standing.number : message.movedFrom
        var live = Live(message: message, size: size, standing: standing)
        if let known = messages[identity] {
            live.before = known.before + [known.standing]
            live.outcomes = known.outcomes
        } else {
            live.outcomes = early.removeValue(forKey: identity) ?? [:]
        }
        live.finals = UInt32(live.outcomes.values.count { $0.isFinal })
        keep(live, as: identity)
    }

    mutating func take(_ record: OutcomeRecord, _ location: RecordLocation) {
        let outcome = Outcome(payload: record.payload, isFinal: record.isFinal, location: location)
        guard var live = messages[record.message] else {
            let known = early[record.message]?[record.envelope]?.isFinal ?? false
            if !known || record.isFinal { early[record.message, default: [:]][record.envelope] = outcome }
            return
        }
        let wasFinal = live.outcomes[record.envelope]?.isFinal ?? false
        if wasFinal, !record.isFinal { return }
        live.outcomes[record.envelope] = outcome
        if record.isFinal, !wasFinal { live.finals += 1 }
        keep(live, as: record.message)
    }

    /// Message records with such numbers are none: who was moved by one stands where it stood before, and if that is
    /// gone, then because the message was done, or is about to be met once more.
    mutating func takeBack(_ isVoid: (UInt64) -> Bool) {
        for (identity, known) in messages
        where isVoid(known.standing.number) || known.before.contains(where: { isVoid($0.number) }) {
            var live = known
            let valid = (known.before + [known.standing]).filter { !isVoid($0.number) }
            if let last = valid.last {
                live.standing = last
                live.before = valid.dropLast()
                keep(live, as: identity)
            } else {
                messages[identity] = nil
                if !live.outcomes.isEmpty { early[identity] = live.outcomes }
            }
        }
    }

    private mutating func keep(_ live: Live, as identity: UInt64) {
        guard live.isDone else {
            messages[identity] = live
            return
        }
        if messages[identity]?.isDone != true { justDone.append(identity) }
        messages[identity] = live.withoutText
    }

    /// Forgets who was done before the last segment. Until then it may be met again: where a sync has failed, outcomes
    /// stand in one segment, and the copy of the message that was written before them in the next.
    mutating func forgetDone() {
        for identity in doneBefore where messages[identity]?.isForgettable == true { messages[identity] = nil }
        doneBefore = justDone
        justDone = []
    }
}

extension Recovery {
    /// The live messages in order, with those marked whose body file is gone, and the body files that are needed.
    func found(
        _ reader: SegmentReader
    ) -> (messages: [RecoveredMessage], reports: [SpoolReport], bodies: Set<UInt64>) {
        var found: [RecoveredMessage] = []
        var reports: [SpoolReport] = []
        var bodies: Set<UInt64> = []
        found.reserveCapacity(messages.count)
        for (number, live) in messages.sorted(by: { $0.key < $1.key }) where !live.isDone {
            let message = live.message
            var isBodyMissing = false
            if message.bodyFile != 0 {
                bodies.insert(message.bodyFile)
                isBodyMissing = !reader.hasBody(message.bodyFile, message.bodyStored)
                if isBodyMissing { reports.append(.bodyMissing(message.id)) }
            }
            found.append(
                RecoveredMessage(
                    position: SpoolPosition(sequenceNumber: number), id: message.id,
                    envelopeCount: message.envelopeCount, envelopes: message.envelopes,
                    attributes: message.attributes, size: live.size,
                    outcomes: live.outcomes.mapValues { RecoveredOutcome(payload: $0.payload, isFinal: $0.isFinal) },
                    isBodyMissing: isBodyMissing))
        }
        return (found, reports, bodies)
    }
}

extension Recovery.Live {
    /// Of one that is done nobody asks more than where it stands.
    fileprivate var withoutText: Self {
        var live = self
        live.message.envelopes = []
        live.message.attributes = []
        for envelope in outcomes.keys { live.outcomes[envelope]?.payload = [] }
        return live
    }
}
