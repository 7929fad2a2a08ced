// SPDX-License-Identifier: ISC

import Mail
import Testing

@testable import Schedule

/// A queue that looks at everything for every question, and what it knows to be true of the real one.
private struct NaiveQueue {
    enum State: Hashable {
        case waiting, inFlight, suspended, held, awaitingNotice
    }

    struct Recipient {
        var route: RouteKey
        var state: State
        var due: Instant
        var created: Instant
        var expires: Instant
        var attempts = 0
        var worker: WorkerID?
        var batch = 0
        var isHostDown = false
        var wishes: Set<State> = []
        var isRemoved = false
    }

    var recipients: [EnvelopeID: Recipient] = [:]
    var deaths: [String: Int] = [:]
    var aloneBatches: Set<Int> = []
    var paused: Set<DeliveryClass> = []
    var nextBatch = 1
    var poisoned = 0

    static func key(_ envelope: EnvelopeID, _ deliveryClass: DeliveryClass) -> String {
        "\(envelope.message) \(deliveryClass)"
    }

    func isSuspect(_ envelope: EnvelopeID, _ recipient: Recipient) -> Bool {
        deaths[Self.key(envelope, recipient.route.deliveryClass), default: 0] >= 2
    }

    func selected(_ selection: Selection) -> [EnvelopeID] {
        switch selection {
        case .all: recipients.keys.sorted()
        case .message(let message): recipients.keys.filter { $0.message == message }.sorted()
        case .envelope(let envelope): recipients[envelope] == nil ? [] : [envelope]
        case .these(let envelopes): envelopes.filter { recipients[$0] != nil }
        }
    }
}

struct ModelTests {
    private static let steps = 100_000

    @Test func `the queue does what a naive one does`() {
        var numbers = Numbers(state: 2026)
        var limits = Limits()
        limits.scheduler.maxInflight = 40
        limits.relay.maxBatch = 3
        limits.relay.maxBatchesPerDestination = 4
        limits.relay.leastWindow = 4
        limits.relay.maxDeferred = 6
        limits.local.maxSession = 6
        limits.local.maxSessionPerUser = 2
        limits.local.ampleForAction = 2
        var queue = RunQueue(limits: limits)
        var model = NaiveQueue()
        var workers: [DeliveryClass: [WorkerID]] = [.relay: [WorkerID(1), WorkerID(2)], .local: [WorkerID(3)]]
        var nextWorker: UInt32 = 4
        for (deliveryClass, list) in workers { for worker in list { queue.attach(worker, deliveryClass) } }
        var now = Instant.at(1000)
        var nextMessage: UInt32 = 1
        var finished = 0

        func selection() -> Selection {
            switch numbers.below(20) {
            case 0: .all
            case 1: .these(model.recipients.keys.sorted().filter { _ in numbers.below(2) == 0 })
            case 2..<8: .message(MessageID(UInt32(1 + numbers.below(Int(nextMessage)))))
            default: model.recipients.keys.sorted().randomElement(using: &numbers).map { .envelope($0) } ?? .all
            }
        }

        for step in 0..<Self.steps {
            switch numbers.below(100) {
            case 0..<12 where model.recipients.count < 30:
                let id = nextMessage
                nextMessage += 1
                let created = Instant(milliseconds: now.milliseconds - Int64(numbers.below(3) * 5000))
                var added: [QueuedRecipient] = []
                for number in 1...UInt32(1 + numbers.below(5)) {
                    let route =
                        numbers.below(3) == 0
                        ? RouteKey.local(action: id % 3 == 0 ? "box" : "in", user: "u\(numbers.below(4))")
                        : relay("d\(numbers.below(6)).example.org")
                    let ttl = Interval.seconds(Int64(200 + numbers.below(20000)))
                    added.append(QueuedRecipient(number, route: route, timeToLive: ttl))
                    model.recipients[envelope(id, number)] = NaiveQueue.Recipient(
                        route: route, state: .waiting, due: created, created: created, expires: created + ttl)
                }
                #expect(queue.insert(message(id, created: created), added, now: now) == added.count)
            case 12..<20:
                now.milliseconds += Int64(numbers.below(numbers.below(10) == 0 ? 400_000 : 3000))
            case 20..<45:
                take(&queue, &model, limits, workers, now: now, limit: 1 + numbers.below(20))
            case 45..<85:
                let flying = model.recipients.compactMap { $0.value.state == .inFlight ? $0.key : nil }.sorted()
                guard let envelope = flying.randomElement(using: &numbers) else { continue }
                answer(&queue, &model, envelope, numbers.below(10), now: now)
            case 85..<88:
                let due = model.recipients.filter { $0.value.state == .waiting && $0.value.expires <= now }
                #expect(queue.expire(now: now, limit: .max).sorted() == due.keys.sorted())
                for envelope in due.keys { model.recipients[envelope]?.state = .awaitingNotice }
            case 88..<90:
                for envelope in model.recipients.keys.sorted()
                where model.recipients[envelope]?.state == .awaitingNotice {
                    #expect(queue.settle(envelope) == true)
                    model.recipients[envelope] = nil
                }
            case 90..<92:
                let chosen = selection()
                let expected = model.selected(chosen).filter { model.recipients[$0]?.state == .waiting }
                #expect(queue.schedule(chosen, now: now) == expected.count)
                for envelope in expected where model.recipients[envelope].map({ $0.due > now }) == true {
                    model.recipients[envelope]?.due = now
                    model.recipients[envelope]?.isHostDown = false
                }
            case 92..<95:
                administer(&queue, &model, selection(), numbers.below(5), now: now)
            case 95:
                let deliveryClass: DeliveryClass = numbers.below(2) == 0 ? .relay : .local
                let isPaused = numbers.below(3) == 0
                queue.setPaused(isPaused, deliveryClass)
                if isPaused { model.paused.insert(deliveryClass) } else { model.paused.remove(deliveryClass) }
            case 96...97:
                let deliveryClass: DeliveryClass = numbers.below(2) == 0 ? .relay : .local
                // Every second death is that of a worker with a suspect in hand, if there is one.
                let alone = model.recipients.values.first {
                    $0.state == .inFlight && $0.route.deliveryClass == deliveryClass
                        && model.aloneBatches.contains($0.batch)
                }
                let victim = numbers.below(2) == 0 ? alone?.worker : nil
                guard let worker = victim ?? workers[deliveryClass]?.first else { continue }
                die(&queue, &model, worker, now: now)
                workers[deliveryClass]?.removeAll { $0 == worker }
                workers[deliveryClass]?.append(WorkerID(nextWorker))
                queue.attach(WorkerID(nextWorker), deliveryClass)
                nextWorker += 1
            default:
                break
            }
            finished += queue.takeFinished().count
            if step % 100 == 0 { compare(queue, model) }
        }
        compare(queue, model)
        // The numbers have led everywhere.
        #expect(model.aloneBatches.count > 10 && model.poisoned > 0)
        drain(&queue, &model, limits, workers, &now)
        finished += queue.takeFinished().count
        #expect(queue.count == 0 && queue.inFlightCount == 0 && queue.messageCount == 0)
        #expect(finished == Int(nextMessage - 1))
        #expect(queue.nextDue(now: now) == nil || queue.routes.contains { $0.isInRing })
    }

    private func take(
        _ queue: inout RunQueue, _ model: inout NaiveQueue, _ limits: Limits, _ workers: [DeliveryClass: [WorkerID]],
        now: Instant, limit: Int
    ) {
        let batches = queue.take(now: now, limit: limit)
        var count = 0
        for batch in batches {
            let deliveryClass = batch.route.deliveryClass
            let members = batch.envelopes.compactMap { model.recipients[$0] }
            count += members.count
            #expect(members.count == batch.envelopes.count && !members.isEmpty)
            #expect(members.allSatisfy { $0.state == .waiting && $0.due <= now && $0.route == batch.route })
            #expect(batch.envelopes.allSatisfy { $0.message == batch.message.id })
            #expect(members.count <= (deliveryClass == .relay ? limits.relay.maxBatch : 1))
            #expect(!model.paused.contains(deliveryClass))
            #expect(workers[deliveryClass]?.contains(batch.worker) == true)
            let flying = model.recipients.values.filter { $0.state == .inFlight }
            let beside = flying.filter { $0.route.deliveryClass == deliveryClass }
            if batch.isAlone { #expect(beside.isEmpty) }
            #expect(!beside.contains { model.aloneBatches.contains($0.batch) })
            // While a route has work in flight, all of it is with one worker.
            #expect(beside.allSatisfy { $0.route != batch.route || $0.worker == batch.worker })
            for envelope in batch.envelopes {
                model.recipients[envelope]?.state = .inFlight
                model.recipients[envelope]?.worker = batch.worker
                model.recipients[envelope]?.batch = model.nextBatch
                model.recipients[envelope]?.isHostDown = false
                model.recipients[envelope]?.wishes = []
            }
            if batch.isAlone { model.aloneBatches.insert(model.nextBatch) }
            model.nextBatch += 1
        }
        #expect(count <= limit)
        let flying = model.recipients.values.filter { $0.state == .inFlight }
        #expect(flying.count <= limits.scheduler.maxInflight)
        for route in Set(flying.map(\.route)) {
            let most =
                route.deliveryClass == .relay ? limits.relay.maxBatchesPerDestination : limits.local.maxSessionPerUser
            #expect(Set(flying.filter { $0.route == route }.map(\.batch)).count <= most)
        }
        #expect(flying.filter { $0.route.deliveryClass == .local }.count <= limits.local.maxSession)
        let relays = flying.filter { $0.route.deliveryClass == .relay }
        #expect(relays.count <= limits.scheduler.maxInflight - limits.local.maxSession)
        guard count < limit, relays.count < limits.scheduler.maxInflight - limits.local.maxSession else { return }
        for deliveryClass in DeliveryClass.allCases where !model.paused.contains(deliveryClass) {
            checkNothingLeft(&queue, model, limits, deliveryClass, flying, now: now)
        }
    }

    /// With room left, nothing that may go is left behind, and the timer is right about the rest.
    private func checkNothingLeft(
        _ queue: inout RunQueue, _ model: NaiveQueue, _ limits: Limits, _ deliveryClass: DeliveryClass,
        _ flying: [NaiveQueue.Recipient], now: Instant
    ) {
        let line = model.recipients.filter {
            $0.value.state == .waiting && $0.value.route.deliveryClass == deliveryClass
        }
        let hasDueSuspect = queue.classes[deliveryClass.index].suspects.top.map { $0.at <= now.milliseconds } ?? false
        let beside = flying.filter { $0.route.deliveryClass == deliveryClass }
        guard !hasDueSuspect, !beside.contains(where: { model.aloneBatches.contains($0.batch) }) else { return }
        guard deliveryClass == .relay || beside.count < limits.local.maxSession else { return }
        // What stands behind a route, or an action, that has its share is brought back by the end of one of its batches.
        let free = line.values.filter { recipient in
            !beside.contains { $0.route == recipient.route || $0.route.isByAction(of: recipient.route) }
        }
        #expect(free.allSatisfy { $0.due > now })
        if let next = free.map(\.due).min() {
            let told = queue.nextDue(now: now)
            #expect(told.map { $0 <= max(next, queue.nextAlone(deliveryClass)) } == true)
        }
    }

    private func answer(
        _ queue: inout RunQueue, _ model: inout NaiveQueue, _ envelope: EnvelopeID, _ dice: Int, now: Instant
    ) {
        guard var recipient = model.recipients[envelope] else { return }
        let outcome: DeliveryOutcome =
            switch dice {
            case 0..<4: .ok
            case 4..<6: .busy
            case 6..<9: .down
            default: .refused
            }
        let consequence = queue.outcome(envelope, outcome, now: now)
        if model.aloneBatches.contains(recipient.batch),
            !model.recipients.contains(where: {
                $0.key != envelope && $0.value.state == .inFlight && $0.value.batch == recipient.batch
            })
        {
            model.deaths[NaiveQueue.key(envelope, recipient.route.deliveryClass)] = 0
        }
        switch outcome {
        case .delivered:
            #expect(consequence == .done)
            model.recipients[envelope] = nil
            adoptWoken(queue, &model, recipient.route, now: now)
        case .failed:
            #expect(consequence == (recipient.isRemoved ? .removed : .failed))
            recipient.state = .awaitingNotice
            model.recipients[envelope] = recipient.isRemoved ? nil : recipient
        case .deferred:
            recipient.attempts += 1
            let next = recipient.route.deliveryClass.retryPolicy.next(created: recipient.created, after: now)
            recipient.due = next
            if recipient.isRemoved {
                #expect(consequence == .removed)
                model.recipients[envelope] = nil
                return
            } else if recipient.expires <= now {
                #expect(consequence == .expired)
                recipient.state = .awaitingNotice
            } else if !recipient.wishes.isEmpty {
                #expect(consequence == .parked(attempts: recipient.attempts))
                recipient.state = recipient.wishes.contains(.held) ? .held : .suspended
            } else {
                guard case .retry(at: next, attempts: recipient.attempts, _) = consequence else {
                    Issue.record("\(consequence)")
                    return
                }
                recipient.state = .waiting
                recipient.isHostDown = dice >= 6
            }
            recipient.wishes = []
            model.recipients[envelope] = recipient
        }
    }

    /// Which of those that waited for the host are woken is the queue's choice; that no other moves is not.
    private func adoptWoken(_ queue: RunQueue, _ model: inout NaiveQueue, _ route: RouteKey, now: Instant) {
        var woken = 0
        for (envelope, recipient) in model.recipients
        where recipient.state == .waiting && recipient.isHostDown && recipient.route == route && recipient.due > now {
            guard queue.state(envelope) == .waiting(until: now) else { continue }
            woken += 1
            model.recipients[envelope]?.due = now
            model.recipients[envelope]?.isHostDown = false
        }
        #expect(woken <= queue.limits.relay.maxDeferred)
    }

    private func administer(
        _ queue: inout RunQueue, _ model: inout NaiveQueue, _ selection: Selection, _ verb: Int, now: Instant
    ) {
        let chosen = model.selected(selection)
        func inState(_ states: NaiveQueue.State...) -> [EnvelopeID] {
            chosen.filter { model.recipients[$0].map { states.contains($0.state) } == true }
        }
        switch verb {
        case 0 where chosen.count < 20:
            let removal = queue.remove(selection, now: now)
            #expect(removal.pending == inState(.inFlight))
            #expect(removal.removed == inState(.waiting, .suspended, .held, .awaitingNotice))
            for envelope in removal.pending { model.recipients[envelope]?.isRemoved = true }
            for envelope in removal.removed { model.recipients[envelope] = nil }
        case 1 where chosen.count < 20:
            #expect(queue.suspend(selection) == inState(.waiting, .inFlight))
            for envelope in inState(.inFlight) { model.recipients[envelope]?.wishes.insert(.suspended) }
            for envelope in inState(.waiting) {
                model.recipients[envelope]?.state = .suspended
                model.recipients[envelope]?.isHostDown = false
            }
        case 2 where chosen.count < 20:
            #expect(queue.hold(selection) == inState(.waiting, .inFlight, .suspended))
            for envelope in inState(.inFlight) { model.recipients[envelope]?.wishes.insert(.held) }
            for envelope in inState(.waiting, .suspended) {
                model.recipients[envelope]?.state = .held
                model.recipients[envelope]?.isHostDown = false
            }
        case 3:
            let wishing = inState(.inFlight).filter { model.recipients[$0]?.wishes.contains(.suspended) == true }
            let freed = inState(.suspended)
            #expect(queue.resume(selection, now: now) == (wishing + freed).sorted())
            for envelope in wishing { model.recipients[envelope]?.wishes.remove(.suspended) }
            for envelope in freed {
                model.recipients[envelope]?.state = .waiting
                let due = model.recipients[envelope]?.due ?? now
                model.recipients[envelope]?.due = max(now, due)
            }
        case 4:
            let wishing = inState(.inFlight).filter { model.recipients[$0]?.wishes.contains(.held) == true }
            let freed = inState(.held)
            #expect(queue.release(selection, now: now) == (wishing + freed).sorted())
            for envelope in wishing { model.recipients[envelope]?.wishes.remove(.held) }
            for envelope in freed {
                guard let route = model.recipients[envelope]?.route else { continue }
                model.recipients[envelope]?.state = .waiting
                model.recipients[envelope]?.due = now
                model.deaths[NaiveQueue.key(envelope, route.deliveryClass)] = 0
            }
        default:
            break
        }
    }

    private func die(_ queue: inout RunQueue, _ model: inout NaiveQueue, _ worker: WorkerID, now: Instant) {
        let flying = model.recipients.filter { $0.value.state == .inFlight && $0.value.worker == worker }
        let loss = queue.release(worker: worker, now: now)
        var poison: Set<String> = []
        var counted: Set<String> = []
        for (envelope, recipient) in flying {
            let key = NaiveQueue.key(envelope, recipient.route.deliveryClass)
            if counted.insert(key).inserted { model.deaths[key, default: 0] += 1 }
            if model.aloneBatches.contains(recipient.batch), model.deaths[key, default: 0] >= 3 { poison.insert(key) }
        }
        for (envelope, recipient) in flying {
            if recipient.isRemoved {
                model.recipients[envelope] = nil
            } else if let wish = recipient.wishes.contains(.held) ? .held : recipient.wishes.first {
                model.recipients[envelope]?.state = wish
            } else {
                model.recipients[envelope]?.state = .waiting
                model.recipients[envelope]?.due = now
            }
            model.recipients[envelope]?.wishes = []
        }
        var held: [EnvelopeID] = []
        for (envelope, recipient) in model.recipients where recipient.state == .waiting {
            guard poison.contains(NaiveQueue.key(envelope, recipient.route.deliveryClass)) else { continue }
            model.recipients[envelope]?.state = .held
            model.recipients[envelope]?.isHostDown = false
            held.append(envelope)
        }
        model.poisoned += held.count
        #expect(loss.held.sorted() == held.sorted())
        #expect(loss.removed.sorted() == flying.filter(\.value.isRemoved).keys.sorted())
        #expect(Set(loss.returned + loss.held + loss.removed + loss.parked).isSuperset(of: flying.keys))
    }

    private func compare(_ queue: RunQueue, _ model: NaiveQueue) {
        let entries = queue.page(after: nil, limit: .max)
        #expect(entries.map(\.envelope) == model.recipients.keys.sorted())
        #expect(queue.count == entries.count)
        for entry in entries {
            guard let recipient = model.recipients[entry.envelope] else { continue }
            #expect(entry.route == recipient.route && entry.attempts == recipient.attempts)
            switch entry.state {
            case .waiting(let due): #expect(recipient.state == .waiting && due == recipient.due)
            case .inFlight(let worker, _): #expect(recipient.state == .inFlight && worker == recipient.worker)
            case .suspended: #expect(recipient.state == .suspended)
            case .held: #expect(recipient.state == .held)
            case .awaitingNotice: #expect(recipient.state == .awaitingNotice)
            }
        }
        let flying = model.recipients.values.filter { $0.state == .inFlight }
        #expect(queue.inFlightCount == flying.count)
        for number in queue.routeNumbers.values {
            let route = queue.routes[Int(number)]
            let line = model.recipients.values.filter { $0.route == route.key && $0.state == .waiting }
            #expect(route.hostDown == line.filter(\.isHostDown).count)
            #expect(route.live <= line.count && route.recipients >= line.count)
        }
    }

    /// Nothing is forgotten: everything comes to an end when all is well.
    private func drain(
        _ queue: inout RunQueue, _ model: inout NaiveQueue, _ limits: Limits, _ workers: [DeliveryClass: [WorkerID]],
        _ now: inout Instant
    ) {
        for deliveryClass in DeliveryClass.allCases { queue.setPaused(false, deliveryClass) }
        model.paused = []
        for verb in [3, 4] { administer(&queue, &model, .all, verb, now: now) }
        for _ in 0..<20000 where !model.recipients.isEmpty {
            take(&queue, &model, limits, workers, now: now, limit: 100)
            for (envelope, recipient) in model.recipients {
                if recipient.state == .inFlight { answer(&queue, &model, envelope, 0, now: now) }
                if recipient.state == .awaitingNotice {
                    queue.settle(envelope)
                    model.recipients[envelope] = nil
                }
            }
            now = max(now, queue.nextDue(now: now) ?? now)
            for envelope in queue.expire(now: now, limit: .max) { model.recipients[envelope]?.state = .awaitingNotice }
        }
        #expect(model.recipients.isEmpty)
    }
}

extension RunQueue {
    fileprivate func nextAlone(_ deliveryClass: DeliveryClass) -> Instant {
        Instant(milliseconds: classes[deliveryClass.index].nextAlone)
    }
}

extension RouteKey {
    fileprivate func isByAction(of other: RouteKey) -> Bool {
        guard case .local(let action, _) = self, case .local(action, _) = other else { return false }
        return true
    }
}
