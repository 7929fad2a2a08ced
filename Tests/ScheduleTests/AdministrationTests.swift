// SPDX-License-Identifier: ISC

import Mail
import Testing

@testable import Schedule

struct AdministrationTests {
    private func three() -> RunQueue {
        var queue = makeQueue()
        queue.insert(message(1), (1...3).map { QueuedRecipient($0, route: relay("example.org")) }, now: .at(0))
        return queue
    }

    @Test func `schedule makes waiting recipients due at once`() {
        var queue = three()
        for envelope in queue.takeEnvelopes(.at(0)).flatMap({ $0 }) { _ = queue.outcome(envelope, .busy, now: .at(1)) }
        #expect(queue.suspend(.envelope(envelope(1, 3))) == [envelope(1, 3)])
        #expect(queue.schedule(.message(MessageID(1)), now: .at(2)) == 2)
        #expect(queue.takeEnvelopes(.at(2)) == [[envelope(1, 1), envelope(1, 2)]])
        #expect(queue.schedule(.all, now: .at(2)) == 0)
        #expect(queue.schedule(.envelope(envelope(8, 8)), now: .at(2)) == 0)
    }

    @Test func `removal in flight is done with the outcome`() {
        var queue = three()
        let first = queue.remove(.envelope(envelope(1, 1)), now: .at(0))
        #expect(first.removed == [envelope(1, 1)] && first.pending.isEmpty)
        _ = queue.take(now: .at(0), limit: 10)
        let second = queue.remove(.all, now: .at(0))
        #expect(second.removed.isEmpty && second.pending == [envelope(1, 2), envelope(1, 3)])
        #expect(queue.outcome(envelope(1, 2), .busy, now: .at(1)) == .removed)
        #expect(queue.outcome(envelope(1, 3), .ok, now: .at(1)) == .done)
        #expect(queue.count == 0 && queue.statistics.removed == 2)
    }

    @Test func `suspended recipients keep their time, held ones are due when released`() {
        var queue = three()
        _ = queue.take(now: .at(0), limit: 10)
        #expect(queue.outcome(envelope(1, 1), .busy, now: .at(1)) == .retry(at: .at(400), attempts: 1, warning: nil))
        #expect(queue.suspend(.all).count == 3)
        #expect(queue.outcome(envelope(1, 2), .busy, now: .at(1)) == .parked(attempts: 1))
        #expect(queue.resume(.envelope(envelope(1, 3)), now: .at(2)) == [envelope(1, 3)])
        #expect(queue.outcome(envelope(1, 3), .busy, now: .at(2)) == .retry(at: .at(400), attempts: 1, warning: nil))
        #expect(queue.resume(.all, now: .at(3)) == [envelope(1, 1), envelope(1, 2)])
        #expect(queue.take(now: .at(3), limit: 10).isEmpty)
        #expect(queue.hold(.envelope(envelope(1, 2))) == [envelope(1, 2)])
        #expect(queue.hold(.envelope(envelope(1, 2))).isEmpty)
        #expect(queue.resume(.all, now: .at(3)).isEmpty)
        #expect(queue.release(.all, now: .at(4)) == [envelope(1, 2)])
        #expect(queue.takeEnvelopes(.at(4)) == [[envelope(1, 2)]])
    }

    @Test func `what a dead worker had is due at once, and other workers keep theirs`() {
        var queue = three()
        queue.insert(message(2), [QueuedRecipient(1, route: local("joe"))], now: .at(0))
        _ = queue.take(now: .at(0), limit: 10)
        _ = queue.outcome(envelope(1, 1), .ok, now: .at(1))
        _ = queue.remove(.envelope(envelope(1, 2)), now: .at(1))
        let loss = queue.release(worker: relayWorker, now: .at(2))
        #expect(loss.returned == [envelope(1, 3)] && loss.removed == [envelope(1, 2)] && loss.held.isEmpty)
        #expect(queue.inFlightCount == 1)
        #expect(queue.take(now: .at(2), limit: 10).isEmpty)
        queue.attach(WorkerID(9), .relay)
        let again = queue.take(now: .at(2), limit: 10)
        #expect(again.map(\.envelopes) == [[envelope(1, 3)]] && again.first?.worker == WorkerID(9))
        #expect(queue.outcome(envelope(2, 1), .ok, now: .at(3)) == .done)
    }

    @Test func `what had not begun is taken back, and then is what an administrator wants it to be`() {
        var queue = makeQueue()
        let recipients = (1...4).map { QueuedRecipient($0, route: relay("example.org")) }
        queue.insert(message(1), recipients, now: .at(0))
        #expect(queue.take(now: .at(0), limit: 10).count == 1)
        #expect(!queue.isCalledOff(envelope(1, 1)))
        #expect(queue.remove(.envelope(envelope(1, 1)), now: .at(1)).pending == [envelope(1, 1)])
        #expect(queue.hold(.envelope(envelope(1, 2))) == [envelope(1, 2)])
        #expect(queue.suspend(.envelope(envelope(1, 3))) == [envelope(1, 3)])
        #expect((1...4).map { queue.isCalledOff(envelope(1, $0)) } == [true, true, true, false])
        let losses = (1...4).map { queue.takeBack(envelope(1, $0), now: .at(2)) }
        #expect(losses[0]?.removed == [envelope(1, 1)])
        #expect(losses[1]?.parked == [envelope(1, 2)] && losses[2]?.parked == [envelope(1, 3)])
        #expect(losses[3]?.returned == [envelope(1, 4)])
        #expect(queue.takeBack(envelope(1, 2), now: .at(2)) == nil)
        #expect(queue.inFlightCount == 0)
        #expect(queue.state(envelope(1, 2)) == .held && queue.state(envelope(1, 3)) == .suspended)
        // No try is counted, and none has to be waited for.
        #expect(queue.entry(envelope(1, 4))?.attempts == 0)
        #expect(queue.takeEnvelopes(.at(2)) == [[envelope(1, 4)]])
    }

    @Test func `a message in hand at two deaths goes alone, and a third puts it on hold`() {
        var queue = makeQueue()
        for id in 1...2 as ClosedRange<UInt32> {
            queue.insert(message(id), [QueuedRecipient(1, route: relay("example.org"))], now: .at(0))
        }
        for death in 1...2 as ClosedRange<UInt32> {
            #expect(queue.take(now: .at(0), limit: 10).count == 2)
            #expect(queue.release(worker: WorkerID(death == 1 ? 1 : 11), now: .at(0)).returned.count == 2)
            queue.attach(WorkerID(death + 10), .relay)
        }
        queue.insert(message(3), [QueuedRecipient(1, route: relay("example.net"))], now: .at(0))
        let alone = queue.take(now: .at(0), limit: 10)
        #expect(alone.map(\.envelopes) == [[envelope(1, 1)]] && alone.first?.isAlone == true)
        #expect(queue.outcome(envelope(1, 1), .ok, now: .at(1)) == .done)
        // For as long as the suspect ran, and a second at least, the others go on.
        #expect(queue.takeEnvelopes(.at(1)) == [[envelope(3, 1)]])
        #expect(queue.nextDue(now: .at(1)) == .at(2))
        #expect(queue.take(now: .at(2), limit: 10).isEmpty)
        #expect(queue.nextDue(now: .at(2)) == .at(4 * 86400))
        #expect(queue.outcome(envelope(3, 1), .ok, now: .at(3)) == .done)
        #expect(queue.takeEnvelopes(.at(3)) == [[envelope(2, 1)]])
        let loss = queue.release(worker: WorkerID(12), now: .at(4))
        #expect(loss.held == [envelope(2, 1)] && loss.returned.isEmpty)
        #expect(queue.state(envelope(2, 1)) == .held)
        queue.attach(WorkerID(13), .relay)
        #expect(queue.release(.message(MessageID(2)), now: .at(5)) == [envelope(2, 1)])
        #expect(queue.take(now: .at(6), limit: 10).first?.isAlone == false)
    }

    @Test func `what was parked in flight and then delivered is done, though the queue was recovered meanwhile`() {
        var queue = makeQueue()
        let states: [QueuedRecipient.State] = [.held, .suspended, .held, .awaitingNotice]
        let recipients = states.enumerated().map {
            QueuedRecipient(UInt32($0.offset + 1), route: relay("example.org"), state: $0.element)
        }
        queue.insert(message(1), recipients, now: .at(0))
        let adopted = (1...4).map { queue.adopt(envelope(1, $0), by: relayWorker, now: .at(0)) }
        #expect(adopted == [true, true, true, false])
        #expect(queue.outcome(envelope(1, 1), .ok, now: .at(1)) == .done)
        #expect(queue.outcome(envelope(1, 2), .busy, now: .at(1)) == .parked(attempts: 1))
        #expect(queue.entry(envelope(1, 2))?.state == .suspended)
        #expect(queue.release(worker: relayWorker, now: .at(1)).parked == [envelope(1, 3)])
        #expect(queue.entry(envelope(1, 3))?.state == .held)
        #expect(queue.inFlightCount == 0)
    }

    @Test func `a recovered queue adopts what a worker has in hand`() {
        var queue = three()
        #expect(queue.adopt(envelope(1, 2), by: localWorker, now: .at(0)) == false)
        #expect(queue.adopt(envelope(1, 2), by: relayWorker, now: .at(0)) == true)
        #expect(queue.adopt(envelope(1, 2), by: relayWorker, now: .at(0)) == false)
        #expect(queue.takeEnvelopes(.at(0)) == [[envelope(1, 1), envelope(1, 3)]])
        #expect(queue.outcome(envelope(1, 2), .ok, now: .at(0)) == .done)
    }
}
