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
    typealias Line = Peer<DeliveryToQueue, QueueToDelivery>

    private unowned let queue: QueueProcess
    private var workers: [WorkerID: Line] = [:]
    // Workers that have said what is under way with them, which they say once.
    private var known: Set<WorkerID> = []
    // Whose outcomes are not on the disk yet: only then may a worker forget them.
    private var unrecorded: [EnvelopeID: Set<WorkerID>] = [:]
    private var recorded: [WorkerID: [EnvelopeID]] = [:]

    /// Work whose content is in a file.
    private struct PassedBody {
        let position: SpoolPosition
        let batch: Batch
        let request: QueueToDelivery
    }

    private var bodies: ArraySlice<PassedBody> = []
    private var isPassing = false

    init(_ queue: QueueProcess) { self.queue = queue }

    /// What may be in the hands of the workers is the schedule's to say; see `Limits`.
    var mayDispatch: Bool { !isWaitingForWord }

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
        if grant.role == .relay { workers[worker]?.send(.protectedHosts(queue.hostMemory.all)) }
    }

    private func leave(_ worker: WorkerID) {
        workers[worker] = nil
        known.remove(worker)
        for id in unrecorded.keys { forget(id, of: worker) }
        recorded[worker] = nil
        let loss = queue.schedule.release(worker: worker, now: queue.now)
        for id in loss.held {
            queue.log.warning("message \(id.message) is put on hold: envelope \(id) was in hand at three deaths")
            queue.record(id, progress(of: id, .held))
        }
        for id in loss.removed { queue.removed(id) }
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
        case .cancelled(let ids):
            for id in ids where holds(worker, id) { takeBack(id) }
            queue.plan()
        case .protected(let host):
            guard deliveryClass == .relay else { return "a word on other hosts" }
            queue.remember(host)
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

    /// Gives out as much as may go in one turn of the loop (`scheduler limit max-schedule`): a queue that is due as a
    /// whole keeps no client waiting. What is left is still due.
    func dispatch(now: Instant) {
        guard mayDispatch else { return }
        let batches = queue.schedule.take(now: now, pieces: queue.schedule.limits.scheduler.maxSchedule)
        for batch in Batch.joined(batches) { send(batch) }
    }

    private func send(_ batch: Batch) {
        guard let head = queue.shelf.head(batch.message.id) else { return }
        guard !head.isBodyMissing else { return unreadable(batch, "its body is missing") }
        let recipients = batch.envelopes.compactMap { id in
            queue.shelf.recipient(id).map {
                RecipientWork(
                    id: id, sender: head.sender, recipient: $0.recipient, destination: $0.destination,
                    dispatch: $0.dispatch, report: $0.report, created: head.created)
            }
        }
        queue.spool.content(of: head.position) { [weak self] result in
            guard let self else { return }
            switch result {
            case .success(let pieces):
                deliver(pieces, head, batch, recipients)
            case .failure(.damaged):
                damaged(batch)
            case .failure(let error):
                unreadable(batch, error.description)
            }
        }
    }

    private func unreadable(_ batch: Batch, _ reason: String) {
        let reply = Reply(451, EnhancedStatus(4, 3, 0), "Message cannot be read: \(reason)")
        for id in batch.envelopes { ended(id, .deferred(reply), batch.worker) }
    }

    // The next start would not even know whose it was: the sender is told now, while that is known.
    private func damaged(_ batch: Batch) {
        queue.log.critical("message \(batch.message.id) is damaged in the spool; its sender is told")
        let reply = Reply(554, EnhancedStatus(5, 3, 0), "Message was damaged while it waited for delivery")
        for id in batch.envelopes { ended(id, .failed(reply), batch.worker) }
    }

    private func deliver(
        _ pieces: [SpoolPiece], _ message: Shelf.Head, _ batch: Batch, _ recipients: [RecipientWork]
    ) {
        // A worker that died meanwhile was released, and its work with it.
        guard let line = workers[batch.worker] else { return }
        let recipients = wanted(recipients)
        guard !recipients.isEmpty else { return }
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
        let parts: [MessagePiece] = pieces.map { piece in
            switch piece {
            case .bytes(let bytes): .bytes(bytes)
            case .body(let offset, let count): .range(offset: offset, length: count)
            }
        }
        bodies.append(PassedBody(position: message.position, batch: batch, request: request(.file(parts))))
        passBodies()
    }

    /// Hands out one body after the other; one that has to be copied is copied in slices.
    private func passBodies() {
        guard !isPassing else { return }
        isPassing = true
        Task { [weak self] in
            while let next = self?.bodies.popFirst() { await self?.pass(next) }
            self?.isPassing = false
        }
    }

    private func pass(_ next: PassedBody) async {
        do {
            let body: FileDescriptor
            if let copy = try queue.spool.bodyCopy(next.position) {
                while try !copy.step() { await Loop.pause(milliseconds: 0) }
                guard let copied = copy.take() else { preconditionFailure("a copy is taken once") }
                body = copied
            } else {
                body = try queue.spool.openBody(next.position)
            }
            // A worker that died meanwhile was released, and its work with it.
            guard let line = workers[next.batch.worker], case .deliver(var request) = next.request else { return }
            request.recipients = wanted(request.recipients)
            guard !request.recipients.isEmpty else { return }
            line.send(.deliver(request), passing: body)
        } catch {
            if case SpoolError.damaged = error, queue.spool.isDamageCertain(next.position) {
                damaged(next.batch)
            } else {
                unreadable(next.batch, "\(error)")
            }
        }
    }

    /// What an administrator wants to go no further, and has not begun, comes back at once.
    func callOff(_ ids: [EnvelopeID]) {
        var held: [WorkerID: [EnvelopeID]] = [:]
        for id in ids {
            guard case .inFlight(let worker, _)? = queue.schedule.entry(id)?.state else { continue }
            held[worker, default: []].append(id)
        }
        for (worker, ids) in held { workers[worker]?.send(.cancel(ids)) }
    }

    private func takeBack(_ id: EnvelopeID) {
        guard let loss = queue.schedule.takeBack(id, now: queue.now) else { return }
        for id in loss.removed { queue.removed(id) }
        for id in loss.parked {
            let isHeld = queue.schedule.entry(id)?.state == .held
            queue.record(id, progress(of: id, isHeld ? .held : .suspended))
        }
    }

    /// Those of the recipients that are still wanted, now that their content is there; what was called off meanwhile was
    /// not known to the worker yet.
    private func wanted(_ recipients: [RecipientWork]) -> [RecipientWork] {
        recipients.filter { recipient in
            guard queue.schedule.isCalledOff(recipient.id) else { return true }
            takeBack(recipient.id)
            queue.plan()
            return false
        }
    }

    func cancelAll() {
        for (worker, line) in workers {
            let ids = queue.schedule.inFlight(of: worker)
            if !ids.isEmpty { line.send(.cancel(ids)) }
        }
    }

    // MARK: Outcomes

    private func ended(_ id: EnvelopeID, _ outcome: DeliveryOutcome, _ worker: WorkerID) {
        // An envelope that was taken back meanwhile, or that this worker never had, is not decided by it.
        if holds(worker, id) { decide(id, outcome) }
        if queue.isWritten(id) { tell(worker, id) } else { unrecorded[id, default: []].insert(worker) }
    }

    private func decide(_ id: EnvelopeID, _ outcome: DeliveryOutcome) {
        guard let dispatch = queue.shelf.recipient(id)?.dispatch else { return }
        let deliveryClass = DeliveryClass(dispatch)
        let wall = SystemClock.now()
        switch outcome {
        case .delivered: break
        case .deferred(let reply), .failed(let reply): queue.shelf.setReply(id, reply)
        }
        queue.history.tried(id, outcome, at: wall)
        switch queue.schedule.outcome(id, outcome, now: queue.now) {
        case .done:
            guard let kind = NoticeKind(outcome, deliveryClass),
                queue.notices.report(kind, id, outcome.reply, demand: demand(id, kind))
            else {
                queue.finish(id, deliveryClass == .local ? .delivered : .relayed)
                break
            }
            queue.record(id, EnvelopeProgress(.owesSuccess, lastTry: wall, reply: outcome.reply))
        case .removed:
            queue.removed(id)
        case .retry(let next, _, var warning):
            if warning == nil, let age = queue.shelf.head(id.message)?.ageOfDeadline {
                warning = queue.schedule.warn(id, atAge: age, before: next)
            }
            queue.record(id, progress(of: id, .waiting))
            if warning != nil { queue.notices.report(.delayed, id, outcome.reply) }
        case .parked:
            let isHeld = queue.schedule.entry(id)?.state == .held
            queue.record(id, progress(of: id, isHeld ? .held : .suspended))
        case .failed:
            queue.notices.fail(id, outcome.reply, .bounced)
        case .expired:
            queue.notices.fail(id, .expired(after: outcome.reply), .expired)
        case .unknown:
            break
        }
        queue.plan()
    }

    /// What the schedule and the shelf know of an envelope, to be kept with a state.
    func progress(of id: EnvelopeID, _ state: EnvelopeProgress.State) -> EnvelopeProgress {
        let entry = queue.schedule.entry(id)
        let wall = SystemClock.now()
        return EnvelopeProgress(
            state, attempts: entry?.attempts ?? 0,
            lastTry: entry?.lastTry.map { $0.timestamp(wall: wall, now: queue.now) },
            lastWarning: entry?.lastWarning, reply: queue.shelf.recipient(id)?.reply)
    }

    // RFC 2852 section 4.1.4: whoever gave a deadline is told where it is no longer kept, and of each host when asked so.
    private func demand(_ id: EnvelopeID, _ kind: NoticeKind) -> NoticeDesk.Demand {
        guard kind == .relayed, let deadline = queue.shelf.head(id.message)?.request.deadline else { return .usual }
        return deadline.mode == .notify || deadline.trace == .relays ? .unlessNever : .usual
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
