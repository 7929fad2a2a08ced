// SPDX-License-Identifier: ISC

import Channel
import IPC
import Mail
import Reactor
import Schedule
import Spool

/// What an administrator asks Queue. Whatever may concern the whole queue is done in slices: each request looks at some
/// thousands of envelopes, and the answer says where to go on.
extension QueueProcess {
    func answer(_ request: ControlRequest) async -> [ControlAnswer] {
        switch request {
        case .showStatus:
            return [
                .record([ControlField(name: "MDA", value: .text(schedule.isPaused(.local) ? "paused" : "running"))]),
                .record([ControlField(name: "MTA", value: .text(schedule.isPaused(.relay) ? "paused" : "running"))]),
                .done(count: 2),
            ]
        case .showStatistics:
            return statistics()
        case .showDelivery(.destinations):
            return destinations()
        case .showDelivery(.hosts), .showDelivery(.routes), .showDelivery(.relays), .showDelivery(.hostStatistics):
            return [.failed("not held by the queue")]
        case .queue(let request):
            return await answer(request)
        case .pause(.mda): return setPaused(true, .local, .mda)
        case .pause(.mta): return setPaused(true, .relay, .mta)
        case .resume(.mda): return setPaused(false, .local, .mda)
        case .resume(.mta): return setPaused(false, .relay, .mta)
        case .verbose(let isVerbose):
            log.isVerbose = isVerbose
            return [.done(count: 0)]
        case .showPlan(let action, let isRelay):
            return [.record(plan(of: action, isRelay ? .relay : .local)), .done(count: 1)]
        case .pause(.smtp), .resume(.smtp), .stop, .reload, .updateTable, .explain, .lookUp:
            return [.failed("not held by the queue")]
        }
    }

    // Enough to see how the attempts move apart.
    private static let shownAttempts = 8

    /// When a delivery that fails for the time being is tried again, in seconds after the message came.
    private func plan(of action: String, _ deliveryClass: DeliveryClass) -> [ControlField] {
        let lifetime = lifetimes[action] ?? queueLifetime
        var attempts: [String] = []
        let created = Instant(milliseconds: 0)
        var at = created
        for _ in 1...Self.shownAttempts {
            at = deliveryClass.retryPolicy.next(created: created, after: at)
            guard at.milliseconds <= lifetime.seconds * 1000 else { break }
            attempts.append("\(Interval(seconds: at.milliseconds / 1000))")
        }
        let warnings = schedule.warnIntervals.filter { $0 < lifetime }
        return [
            ControlField(name: "action", value: .text(action)),
            ControlField(name: "lifetime", value: .text("\(lifetime)")),
            ControlField(name: "retries", value: .text(attempts.joined(separator: " "))),
            ControlField(name: "warnings", value: .text(warnings.map { "\($0)" }.joined(separator: " "))),
        ]
    }

    private func answer(_ request: QueueRequest) async -> [ControlAnswer] {
        switch request {
        case .show(let selector, let after): return page(selector, after: after)
        case .envelope(let id): return showEnvelope(id)
        case .content(let id, let offset): return await showContent(id, from: offset)
        case .change(.rematch, let selector, let after): return await rematch(selector, after: after)
        case .change(let verb, let selector, let after): return await change(verb, selector, after: after)
        case .audit: return await audit()
        case .trace(let text): return await trace(text)
        case .beginImport: return imports.begin()
        case .importContent(let number, let bytes): return await imports.take(bytes, for: number)
        case .finishImport(let number, let request, let envelopes):
            return await imports.finish(number, request, envelopes)
        }
    }

    private func setPaused(
        _ isPaused: Bool, _ deliveryClass: DeliveryClass, _ service: PausableService
    ) -> [ControlAnswer] {
        guard schedule.isPaused(deliveryClass) != isPaused else {
            return [.failed("\("\(service)".uppercased()) is \(isPaused ? "already" : "not") paused")]
        }
        schedule.setPaused(isPaused, deliveryClass)
        child.paused(service, isPaused)
        plan()
        return [.done(count: 0)]
    }

    private func statistics() -> [ControlAnswer] {
        for (name, value) in schedule.counters { counters.set(name, Int64(value)) }
        let spool = spool.statistics
        counters.set("scheduler.envelope", Int64(schedule.count))
        counters.set("scheduler.ramqueue.envelope", Int64(schedule.count))
        counters.set("scheduler.ramqueue.message", Int64(schedule.messageCount))
        counters.set("scheduler.envelope.inflight", Int64(schedule.inFlightCount))
        counters.set("queue.bounce", Int64(ledger.count))
        counters.set("queue.spool.segments", Int64(spool.segments))
        counters.set("queue.spool.live", Int64(spool.liveBytes))
        counters.set("queue.spool.batches", Int64(spool.batches))
        counters.set("queue.spool.records", Int64(spool.records))
        counters.set("queue.spool.failed-syncs", Int64(spool.failedSyncs))
        return counters.answers
    }

    /// Has all that was recorded so far kept; false when the disk does not take it now.
    func isKept() async -> Bool {
        await withUnsafeContinuation { continuation in
            spool.note([], [], durability: .now { continuation.resume(returning: (try? $0.get()) != nil) })
        }
    }
}
