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
        // All of it was on its way to change, and nothing has changed yet.
        if let fruitless, fruitless == (oldest, records) { return }
        var size = 0
        for (number, live) in messages where size < options.batchSize.value {
            if live.location.segment == oldest, live.outcomes.values.allSatisfy({ $0.pending == 0 }) {
                move(.message(number), from: live.location, identity: number)
                size += live.location.length
            }
            for (envelope, kept) in live.outcomes where kept.pending == 0 {
                guard let location = kept.location, location.segment == oldest else { continue }
                move(.outcome(number, envelope: envelope), from: location, identity: number)
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
        let isDamaged = error == .damaged
        if isDamaged { unmovable = order.first } else { isCleaningHeld = true }
        guard case .outcome(let number, let envelope) = what, let live = messages[number],
            live.finals >= live.envelopeCount
        else { return }
        guard isDamaged, runner != nil else {
            unburied.insert(number)
            return
        }
        // Of an envelope whose message is done nobody asks more than that it has an end.
        movesInFlight += 1
        messages[number]?.outcomes[envelope]?.isMoving = true
        let end = OutcomeRecord(message: number, envelope: envelope, isFinal: true, isMoved: true, payload: [])
        handover.put(.write(token: expect(.move(what)), .outcome(end)), isLazy: true)
    }
}
