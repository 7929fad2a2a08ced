// SPDX-License-Identifier: ISC

import Channel
import IPC
import Mail
import Posix
import Reactor
import Schedule
import Spool

/// Gives due work to the delivery processes and hears how it ended.
final class Dispatcher {
    // Content that is in the hands of the workers or on its way to them.
    private static let mostBytes: UInt64 = 64 << 20
    // What is larger has a body file, which is not copied: see Intake.
    private static let largestInline: UInt64 = 512 * 1024

    typealias Line = Peer<DeliveryToQueue, QueueToDelivery>

    private unowned let queue: QueueProcess
    private var workers: [WorkerID: Line] = [:]
    // Workers that have said what is under way with them, which they say once.
    private var known: Set<WorkerID> = []
    private var bytesInFlight: [EnvelopeID: UInt64] = [:]
    private var totalBytes: UInt64 = 0
    // Whose outcomes are not on the disk yet: only then may a worker forget them.
    private var unrecorded: [EnvelopeID: Set<WorkerID>] = [:]
    private var recorded: [WorkerID: [EnvelopeID]] = [:]

    init(_ queue: QueueProcess) { self.queue = queue }

    var mayDispatch: Bool { totalBytes < Self.mostBytes && !isWaitingForWord }

    // What an older worker has in hand must not be given to another one before that is known.
    private var isWaitingForWord: Bool {
        workers.keys.contains { !known.contains($0) && $0.value < queue.child.assignment.generation }
    }

    func join(_ grant: PeerGrant, _ descriptor: consuming FileDescriptor) {
        let worker = WorkerID(grant.generation)
        let deliveryClass: DeliveryClass = grant.role == .relay ? .relay : .local
        workers[worker] = queue.child.edge(
            grant, descriptor,
            handle: { [weak self] message, _, _ in
                guard let self, let wrong = heard(message, from: worker, deliveryClass) else { return }
                workers[worker]?.close()
                leave(worker)
                queue.child.violated(grant, wrong)
            },
            ended: { [weak self] in self?.leave(worker) })
    }

    private func leave(_ worker: WorkerID) {
        workers[worker] = nil
        known.remove(worker)
        for id in unrecorded.keys { forget(id, of: worker) }
        recorded[worker] = nil
        let loss = queue.schedule.release(worker: worker, now: queue.now)
        for id in loss.returned + loss.held + loss.parked + loss.removed { endFlight(id) }
        for id in loss.held {
            queue.log.warning("message \(id.message) is put on hold: envelope \(id) was in hand at three deaths")
            queue.record(id, EnvelopeProgress(.held, reply: queue.messages[id.message]?.recipients[id.number]?.reply))
        }
        for id in loss.removed { queue.finish(id) }
        queue.plan()
    }

    /// What is wrong with the message, when it is one that the worker may not send.
    private func heard(
        _ message: DeliveryToQueue, from worker: WorkerID, _ deliveryClass: DeliveryClass
    ) -> String? {
        switch message {
        case .inFlight(let ids):
            guard known.insert(worker).inserted else { return "a second word on what is under way" }
            // Only a worker that is older than this Queue can have something that this Queue did not give to it.
            guard ids.isEmpty || worker.value < queue.child.assignment.generation else {
                return "claims envelopes that nobody gave to it"
            }
            // Who is not attached can adopt nothing, and what it has in hand would be delivered twice.
            queue.schedule.attach(worker, deliveryClass)
            for id in ids { _ = queue.schedule.adopt(id, by: worker, now: queue.now) }
            queue.plan()
        case .outcome(let id, let outcome):
            if case .inFlight(let holder, _)? = queue.schedule.entry(id)?.state, holder != worker {
                return "an outcome of an envelope that another has in hand"
            }
            ended(id, outcome, worker)
        }
        return nil
    }

    private func holds(_ worker: WorkerID, _ id: EnvelopeID) -> Bool {
        if case .inFlight(worker, _)? = queue.schedule.entry(id)?.state { true } else { false }
    }

    /// What is scheduled by hand is really tried, not turned away at once because of earlier failures.
    func forgetFailures() {
        for line in workers.values { line.send(.forgetFailures) }
    }

    // MARK: Giving out

    func dispatch(now: Instant) {
        while mayDispatch {
            let batches = queue.schedule.take(now: now, limit: 256)
            if batches.isEmpty { return }
            for batch in batches { send(batch) }
        }
    }

    private func send(_ batch: Batch) {
        guard let message = queue.messages[batch.message.id] else { return }
        for id in batch.envelopes { bytesInFlight[id] = 0 }
        guard !message.isBodyMissing else { return unreadable(batch, "its body is missing") }
        charge(min(message.size, Self.largestInline), to: batch)
        let recipients = batch.envelopes.compactMap { message.work($0) }
        queue.spool.content(of: message.position) { [weak self] result in
            guard let self else { return }
            switch result {
            case .success(let pieces):
                deliver(pieces, message, batch, recipients)
            case .failure(let error):
                unreadable(batch, error.description)
            }
        }
    }

    private func unreadable(_ batch: Batch, _ reason: String) {
        let reply = Reply(451, EnhancedStatus(4, 3, 0), "Message cannot be read: \(reason)")
        for id in batch.envelopes { ended(id, .deferred(reply), batch.worker) }
    }

    // Its share of the budget, in bytes that are in memory for it.
    private func charge(_ bytes: UInt64, to batch: Batch) {
        let share = bytes / UInt64(batch.envelopes.count)
        for id in batch.envelopes {
            guard let before = bytesInFlight[id] else { continue }
            totalBytes = totalBytes - before + share
            bytesInFlight[id] = share
        }
    }

    private func deliver(
        _ pieces: [SpoolPiece], _ message: StoredMessage, _ batch: Batch, _ recipients: [RecipientWork]
    ) {
        // A worker that died meanwhile was released, and its work with it.
        guard let line = workers[batch.worker] else { return }
        // An administrator may want a retry so soon that the worker still keeps the last outcome; it would repeat that.
        for recipient in recipients where forget(recipient.id, of: batch.worker) { tell(batch.worker, recipient.id) }
        tellRecorded()
        func request(_ content: DeliveryContent) -> QueueToDelivery {
            .deliver(
                DeliveryRequest(
                    message: batch.message.id, request: message.request, size: message.size, content: content,
                    recipients: recipients))
        }
        let hasBodyFile = pieces.contains { piece in
            if case .body = piece { true } else { false }
        }
        guard hasBodyFile else {
            var content: [UInt8] = []
            content.reserveCapacity(Int(message.size))
            for case .bytes(let bytes) in pieces { content += bytes }
            line.send(request(.inline(content)))
            return
        }
        charge(pieces.reduce(0) { $0 + $1.inMemory }, to: batch)
        do {
            let body = try queue.spool.openBody(message.position)
            let parts: [MessagePiece] = pieces.map { piece in
                switch piece {
                case .bytes(let bytes): .bytes(bytes)
                case .body(let offset, let count): .range(offset: offset, length: count)
                }
            }
            line.send(request(.file(parts)), passing: body)
        } catch {
            unreadable(batch, "\(error)")
        }
    }

    func cancelAll() {
        for (worker, line) in workers {
            let ids = bytesInFlight.keys.filter { holds(worker, $0) }
            if !ids.isEmpty { line.send(.cancel(ids)) }
        }
    }

    // MARK: Outcomes

    private func endFlight(_ id: EnvelopeID) {
        if let bytes = bytesInFlight.removeValue(forKey: id) { totalBytes -= bytes }
    }

    private func ended(_ id: EnvelopeID, _ outcome: DeliveryOutcome, _ worker: WorkerID) {
        // An envelope that was taken back meanwhile, or that this worker never had, is not decided by it.
        if holds(worker, id) { decide(id, outcome) }
        if queue.isWritten(id) { tell(worker, id) } else { unrecorded[id, default: []].insert(worker) }
    }

    private func decide(_ id: EnvelopeID, _ outcome: DeliveryOutcome) {
        endFlight(id)
        // No copy of the message is held here: changing it would copy all of its recipients.
        guard let dispatch = queue.messages[id.message]?.recipients[id.number]?.dispatch else { return }
        let deliveryClass = DeliveryClass(dispatch)
        let wall = SystemClock.now()
        queue.messages[id.message]?.recipients[id.number]?.reply = outcome.reply
        switch queue.schedule.outcome(id, outcome, now: queue.now) {
        case .done:
            guard let kind = NoticeKind(outcome, deliveryClass), queue.notices.report(kind, id, outcome.reply) else {
                queue.finish(id)
                break
            }
            queue.record(id, EnvelopeProgress(.owesSuccess, lastTry: wall, reply: outcome.reply))
        case .removed:
            queue.finish(id)
        case .retry(_, let attempts, let warning):
            queue.record(
                id,
                EnvelopeProgress(
                    .waiting, attempts: attempts, lastTry: wall,
                    lastWarning: queue.schedule.entry(id)?.lastWarning, reply: outcome.reply))
            if warning != nil { queue.notices.report(.delayed, id, outcome.reply) }
        case .parked(let attempts):
            let state: EnvelopeProgress.State = queue.schedule.entry(id)?.state == .held ? .held : .suspended
            queue.record(id, EnvelopeProgress(state, attempts: attempts, lastTry: wall, reply: outcome.reply))
        case .failed:
            queue.notices.fail(id, outcome.reply)
        case .expired:
            queue.notices.fail(id, .expired(after: outcome.reply))
        case .unknown:
            break
        }
        queue.plan()
    }

    // MARK: What the workers may forget

    /// All that was recorded of the envelope is on the disk.
    func written(_ id: EnvelopeID) {
        for worker in unrecorded.removeValue(forKey: id) ?? [] { tell(worker, id) }
    }

    /// True when the worker was owed word of this envelope.
    @discardableResult
    private func forget(_ id: EnvelopeID, of worker: WorkerID) -> Bool {
        guard unrecorded[id]?.remove(worker) != nil else { return false }
        if unrecorded[id]?.isEmpty == true { unrecorded[id] = nil }
        return true
    }

    private func tell(_ worker: WorkerID, _ id: EnvelopeID) {
        if recorded.isEmpty { Loop.atEndOfTurn { [weak self] in self?.tellRecorded() } }
        recorded[worker, default: []].append(id)
    }

    private func tellRecorded() {
        let all = recorded
        recorded = [:]
        for (worker, ids) in all { workers[worker]?.send(.recorded(ids)) }
    }
}

extension SpoolPiece {
    fileprivate var inMemory: UInt64 {
        switch self {
        case .bytes(let bytes): UInt64(bytes.count)
        case .body: 0
        }
    }
}
