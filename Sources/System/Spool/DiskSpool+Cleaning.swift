// SPDX-License-Identifier: ISC

/// Cleaning: live records of the oldest segment are written again at the tail, so that it can be freed.
extension DiskSpool {
    /// Moves all of the oldest segment at once when most of the journal is dead.
    ///
    /// A record is moved only while nothing newer of the same thing is on its way: in the journal the newest is last.
    func cleanOldest() {
        guard isWorthCleaning, let oldest = order.first else { return }
        for (number, live) in messages {
            if live.location.segment == oldest { move(.message(number), from: live.location, identity: number) }
            for (envelope, kept) in live.outcomes where kept.pending == 0 {
                guard let location = kept.location, location.segment == oldest else { continue }
                move(.outcome(number, envelope: envelope), from: location, identity: number)
            }
        }
        for (key, kept) in notes where kept.pending == 0 {
            guard let location = kept.location, location.segment == oldest else { continue }
            move(.note(key), from: location, identity: 0)
        }
    }

    func moved(_ what: Moved, _ result: Result<WrittenRecord, SpoolError>) {
        movesInFlight -= 1
        guard case .success(let record) = result else {
            unmovable = order.first
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
        case .note(let key):
            guard let old = notes[key]?.location else { return }
            discount(old)
            count(record.location)
            notes[key]?.location = record.location
        }
    }
}
