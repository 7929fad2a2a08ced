// SPDX-License-Identifier: ISC

import Bytes

/// Cleaning: live records of the oldest segment are written again at the tail, so that it can be freed.
extension DiskSpool {
    /// Moves from the oldest segment when most of the journal is dead, a batch at a time.
    ///
    /// A record is moved only while nothing newer of the same thing is on its way: in the journal the newest is last,
    /// and a message never comes behind its own tombstone.
    func cleanOldest() {
        guard isWorthCleaning, let oldest = order.first else { return }
        let records = usage[oldest]?.records ?? 0
        // All of it was on its way to change, or damaged, and nothing has changed yet.
        if let fruitless, fruitless == (oldest, records) { return }
        var size = 0
        for (number, live) in messages where size < options.batchSize.value {
            if live.location.segment == oldest, live.outcomes.allSatisfy({ $0.kept.pending == 0 }) {
                move(.message(number), from: live.location, identity: number)
                size += live.location.length
            }
            for outcome in live.outcomes where outcome.kept.pending == 0 {
                guard let location = outcome.kept.location, location.segment == oldest else { continue }
                move(.outcome(number, envelope: outcome.envelope), from: location, identity: number)
                size += location.length
            }
        }
        for (key, kept) in notes where kept.pending == 0 && size < options.batchSize.value {
            guard let location = kept.location, location.segment == oldest else { continue }
            move(.note(key), from: location, identity: 0)
            size += location.length
        }
        fruitless = movesInFlight == 0 ? (oldest, records) : nil
    }

    func moved(_ what: Moved, _ result: Result<WrittenRecord, SpoolError>) {
        movesInFlight -= 1
        if case .outcome(let number, let envelope) = what { messages[number]?.outcomes[envelope]?.isMoving = false }
        let record: WrittenRecord
        switch result {
        case .success(let written): record = written
        case .failure(let error):
            notMoved(what, error)
            return
        }
        movedRecords += 1
        switch what {
        case .message(let number):
            guard let old = messages[number]?.location else { return }
            discount(old)
            count(record.location)
            messages[number]?.location = record.location
        case .outcome(let number, let envelope):
            guard let old = messages[number]?.outcomes[envelope]?.location else { return }
            discount(old)
            count(record.location)
            messages[number]?.outcomes[envelope]?.location = record.location
            buryIfDone(number)
        case .note(let key):
            guard let old = notes[key]?.location else { return }
            discount(old)
            count(record.location)
            notes[key]?.location = record.location
        }
    }

    private func notMoved(_ what: Moved, _ error: SpoolError) {
        guard error == .damaged, runner != nil else {
            isCleaningHeld = true
            if case .outcome(let number, _) = what, let live = messages[number], live.finals >= live.envelopeCount {
                unburied.insert(number)
            }
            return
        }
        switch what {
        case .message(let number): tellOfDamage(number, envelope: nil)
        case .outcome(let number, let envelope):
            // A newer one is on its way, and replaces it.
            guard let kept = messages[number]?.outcomes[envelope], kept.pending == 0 else { return }
            guard kept.isFinal else { return tellOfDamage(number, envelope: envelope) }
            // Of one that is final the most is known: that it is. The next start would take it for none.
            movesInFlight += 1
            messages[number]?.outcomes[envelope]?.isMoving = true
            let end = OutcomeRecord(message: number, envelope: envelope, isFinal: true, isMoved: true, payload: [])
            handover.put(.write(token: expect(.move(what)), .outcome(end)), isLazy: true)
        case .note(let key):
            guard notes[key]?.pending == 0 else { return }
            if key == SpoolTally.key {
                notedTally = SpoolTally()
                noteTally()
            } else {
                // It is lost at the next start, and until then it would keep all that is newer.
                note(key, [], durability: .lazy)
            }
        }
    }

    // Until it is said anew, or has ended, the segment stays, and all that are newer: none is freed before an older one.
    private func tellOfDamage(_ number: UInt64, envelope: UInt32?) {
        if let oldest = order.first { fruitless = (oldest, usage[oldest]?.records ?? 0) }
        damage?(SpoolPosition(sequenceNumber: number), envelope)
    }
}
