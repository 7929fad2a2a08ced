// SPDX-License-Identifier: ISC

import Mail
import Testing

@testable import Schedule

struct RunQueueTests {
    @Test func `recipients of one message for one destination go together`() {
        var queue = makeQueue()
        let added = queue.insert(
            message(1),
            [
                QueuedRecipient(1, route: relay("example.org")), QueuedRecipient(2, route: relay("example.net")),
                QueuedRecipient(3, route: relay("example.org")), QueuedRecipient(3, route: relay("example.com")),
            ], now: .at(0))
        #expect(added == 3)
        #expect(queue.nextDue(now: .at(0)) == .at(0))
        let batches = queue.take(now: .at(0), limit: 100)
        #expect(batches.map(\.envelopes) == [[envelope(1, 1), envelope(1, 3)], [envelope(1, 2)]])
        #expect(batches[0].message == message(1) && batches[0].worker == relayWorker && !batches[0].isAlone)
        #expect(queue.inFlightCount == 3)
        #expect(queue.take(now: .at(0), limit: 100).isEmpty)
    }

    @Test func `the mailboxes of one message are one piece of work, other hosts and suspects are not`() {
        var queue = makeQueue()
        queue.insert(
            message(1), (1...40).map { QueuedRecipient($0, route: local("user\($0)")) }, now: .at(0))
        queue.insert(
            message(2),
            [
                QueuedRecipient(1, route: local("joe")), QueuedRecipient(2, route: relay("example.org")),
                QueuedRecipient(3, route: relay("example.net")),
            ], now: .at(0))
        let batches = queue.take(now: .at(0), limit: 100)
        #expect(batches.count == 43)
        let joined = Batch.joined(batches)
        #expect(joined.count == 4)
        #expect(Set(joined.flatMap(\.envelopes)) == Set(batches.flatMap(\.envelopes)))
        #expect(joined.map(\.envelopes.count).sorted() == [1, 1, 1, 40])
        for batch in joined { #expect(batch.envelopes.allSatisfy { $0.message == batch.message.id }) }
        #expect(Batch.joined([]) == [])
    }

    @Test func `a message for a thousand mailboxes is one piece, and is in memory once`() {
        var limits = Limits()
        limits.local.maxSession = 2000
        limits.local.maxBytes = 1 << 20
        var queue = makeQueue(limits)
        let mailboxes = (1...1000).map { QueuedRecipient($0, route: local("user\($0)")) }
        let large = QueuedMessage(MessageID(1), position: 4096, size: 200_000, created: .at(0))
        queue.insert(large, mailboxes + [QueuedRecipient(1001, route: relay("example.org"))], now: .at(0))
        for id in 2...9 as ClosedRange<UInt32> {
            queue.insert(
                QueuedMessage(MessageID(id), position: UInt64(id) * 4096, size: 200_000, created: .at(0)),
                [QueuedRecipient(1, route: .local(action: "other\(id)", user: "joe"))], now: .at(0))
        }
        let first = Batch.joined(queue.take(now: .at(0), pieces: 2))
        #expect(first.map(\.envelopes.count).sorted() == [1, 1000])
        // 200 kB are taken, and the last message may go beyond a megabyte.
        let rest = queue.take(now: .at(0))
        #expect(rest.count == 5)
        let shared = first.flatMap(\.envelopes).filter { $0 != envelope(1, 1001) }
        for envelope in shared.dropLast() { _ = queue.outcome(envelope, .ok, now: .at(1)) }
        #expect(queue.take(now: .at(1)).isEmpty)
        for envelope in shared.suffix(1) { _ = queue.outcome(envelope, .ok, now: .at(1)) }
        #expect(queue.take(now: .at(1)).count == 1)
        for batch in rest { for envelope in batch.envelopes { _ = queue.outcome(envelope, .ok, now: .at(1)) } }
        #expect(queue.take(now: .at(1)).count == 2)
    }

    @Test func `destinations take turns, so that a full one delays no other`() {
        var queue = makeQueue()
        for id in 1...50 as ClosedRange<UInt32> {
            queue.insert(message(id), [QueuedRecipient(1, route: relay("slow.example.org"))], now: .at(0))
        }
        queue.insert(message(90, created: .at(1)), [QueuedRecipient(1, route: relay("fast.example.org"))], now: .at(1))
        queue.insert(message(91, created: .at(1)), [QueuedRecipient(1, route: local("joe"))], now: .at(1))
        #expect(queue.takeEnvelopes(.at(1), limit: 3) == [[envelope(1, 1)], [envelope(91, 1)], [envelope(90, 1)]])
    }

    @Test func `an answer frees, retries or fails`() {
        var queue = makeQueue()
        queue.insert(
            message(1), (1...4).map { QueuedRecipient($0, route: relay("example.org")) }, now: .at(0))
        _ = queue.take(now: .at(0), limit: 100)
        #expect(queue.outcome(envelope(1, 1), .ok, now: .at(2)) == .done)
        #expect(queue.outcome(envelope(1, 1), .ok, now: .at(2)) == .unknown)
        #expect(
            queue.outcome(envelope(1, 2), .busy, now: .at(2)) == .retry(at: .at(400), attempts: 1, warning: nil))
        #expect(queue.outcome(envelope(1, 3), .refused, now: .at(2)) == .failed)
        #expect(queue.state(envelope(1, 3)) == .awaitingNotice)
        #expect(queue.settle(envelope(1, 3)) && !queue.settle(envelope(1, 3)) && !queue.settle(envelope(1, 2)))
        let loop = DeliveryOutcome.failed(Reply(554, EnhancedStatus(5, 4, 6), "Loop detected"))
        #expect(queue.outcome(envelope(1, 4), loop, now: .at(2)) == .failed)
        #expect(queue.nextDue(now: .at(3)) == .at(400))
        #expect(queue.take(now: .at(399), limit: 10).isEmpty)
        #expect(queue.takeEnvelopes(.at(400)) == [[envelope(1, 2)]])
        #expect(
            queue.outcome(envelope(1, 2), .busy, now: .at(402)) == .retry(at: .at(1600), attempts: 2, warning: nil))
        let counters = Dictionary(uniqueKeysWithValues: queue.counters.map { ($0.name, $0.value) })
        #expect(counters["scheduler.delivery.ok"] == 1 && counters["scheduler.delivery.tempfail"] == 2)
        #expect(counters["scheduler.delivery.permfail"] == 1 && counters["scheduler.delivery.loop"] == 1)
        #expect(counters["scheduler.envelope"] == 2 && counters["scheduler.envelope.inflight"] == 0)
        #expect(queue.counters.map(\.name) == queue.counters.map(\.name).sorted())
    }

    @Test func `the last recipient takes its message along`() {
        var queue = makeQueue()
        queue.insert(message(1), [QueuedRecipient(1, route: local("joe"))], now: .at(0))
        _ = queue.take(now: .at(0), limit: 1)
        _ = queue.outcome(envelope(1, 1), .ok, now: .at(0))
        #expect(queue.takeFinished() == [message(1)])
        #expect(queue.takeFinished().isEmpty)
        #expect(queue.count == 0 && queue.messageCount == 0 && queue.nextDue(now: .at(0)) == nil)
        #expect(queue.routeNumbers.isEmpty)
    }

    @Test func `recovery keeps counts, past tries and states`() {
        var queue = makeQueue()
        queue.insert(
            message(1),
            [
                QueuedRecipient(1, route: relay("example.org"), attempts: 2, lastTry: .at(401)),
                QueuedRecipient(2, route: relay("example.org"), attempts: 1, lastTry: .at(1)),
                QueuedRecipient(3, route: relay("example.org"), state: .suspended),
                QueuedRecipient(4, route: relay("example.org"), state: .held),
                QueuedRecipient(5, route: relay("example.org"), state: .awaitingNotice),
                QueuedRecipient(6, route: relay("example.org"), notBefore: .at(5000)),
            ], now: .at(1000))
        #expect(queue.state(envelope(1, 1)) == .waiting(until: .at(1600)))
        #expect(queue.state(envelope(1, 6)) == .waiting(until: .at(5000)))
        #expect(queue.takeEnvelopes(.at(1000)) == [[envelope(1, 2)]])
        #expect(queue.entry(envelope(1, 1))?.lastTry == .at(401))
        // Another message of the same name is another message.
        let stranger = QueuedMessage(MessageID(1), position: 1, size: 1, created: .at(0))
        #expect(queue.insert(stranger, [QueuedRecipient(9, route: relay("example.org"))], now: .at(1)) == 0)
        #expect(queue.insert(message(1), [QueuedRecipient(9, route: relay("example.org"))], now: .at(1)) == 1)
    }

    @Test func `a user has seven deliveries at once and all users fifty`() {
        var queue = makeQueue()
        for id in 1...100 as ClosedRange<UInt32> {
            queue.insert(message(id), [QueuedRecipient(1, route: local("joe"))], now: .at(0))
        }
        #expect(queue.take(now: .at(0), limit: 1000).count == 7)
        #expect(queue.nextDue(now: .at(1)) == .at(4 * 86400))
        for id in 101...200 as ClosedRange<UInt32> {
            queue.insert(message(id), [QueuedRecipient(1, route: local("user\(id)"))], now: .at(0))
        }
        #expect(queue.take(now: .at(0), limit: 1000).count == 43)
        #expect(queue.outcome(envelope(1, 1), .ok, now: .at(1)) == .done)
        #expect(queue.take(now: .at(1), limit: 1000).count == 1)
    }

    @Test func `no more is in flight than the limits say`() {
        var limits = Limits()
        limits.scheduler.maxInflight = 10
        // Kept for local deliveries.
        limits.local.maxSession = 2
        limits.relay.maxBatch = 4
        limits.relay.maxBatchesPerDestination = 2
        var queue = makeQueue(limits)
        for id in 1...3 as ClosedRange<UInt32> {
            let recipients = (1...6 as ClosedRange<UInt32>).map {
                QueuedRecipient($0, route: relay("r\(id).example.org"))
            }
            queue.insert(message(id), recipients, now: .at(0))
        }
        #expect(queue.take(now: .at(0), limit: 100).map(\.envelopes.count) == [4, 4])
        #expect(queue.nextDue(now: .at(0)) == .at(4 * 86400))
        limits.scheduler.maxInflight = 100
        queue.apply(limits, now: .at(0))
        #expect(queue.take(now: .at(0), limit: 100).map(\.envelopes.count).reduce(0, +) == 10)
    }

    @Test func `a paused class waits while the other goes on`() {
        var queue = makeQueue()
        queue.insert(
            message(1), [QueuedRecipient(1, route: relay("example.org")), QueuedRecipient(2, route: local("joe"))],
            now: .at(0))
        queue.setPaused(true, .relay)
        #expect(queue.takeEnvelopes(.at(0)) == [[envelope(1, 2)]])
        #expect(queue.nextDue(now: .at(0)) == .at(4 * 86400))
        queue.setPaused(false, .relay)
        #expect(queue.nextDue(now: .at(1)) == .at(1))
        #expect(queue.takeEnvelopes(.at(1)) == [[envelope(1, 1)]])
    }

    @Test func `what has waited its time expires, in flight with its next deferral`() {
        var queue = makeQueue()
        queue.insert(
            message(1),
            [
                QueuedRecipient(1, route: relay("example.org"), timeToLive: .seconds(100), notBefore: .at(1000)),
                QueuedRecipient(2, route: relay("example.org"), timeToLive: .seconds(50)),
                QueuedRecipient(3, route: relay("example.org"), timeToLive: .seconds(300), notBefore: .at(1000)),
                QueuedRecipient(4, route: relay("example.org"), timeToLive: .seconds(10), state: .held),
            ], now: .at(0))
        #expect(queue.takeEnvelopes(.at(0)) == [[envelope(1, 2)]])
        #expect(queue.expire(now: .at(99), limit: 10).isEmpty)
        #expect(queue.nextDue(now: .at(99)) == .at(100))
        #expect(queue.expire(now: .at(100), limit: 10) == [envelope(1, 1)])
        #expect(queue.outcome(envelope(1, 2), .busy, now: .at(101)) == .expired)
        #expect(queue.nextDue(now: .at(101)) == .at(300))
        #expect(queue.expire(now: .at(400), limit: 10) == [envelope(1, 3)])
        // What an administrator has put aside does not age out until it is let go.
        #expect(queue.release(.all, now: .at(500)) == [envelope(1, 4)])
        #expect(queue.expire(now: .at(500), limit: 10) == [envelope(1, 4)])
        #expect(queue.statistics.expired == 4)
    }

    @Test func `tries that an administrator forces bring no warning before its time`() {
        var queue = RunQueue(warnIntervals: [.hours(4)])
        queue.attach(relayWorker, .relay)
        queue.insert(message(1), [QueuedRecipient(1, route: relay("example.org"))], now: .at(0))
        for second in 0..<100 {
            _ = queue.schedule(.all, now: .at(Int64(second)))
            #expect(queue.takeEnvelopes(.at(Int64(second))).count == 1)
            let consequence = queue.outcome(envelope(1, 1), .busy, now: .at(Int64(second)))
            #expect(consequence == .retry(at: .at(400), attempts: second + 1, warning: nil))
        }
    }

    @Test func `the sender is warned once for each interval`() {
        var queue = RunQueue(warnIntervals: [.hours(1), .hours(6)])
        queue.attach(relayWorker, .relay)
        queue.insert(message(1), [QueuedRecipient(1, route: relay("example.org"))], now: .at(0))
        var warnings: [Interval] = []
        var now = Instant.at(0)
        while queue.takeEnvelopes(now).count == 1 {
            guard case .retry(let next, _, let warning) = queue.outcome(envelope(1, 1), .busy, now: now) else { break }
            if let warning {
                warnings.append(warning)
                #expect(next >= .at(0) + warning)
                #expect(queue.entry(envelope(1, 1))?.lastWarning == warning)
            }
            now = next
        }
        #expect(warnings == [.hours(1), .hours(6)])
        #expect(queue.expire(now: now, limit: 1) == [] && queue.state(envelope(1, 1)) == .awaitingNotice)
    }

    @Test func `a success wakes what waited for the host, a bounded number at a time`() {
        var limits = Limits()
        limits.relay.maxDeferred = 5
        limits.relay.maxBatchesPerDestination = 1000
        var queue = makeQueue(limits)
        for id in 1...20 as ClosedRange<UInt32> {
            queue.insert(message(id), [QueuedRecipient(1, route: relay("example.org"))], now: .at(0))
        }
        let all = queue.takeEnvelopes(.at(0)).flatMap { $0 }
        #expect(all.count == 20)
        for (index, envelope) in all.enumerated() where index > 0 {
            _ = queue.outcome(envelope, index == 1 ? .busy : .down, now: .at(1))
        }
        #expect(queue.take(now: .at(2), limit: 100).isEmpty)
        #expect(queue.outcome(all[0], .ok, now: .at(3)) == .done)
        var woken = queue.takeEnvelopes(.at(3)).flatMap { $0 }
        #expect(woken.count >= 4 && woken.count <= 5 && !woken.contains(all[1]))
        var rounds = 0
        while !woken.isEmpty, rounds < 20 {
            for envelope in woken { #expect(queue.outcome(envelope, .ok, now: .at(4)) == .done) }
            woken = queue.takeEnvelopes(.at(4)).flatMap { $0 }
            rounds += 1
        }
        #expect(queue.count == 1 && queue.state(all[1]) == .waiting(until: .at(400)))
    }

    @Test func `pages go by ascending id`() {
        var queue = makeQueue()
        for id in [9, 3, 7, 1] as [UInt32] {
            queue.insert(
                message(id),
                [QueuedRecipient(2, route: local("joe")), QueuedRecipient(1, route: relay("a.example.org"))],
                now: .at(0))
        }
        var seen: [EnvelopeID] = []
        var cursor: EnvelopeID?
        while true {
            let page = queue.page(after: cursor, limit: 3)
            guard let last = page.last else { break }
            seen += page.map(\.envelope)
            cursor = last.envelope
        }
        #expect(seen == [1, 3, 7, 9].flatMap { [envelope($0, 1), envelope($0, 2)] })
        #expect(queue.page(after: EnvelopeID(.max), limit: 3).isEmpty)
        #expect(queue.envelopes(of: MessageID(7)) == [envelope(7, 1), envelope(7, 2)])
    }
}
