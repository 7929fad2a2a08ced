// SPDX-License-Identifier: ISC

import Bytes

/// What the sync thread has done, and what that makes live or dead.
extension DiskSpool {
    func take(_ event: SpoolEvent) {
        switch event {
        case .opened(let segment):
            order.append(segment)
            isCleaningHeld = false
            segmentBegan?()
            buryRest()
            noteTally()
        case .written(let token, let result): written(waiting.removeValue(forKey: token), result)
        case .delayed(let token, let error): delayed(token, error)
        case .content(let token, let result):
            if case .content(let completion) = waiting.removeValue(forKey: token) { completion(result) }
        case .body(let token, let error):
            guard case .body(let completion) = waiting.removeValue(forKey: token) else { return }
            completion(error.map { .failure($0) } ?? .success(()))
        case .report(let line): report?(line)
        }
    }

    private func written(_ what: Waiting?, _ result: Result<WrittenRecord, SpoolError>) {
        switch what {
        case .commit(let message, let body, let bodySize, let completion):
            completion(committed(message, body, bodySize, result))
        case .outcome(let outcome, let completion, let settled):
            if case .success(let record) = result {
                if outcome.isFinal { tally.end(outcome.payload, number: record.number) }
                recorded(outcome, at: record.location)
            }
            completion?(result.map { _ in })
            if result.isSettled { settled?() }
        case .note(let key, let isEmpty, let completion, let settled):
            if case .success(let record) = result { noted(key, isEmpty, at: record.location) }
            completion?(result.map { _ in })
            if result.isSettled { settled?() }
        case .move(let moved): self.moved(moved, result)
        case .content, .body, nil: break
        }
    }

    private func committed(
        _ message: SpoolMessage, _ body: UInt64, _ bodySize: UInt64, _ result: Result<WrittenRecord, SpoolError>
    ) -> Result<SpoolPosition, SpoolError> {
        switch result {
        case .success(let record):
            messages[record.number] = Live(
                location: record.location, envelopeCount: message.envelopeCount, bodyFile: body,
                bodySize: bodySize, bodyForm: isSealing ? .parts : .plain)
            count(record.location)
            cache.insert(message.pieces, for: record.number)
            tally.accept(message.envelopeCount, number: record.number)
            isShort = false
            return .success(SpoolPosition(sequenceNumber: record.number))
        case .failure(let error):
            if error == .full { isShort = true }
            return .failure(error)
        }
    }

    private func recorded(_ outcome: SpoolOutcome, at location: RecordLocation) {
        let number = outcome.message.sequenceNumber
        guard var kept = messages[number]?.outcomes[outcome.envelope] else { return }
        if let old = kept.location { discount(old) }
        kept.location = location
        kept.pending -= 1
        count(location)
        messages[number]?.outcomes[outcome.envelope] = kept
        guard outcome.isFinal else { return }
        messages[number]?.finals += 1
        buryIfDone(number)
    }

    // A message that was moved may stand behind outcomes of its earlier time. Segments go from the oldest on: those
    // outcomes would go before it, and a crash then would bring the message back. They are written again first.
    func buryIfDone(_ number: UInt64) {
        guard let live = messages[number], live.finals >= live.envelopeCount else { return }
        var isBehind = true
        for outcome in live.outcomes {
            let kept = outcome.kept
            guard let location = kept.location, location.segment < live.location.segment else { continue }
            isBehind = false
            if kept.pending == 0, !kept.isMoving {
                move(.outcome(number, envelope: outcome.envelope), from: location, identity: number)
            }
        }
        if isBehind { bury(number, live) }
    }

    private func buryRest() {
        let rest = unburied
        unburied = []
        for number in rest { buryIfDone(number) }
    }

    // The tombstone is durable: what it cancels may go, the record with its segment, the body now (invariant 5).
    private func bury(_ number: UInt64, _ live: Live) {
        discount(live.location)
        for outcome in live.outcomes { if let location = outcome.kept.location { discount(location) } }
        if live.bodyFile != 0, runner != nil {
            let isKept = suspectBodies.remove(live.bodyFile) != nil
            handover.put(isKept ? .setBodyAside(live.bodyFile) : .removeBody(live.bodyFile), isLazy: true)
        }
        cache.remove(number)
        messages[number] = nil
    }

    private func noted(_ key: [UInt8], _ isEmpty: Bool, at location: RecordLocation) {
        guard var kept = notes[key] else { return }
        if let old = kept.location { discount(old) }
        kept.location = isEmpty ? nil : location
        kept.pending -= 1
        if !isEmpty { count(location) }
        // What is still to be read may have the note: that it was taken back is known until then.
        notes[key] = isEmpty && kept.pending == 0 && isRecovered ? nil : kept
    }

    // The record stays with the journal, which tries on; only the one who waits is told.
    private func delayed(_ token: UInt64, _ error: SpoolError) {
        switch waiting[token] {
        case .outcome(let outcome, let completion?, let settled):
            waiting[token] = .outcome(outcome, nil, settled: settled)
            completion(.failure(error))
        case .note(let key, let isEmpty, let completion?, let settled):
            waiting[token] = .note(key, isEmpty: isEmpty, nil, settled: settled)
            completion(.failure(error))
        case .outcome, .note, .commit, .content, .body, .move, nil: break
        }
        if error == .full { isShort = true }
    }

    func count(_ location: RecordLocation) {
        usage[location.segment, default: Usage()].records += 1
        usage[location.segment, default: Usage()].bytes += location.length
        liveBytes += location.length
    }

    func discount(_ location: RecordLocation) {
        usage[location.segment]?.records -= 1
        usage[location.segment]?.bytes -= location.length
        liveBytes -= location.length
    }

    private var isSealing: Bool { options.isCompressed || options.keys.current != nil }

    func freeSegments() {
        guard runner != nil, isRecovered else { return }
        while order.count > 1, let oldest = order.first, usage[oldest]?.records ?? 0 == 0 {
            let isUnread = unread.segments.contains(oldest)
            if isUnread, order.count <= unread.mostSegments, !isShort { return }
            // What the tally counted there must be known before it is gone; jobs are done in their order.
            noteTally()
            order.removeFirst()
            usage[oldest] = nil
            unread.segments.remove(oldest)
            let settled = unread.segments.isEmpty ? unread.numbers : []
            handover.put(isUnread ? .setAside(segment: oldest, settled) : .free(segment: oldest), isLazy: false)
        }
    }

    func noteTally() {
        // Before all is known it is no tally of the whole, and would be taken for one.
        guard isRecovered, tally != notedTally else { return }
        notedTally = tally
        note(SpoolTally.key, tally.bytes, durability: .lazy)
    }

    var isWorthCleaning: Bool {
        guard runner != nil, isRecovered, movesInFlight == 0, order.count > 1, !isCleaningHeld else { return false }
        guard order.count > options.cleaningThreshold || isShort else { return false }
        return liveBytes < order.count * options.segmentSize.value / 4
    }

    func move(_ what: Moved, from location: RecordLocation, identity: UInt64) {
        movesInFlight += 1
        if case .outcome(let number, let envelope) = what { messages[number]?.outcomes[envelope]?.isMoving = true }
        handover.put(.move(token: expect(.move(what)), location, identity: identity), isLazy: true)
    }
}

extension Result where Failure == SpoolError {
    /// Nothing more will be tried: it is durable, or there is nothing left to keep it for.
    var isSettled: Bool {
        switch self {
        case .success, .failure(.unknown): true
        case .failure: false
        }
    }
}
