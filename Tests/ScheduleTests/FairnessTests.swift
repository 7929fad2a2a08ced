// SPDX-License-Identifier: ISC

import Mail
import Testing

@testable import Schedule

struct FairnessTests {
    private func recipient(_ route: RouteKey, _ priority: Int8, number: UInt32 = 1) -> QueuedRecipient {
        var recipient = QueuedRecipient(number, route: route)
        recipient.priority = priority
        return recipient
    }

    private func order(_ queue: inout RunQueue, _ now: Instant) -> [EnvelopeID] {
        var found: [EnvelopeID] = []
        while let batch = queue.take(now: now, limit: 1).first { found += batch.envelopes }
        return found
    }

    @Test(arguments: [relay("example.com"), local("joe")])
    func `what is urgent goes first, what is not lets others go first`(route: RouteKey) {
        var queue = makeQueue()
        queue.insert(message(1), [recipient(route, 0)], now: .at(20))
        queue.insert(message(2, created: .at(10)), [recipient(route, 0)], now: .at(20))
        queue.insert(
            message(3, created: .at(20)), [recipient(route, -2, number: 1), recipient(route, -2, number: 2)],
            now: .at(20))
        queue.insert(message(4, created: .at(20)), [recipient(route, 5)], now: .at(20))
        queue.insert(message(5, created: .at(20)), [recipient(route, 9)], now: .at(20))
        #expect(order(&queue, .at(20)) == [5, 4, 1, 2].map { envelope($0, 1) })
        #expect(order(&queue, .at(139)) == [])
        #expect(Set(order(&queue, .at(140))) == [envelope(3, 1), envelope(3, 2)])
    }

    @Test(arguments: [Int64.min, -1 << 60, 0, 1 << 60, .max], [-9, 0, 9] as [Int8])
    func `no moment and no priority is too much`(moment: Int64, priority: Int8) {
        let instants = [Instant(milliseconds: moment), Instant.at(20) + Interval(seconds: moment)]
        for (number, instant) in instants.enumerated() {
            var queue = makeQueue()
            var urgent = recipient(relay("example.com"), priority, number: 1)
            urgent.notBefore = instant
            queue.insert(
                message(UInt32(number), created: instant), [urgent, recipient(relay("example.com"), -9, number: 2)],
                now: .at(20))
            #expect(queue.entry(envelope(UInt32(number), 1)) != nil)
            _ = order(&queue, .at(20))
        }
    }

    @Test func `where nobody waits, nobody is waited for`() {
        var queue = makeQueue()
        queue.insert(
            message(1),
            [recipient(relay("example.com"), -9, number: 1), recipient(relay("example.com"), -9, number: 2)],
            now: .at(0))
        #expect(Set(order(&queue, .at(0))) == [envelope(1, 1), envelope(1, 2)])
    }

    @Test func `no stream of urgent messages keeps another one waiting for ever`() {
        var queue = makeQueue()
        queue.insert(message(1), [recipient(local("joe"), 0)], now: .at(0))
        queue.insert(message(2, created: .at(3599)), [recipient(local("joe"), 1)], now: .at(3599))
        queue.insert(message(3, created: .at(3601)), [recipient(local("joe"), 1)], now: .at(3601))
        #expect(order(&queue, .at(3601)) == [2, 1, 3].map { envelope($0, 1) })
    }

    @Test func `an urgent message that is held is not let go before its time`() {
        var queue = makeQueue()
        var held = recipient(local("joe"), 9)
        held.notBefore = .at(100)
        queue.insert(message(1), [held], now: .at(0))
        #expect(order(&queue, .at(99)) == [])
        #expect(order(&queue, .at(100)) == [envelope(1, 1)])
    }

    @Test(arguments: [relay("example.com"), local("joe")])
    func `after a failure, too, what is urgent goes first`(route: RouteKey) {
        var queue = makeQueue()
        for (id, priority) in [(1, 0), (2, -3), (3, 0), (4, 7)] as [(UInt32, Int8)] {
            queue.insert(message(id), [recipient(route, priority)], now: .at(0))
        }
        #expect(Set(order(&queue, .at(200))) == Set([1, 2, 3, 4].map { envelope($0, 1) }))
        var next = Instant.at(0)
        for id in [1, 2, 3, 4] as [UInt32] {
            guard case .retry(let moment, _, _) = queue.outcome(envelope(id, 1), .busy, now: .at(200)) else {
                Issue.record("not deferred: \(id)")
                return
            }
            next = moment
        }
        #expect(queue.nextDue(now: .at(200)) == next)
        #expect(order(&queue, Instant(milliseconds: next.milliseconds - 1)) == [])
        #expect(order(&queue, next) == [4, 1, 3].map { envelope($0, 1) })
        #expect(order(&queue, next + .minutes(3)) == [envelope(2, 1)])
    }

    @Test func `of those that are held until one moment the urgent ones go first`() {
        var queue = makeQueue()
        for (id, priority) in [(1, 0), (2, 3), (3, 4)] as [(UInt32, Int8)] {
            var held = recipient(local("joe"), priority)
            held.notBefore = .at(100)
            queue.insert(message(id), [held], now: .at(0))
        }
        #expect(order(&queue, .at(99)) == [])
        #expect(order(&queue, .at(100)) == [3, 2, 1].map { envelope($0, 1) })
    }

    @Test func `when a host is there again, what is urgent goes first`() {
        var limits = Limits()
        limits.relay.maxDeferred = 4
        var queue = makeQueue(limits)
        let route = relay("example.com")
        for id in 1...20 as ClosedRange<UInt32> {
            queue.insert(message(id), [recipient(route, id == 20 ? 2 : id == 19 ? -2 : 0)], now: .at(0))
        }
        for now in [0, 120] as [Int64] {
            while let batch = queue.take(now: .at(now), limit: 1).first {
                for envelope in batch.envelopes { _ = queue.outcome(envelope, .down, now: .at(now)) }
            }
        }
        queue.insert(message(21), [recipient(route, 0)], now: .at(130))
        #expect(order(&queue, .at(130)) == [envelope(21, 1)])
        _ = queue.outcome(envelope(21, 1), .ok, now: .at(130))
        #expect(order(&queue, .at(130)).first == envelope(20, 1))
    }

    @Test func `a hundred thousand messages for one domain do not delay one for another`() {
        var queue = makeQueue()
        for id in 1...100_000 as ClosedRange<UInt32> {
            queue.insert(message(id), [QueuedRecipient(1, route: relay("slow.example.org"))], now: .at(0))
        }
        var inHand = 0
        while true {
            let taken = queue.take(now: .at(0), limit: 256)
            if taken.isEmpty { break }
            inHand += taken.count
        }
        #expect(inHand == queue.limits.relay.maxBatchesPerDestination)
        // Nobody has answered, and the next for anybody else goes at once, and first.
        queue.insert(
            message(200_000, created: .at(1)), [QueuedRecipient(1, route: relay("fast.example.org"))], now: .at(1))
        queue.insert(message(200_001, created: .at(1)), [QueuedRecipient(1, route: local("joe"))], now: .at(1))
        #expect(
            Set(queue.takeEnvelopes(.at(1)).flatMap { $0 }) == [envelope(200_000, 1), envelope(200_001, 1)])
    }

    @Test func `slow destinations of any number leave room for one more, and for mailboxes`() {
        var limits = Limits()
        limits.scheduler.maxInflight = 500
        limits.local.maxSession = 20
        var queue = makeQueue(limits)
        var id: UInt32 = 0
        for destination in 0..<100 {
            // Each could take all that there is.
            for _ in 0..<10 {
                id += 1
                queue.insert(
                    message(id),
                    (1...100).map { QueuedRecipient($0, route: relay("d\(destination).example.org")) }, now: .at(0))
            }
        }
        while !queue.take(now: .at(0), limit: 1000).isEmpty {}
        #expect(queue.inFlightCount <= 480)
        queue.insert(message(90_000), [QueuedRecipient(1, route: relay("late.example.org"))], now: .at(1))
        for user in 0..<20 {
            queue.insert(message(90_001 + UInt32(user)), [QueuedRecipient(1, route: local("u\(user)"))], now: .at(1))
        }
        let taken = queue.take(now: .at(1), limit: 1000)
        #expect(taken.filter { $0.route.deliveryClass == .local }.count == 20)
    }

    @Test func `one destination takes at most half, and gets more when the others have less`() {
        var limits = Limits()
        limits.scheduler.maxInflight = 100
        limits.local.maxSession = 20
        limits.relay.maxBatch = 1
        var queue = makeQueue(limits)
        for id in 1...200 as ClosedRange<UInt32> {
            queue.insert(message(id), [QueuedRecipient(1, route: relay("a.example.org"))], now: .at(0))
        }
        while !queue.take(now: .at(0), limit: 1000).isEmpty {}
        #expect(queue.inFlightCount == 40)
        // As fast as they end, others begin.
        for id in 1...10 as ClosedRange<UInt32> { _ = queue.outcome(envelope(id, 1), .ok, now: .at(1)) }
        while !queue.take(now: .at(1), limit: 1000).isEmpty {}
        #expect(queue.inFlightCount == 40)
    }

    @Test func `content that slow hosts keep in memory is no room that mailboxes miss`() {
        var limits = Limits()
        limits.relay.maxBytes = 1_000_000
        limits.local.maxBytes = 2_000_000
        var queue = makeQueue(limits)
        func large(_ id: UInt32) -> QueuedMessage {
            QueuedMessage(MessageID(id), position: UInt64(id), size: 200_000, created: .at(0))
        }
        for id in 1...50 as ClosedRange<UInt32> {
            queue.insert(large(id), [QueuedRecipient(1, route: relay("d\(id).example.org"))], now: .at(0))
        }
        while !queue.take(now: .at(0), limit: 1000).isEmpty {}
        #expect(queue.inFlightCount == 5)
        let next = queue.nextDue(now: .at(0))
        #expect(next != .at(0))
        for id in 101...103 as ClosedRange<UInt32> {
            queue.insert(large(id), [QueuedRecipient(1, route: local("u\(id)"))], now: .at(0))
        }
        #expect(queue.take(now: .at(0), limit: 1000).count == 3)
        // What lies in a file of its own takes no memory.
        queue.insert(
            QueuedMessage(MessageID(300), position: 300, size: 50 << 20, created: .at(0)),
            [QueuedRecipient(1, route: local("big"))], now: .at(0))
        #expect(queue.take(now: .at(0), limit: 1000).count == 1)
        _ = queue.outcome(envelope(1, 1), .ok, now: .at(1))
        #expect(queue.take(now: .at(1), limit: 1000).count == 1)
        #expect(queue.classes.map(\.bytes) == [1_000_000, 604_096])
    }

    @Test(arguments: [1 << 30, 500_000])
    func `the users of a server that hangs leave room for what goes elsewhere`(bytes: Int) {
        var limits = Limits()
        limits.local.maxSession = 100
        limits.local.ampleForAction = 10
        limits.local.maxBytes = bytes
        var queue = makeQueue(limits)
        for id in 1...300 as ClosedRange<UInt32> {
            queue.insert(message(id), [QueuedRecipient(1, route: local("u\(id)"))], now: .at(0))
        }
        var hanging: [EnvelopeID] = []
        while case let taken = queue.take(now: .at(0), limit: 1000), !taken.isEmpty {
            hanging += taken.flatMap(\.envelopes)
        }
        #expect(hanging.count == 50)
        #expect(queue.nextDue(now: .at(0)) != .at(0))
        // Two servers that hang are no more than one.
        for (number, action) in ["also", "box"].enumerated() {
            for id in 1...300 as ClosedRange<UInt32> {
                let route = RouteKey.local(action: action, user: "u\(id)")
                queue.insert(message(1000 * UInt32(number + 1) + id), [QueuedRecipient(1, route: route)], now: .at(0))
            }
            let taken = queue.takeEnvelopes(.at(0)).flatMap { $0 }
            #expect(!taken.isEmpty)
            hanging += taken
        }
        #expect(queue.inFlightCount < 100)
        // It wakes up, and nobody is forgotten, whoever is removed meanwhile.
        #expect(queue.remove(.message(MessageID(300)), now: .at(1)).removed.count == 1)
        while !hanging.isEmpty {
            for envelope in hanging { _ = queue.outcome(envelope, .ok, now: .at(1)) }
            hanging = queue.takeEnvelopes(.at(1)).flatMap { $0 }
        }
        #expect(queue.count == 0 && queue.routeNumbers.isEmpty)
        #expect(queue.actions.allSatisfy { $0.inFlight == 0 && $0.bytes == 0 && $0.sharers.isEmpty })
    }

    @Test func `one user with much mail keeps no other waiting`() {
        var queue = makeQueue()
        for id in 1...1000 as ClosedRange<UInt32> {
            queue.insert(message(id), [QueuedRecipient(1, route: local("u\(id % 10)"))], now: .at(0))
        }
        while !queue.take(now: .at(0), limit: 1000).isEmpty {}
        #expect(queue.inFlightCount < queue.limits.local.maxSession)
        queue.insert(message(5000), [QueuedRecipient(1, route: local("joe"))], now: .at(0))
        #expect(queue.takeEnvelopes(.at(0)) == [[envelope(5000, 1)]])
    }

    @Test func `a recipient goes another way from now on`() {
        var queue = makeQueue()
        queue.insert(message(1), (1...3).map { QueuedRecipient($0, route: relay("example.org")) }, now: .at(0))
        #expect(queue.reroute(envelope(1, 1), to: relay("example.net"), now: .at(0)) == true)
        #expect(queue.reroute(envelope(1, 1), to: relay("example.net"), now: .at(0)) == false)
        _ = queue.suspend(.envelope(envelope(1, 2)))
        #expect(queue.reroute(envelope(1, 2), to: local("joe"), now: .at(0)) == true)
        #expect(queue.state(envelope(1, 2)) == .suspended)
        #expect(Set(queue.takeEnvelopes(.at(0))) == [[envelope(1, 1)], [envelope(1, 3)]])
        #expect(queue.reroute(envelope(1, 3), to: relay("example.com"), now: .at(0)) == false)
        #expect(queue.inFlight(of: relayWorker).sorted() == [envelope(1, 1), envelope(1, 3)])
        _ = queue.resume(.all, now: .at(0))
        #expect(queue.takeEnvelopes(.at(0)) == [[envelope(1, 2)]])
        for number in 1...3 as ClosedRange<UInt32> { _ = queue.outcome(envelope(1, number), .ok, now: .at(1)) }
        #expect(queue.count == 0 && queue.routeNumbers.isEmpty)
        #expect(queue.classes.allSatisfy { $0.bytes == 0 && $0.inFlight == 0 && $0.batches == 0 })
    }
}

struct QueueClockTests {
    private let wall = Timestamp(seconds: 1_700_000_000)

    @Test func `a new spool begins with the wall clock`() {
        let clock = QueueClock(after: nil, wall: wall, now: .at(50))
        #expect(clock.age(at: .at(50)) == wall.seconds)
        #expect(clock.age(at: .at(60)) == wall.seconds + 10)
        #expect(clock.instant(ofAge: wall.seconds - 100, now: .at(60)) == .at(-50))
        #expect(clock.instant(ofAge: wall.seconds + 500, now: .at(60)) == .at(60))
    }

    @Test(
        arguments: [
            // seconds by the wall clock between two processes, seconds that count
            (0, 0), (30, 30), (86_400, 86_400), (86_401, 86_400), (20 * 365 * 86_400, 86_400), (-3600, 0),
            (Int64.min, 0),
        ] as [(Int64, Int64)])
    func `no clock that was turned makes mail older`(jump: Int64, counted: Int64) {
        let first = QueueClock(after: nil, wall: wall, now: .at(0))
        let mark = first.mark(wall: wall, now: .at(1000))
        let second = QueueClock(after: mark, wall: Timestamp(seconds: wall.seconds &+ jump), now: .at(7))
        #expect(second.age(at: .at(7)) == mark.age + counted)
    }

    @Test func `nonsense in the spool is bounded`() {
        let clock = QueueClock(after: nil, wall: wall, now: .at(0))
        #expect(clock.instant(ofAge: .min, now: .at(0)) < .at(-1_000_000_000))
        #expect(clock.instant(ofAge: .max, now: .at(0)) == .at(0))
    }
}
