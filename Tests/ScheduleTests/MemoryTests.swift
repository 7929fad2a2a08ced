// SPDX-License-Identifier: ISC

import Mail
import Testing

@testable import Schedule

struct MemoryTests {
    /// Room for growth included: a heap may have half of its array free, a page of the index half of its places.
    @Test func `a recipient of a message of its own costs at most 300 bytes`() {
        let records = MemoryLayout<RecipientRecord>.stride + MemoryLayout<MessageRecord>.stride
        let line = MemoryLayout<DueEntry>.stride * 2
        let expiry = MemoryLayout<TimerEntry>.stride * 2
        let index = (MemoryLayout<UInt64>.stride + MemoryLayout<UInt32>.stride) * 2
        #expect(MemoryLayout<RecipientRecord>.stride <= 48)
        #expect(MemoryLayout<MessageRecord>.stride <= 48)
        #expect(records + line + expiry + index <= 300)
    }

    @Test func `a hundred thousand recipients go in, wait, and come out`() {
        let count: UInt32 = 100_000
        var limits = Limits()
        limits.relay.maxBatchesPerDestination = 5000
        var queue = makeQueue(limits)
        var id: UInt32 = 0
        for number in 0..<count {
            // Ids are not given out in order.
            id = number &* 2_654_435_761
            queue.insert(
                message(id), [QueuedRecipient(1, route: relay("d\(number % 1000).example.org"))], now: .at(0))
        }
        #expect(queue.count == Int(count) && queue.messageCount == Int(count))
        var now = Instant.at(0)
        var deferred = 0
        while deferred < count {
            for batch in queue.take(now: now, limit: 1000) {
                for envelope in batch.envelopes { _ = queue.outcome(envelope, .down, now: now) }
                deferred += batch.envelopes.count
            }
        }
        #expect(queue.take(now: now, limit: 1).isEmpty)
        now = queue.nextDue(now: now) ?? now
        #expect(now == .at(400))
        var delivered = 0
        while queue.count > 0, delivered <= count {
            for batch in queue.take(now: now, limit: 1000) {
                for envelope in batch.envelopes { _ = queue.outcome(envelope, .ok, now: now) }
                delivered += batch.envelopes.count
            }
        }
        #expect(delivered == Int(count) && queue.takeFinished().count == Int(count))
        #expect(queue.expiries.count < 3000 && queue.routeNumbers.isEmpty)
    }

    @Test func `what is overtaken is swept`() {
        var queue = makeQueue()
        for id in 1...100 as ClosedRange<UInt32> {
            queue.insert(
                message(id), [QueuedRecipient(1, route: relay("example.org"), notBefore: .at(9000))], now: .at(0))
        }
        for _ in 0..<100 {
            #expect(queue.suspend(.all).count == 100)
            #expect(queue.resume(.all, now: .at(1)).count == 100)
        }
        #expect(queue.routes[0].due.count <= 2 * 100 + 65)
        #expect(queue.classes[0].timers.count <= 70)
    }
}
