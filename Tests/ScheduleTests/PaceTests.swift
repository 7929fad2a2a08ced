// SPDX-License-Identifier: ISC

import Mail
import Testing

@testable import Schedule

struct PaceTests {
    private func filled(_ count: UInt32, _ domain: String = "example.org") -> RunQueue {
        var queue = RunQueue()
        queue.attach(relayWorker, .relay)
        for id in 1...count {
            queue.insert(message(id), [QueuedRecipient(1, route: relay(domain))], now: .at(0))
        }
        return queue
    }

    @Test func `a destination has few messages in hand until some have arrived`() {
        var queue = filled(100)
        let first = queue.takeEnvelopes(.at(0)).flatMap { $0 }
        #expect(first.count == 5)
        #expect(queue.takeEnvelopes(.at(0)).isEmpty)
        for envelope in first { _ = queue.outcome(envelope, .ok, now: .at(1)) }
        #expect(queue.takeEnvelopes(.at(1)).count == 10)
    }

    @Test func `a destination that fails keeps two, and what others have is untouched`() {
        var queue = filled(100)
        queue.insert(message(500), [QueuedRecipient(1, route: relay("other.example.org"))], now: .at(0))
        for round in 0..<4 {
            let now = Instant.at(Int64(round))
            for envelope in queue.takeEnvelopes(now).flatMap({ $0 }) {
                _ = queue.outcome(envelope, .down, now: now)
            }
        }
        #expect(queue.takeEnvelopes(.at(10)).count == 2)
    }

    @Test func `messages to a domain keep their distance, and each waits once`() {
        var queue = filled(3)
        queue.pace.domains["example.org"] = [MessageRate(6, per: .minutes(1))]
        queue.insert(message(9), [QueuedRecipient(1, route: relay("other.example.org"))], now: .at(0))
        #expect(queue.takeEnvelopes(.at(0)).count == 2)
        #expect(queue.nextDue(now: .at(0)) == .at(10))
        #expect(queue.takeEnvelopes(.at(9)).isEmpty)
        #expect(queue.takeEnvelopes(.at(10)).count == 1)
        #expect(queue.takeEnvelopes(.at(20)).count == 1)
    }

    @Test func `what one sender has sent does not keep others from sending`() throws {
        var queue = RunQueue()
        queue.attach(relayWorker, .relay)
        queue.pace.limit(sender: "many@example.org", to: [MessageRate(1, per: .hours(1))])
        let paths = try ["Many@Example.org", "few@example.org"].map { try #require(Mailbox($0)) }
        for id in 1...6 as ClosedRange<UInt32> {
            var recipient = QueuedRecipient(1, route: relay("example.org"))
            recipient.count(for: .mailbox(paths[Int(id % 2)]))
            queue.insert(message(id), [recipient], now: .at(0))
        }
        #expect(queue.takeEnvelopes(.at(0)).count == 4)
        #expect(queue.nextDue(now: .at(0)) == .at(3600))
        // Of no use any more: what waits has its moment, what comes goes at once.
        queue.apply(MessagePace())
        #expect(queue.takeEnvelopes(.at(3599)).isEmpty)
        #expect(queue.schedule(.all, now: .at(3599)) == 2)
        #expect(queue.takeEnvelopes(.at(3599)).count == 1)
    }

    @Test func `connections grow while it goes well, and shrink once for what happens at once`() {
        var concurrency = Concurrency()
        #expect(concurrency.connections == 1)
        for _ in 0..<9 { concurrency.succeeded(now: .at(0)) }
        #expect(concurrency.connections == 10 && concurrency.reason == nil)
        for _ in 0..<5 { concurrency.refused(because: "421", now: .at(1)) }
        #expect(concurrency.connections == 5 && concurrency.reason == "421")
        for _ in 0..<5 { concurrency.succeeded(now: .at(2)) }
        #expect(concurrency.connections == 5)
        for _ in 0..<2 { concurrency.succeeded(now: .at(2)) }
        #expect(concurrency.connections == 6)
        for second in 3..<20 { concurrency.refused(because: "421", now: .at(Int64(second) * 2)) }
        #expect(concurrency.connections == 1)
        for _ in 0..<20 { concurrency.succeeded(now: .at(60)) }
        #expect(concurrency.connections > 2 && concurrency.reason == nil)
        #expect(!concurrency.isForgotten(now: .at(61)) && concurrency.isForgotten(now: .at(1000)))
    }

    private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    @Test func `each limit is counted by itself, and a delay ends at its moment`() throws {
        var book = ConnectionBook()
        let host = try address("192.0.2.1")
        let limits: [ConnectionBook.Limit] = [
            .init(.host(host), most: 2), .init(.relay("a"), most: 10, delay: .seconds(2)),
            .init(.route(source: nil, host: host), most: 5, pause: .seconds(3)),
        ]
        #expect(book.verdict(limits, now: .at(0)) == .free)
        book.open(limits, now: .at(0))
        #expect(book.verdict(limits, now: .at(1)) == .early(.relay("a"), until: .at(2)))
        #expect(book.verdict(limits, now: .at(2)) == .free)
        book.open(limits, now: .at(2))
        #expect(book.verdict(limits, now: .at(9)) == .full(.host(host)))
        book.close(limits, now: .at(10))
        #expect(book.verdict(limits, now: .at(10)) == .early(.route(source: nil, host: host), until: .at(13)))
        #expect(book.verdict(limits, now: .at(13)) == .free)
        #expect(book.count(.host(host)) == 1)
    }

    @Test func `an address that failed goes last, and a family that always fails goes behind`() throws {
        var memory = AddressMemory()
        let six = try ["2001:db8::1", "2001:db8::2", "2001:db8::3"].map(address)
        let four = try ["192.0.2.1", "192.0.2.2"].map(address)
        #expect(memory.ordered([six[0], four[0]], now: .at(0)) == [six[0], four[0]])
        memory.failed(six[0], now: .at(0))
        #expect(memory.ordered([six[0], four[0], four[1]], now: .at(1)) == [four[0], four[1], six[0]])
        #expect(memory.ordered([six[1], four[0]], now: .at(1)) == [four[0], six[1]])
        memory.answered(six[2], now: .at(2))
        #expect(memory.ordered([six[1], four[0]], now: .at(3)) == [six[1], four[0]])
        memory.failed(six[0], now: .at(3))
        #expect(memory.ordered([six[1], four[0]], now: .at(4)) == [six[1], four[0]])
        #expect(memory.ordered([six[0], six[1]], now: .at(4)) == [six[1], six[0]])
        #expect(memory.ordered([six[0], six[1]], now: .at(3000)) == [six[0], six[1]])
    }
}
