// SPDX-License-Identifier: ISC

import Bytes
import Mail
import Testing

@testable import Spool

@Suite struct `The tally of the spool` {
    private func end(_ spool: DiskSpool, _ message: SpoolPosition, _ envelope: UInt32, kind: UInt8) throws {
        try spool.recordNow(message, envelope: envelope, String(decoding: [kind], as: UTF8.self))
    }

    @Test func `counts what is durable, and goes on after a restart`() throws {
        let workshop = try Workshop()
        let first = try workshop.open().spool
        let message1 = try first.commit(message(1, envelopes: 3))
        _ = try first.commit(message(2))
        try end(first, message1, 1, kind: 1)
        try end(first, message1, 2, kind: 3)
        #expect(first.tally.accepted == 4 && first.tally[1] == 1 && first.tally[3] == 1 && first.tally.ended == 2)
        first.close()
        let second = try workshop.open().spool
        #expect(second.tally.accepted == 4 && second.tally[1] == 1 && second.tally[3] == 1)
        try end(second, message1, 3, kind: 2)
        second.close()
        let third = try workshop.open().spool
        #expect(third.tally.accepted == 4 && third.tally.ended == 3 && third.tally[2] == 1)
        third.close()
    }

    @Test func `is right when segments come and go, and what is live is moved`() throws {
        let workshop = try Workshop(segmentSize: 64 << 10)
        workshop.options.cleaningThreshold = 3
        var accepted: UInt64 = 0
        var ended: UInt64 = 0
        // One with an end that is moved again and again, while all else dies.
        var spool = try workshop.open().spool
        let old = try spool.commit(message(1, envelopes: 2))
        accepted += 2
        try end(spool, old, 1, kind: 5)
        ended += 1
        for life in 0..<4 {
            for number in 0..<60 as Range<UInt32> {
                let body = String(repeating: "x", count: 4000)
                let position = try spool.commit(message(100 + number, body))
                accepted += 1
                try end(spool, position, 1, kind: UInt8(number % 3))
                ended += 1
            }
            #expect(spool.tally.accepted == accepted && spool.tally.ended == ended)
            #expect(spool.tally[5] == 1)
            let before = spool.tally
            spool.close()
            spool = try workshop.open().spool
            #expect(spool.tally.accepted == accepted, "life \(life)")
            #expect(spool.tally.ends == before.ends, "life \(life)")
        }
        spool.close()
    }

    @Test func `its note is read as it was written, and nothing else is`() {
        var tally = SpoolTally()
        tally.accept(7, number: 40)
        tally.end([2], number: 41)
        tally.end([200], number: 42)
        tally.end([], number: 43)
        #expect(SpoolTally(tally.bytes) == tally)
        #expect(tally[2] == 1 && tally[15] == 1 && tally[0] == 1)
        for count in 0..<tally.bytes.count { #expect(SpoolTally(Array(tally.bytes[..<count])) == nil) }
        #expect(SpoolTally(tally.bytes + [0]) == nil)
        #expect(SpoolTally([2] + tally.bytes.dropFirst()) == nil)
    }

    @Test func `records behind the note are added, those before it and void ones are not`() {
        var noted = SpoolTally()
        noted.accept(10, number: 100)
        var tail = TallyTail()
        tail.accepted(3, number: 90)
        tail.accepted(4, number: 101)
        tail.noted(noted.bytes)
        tail.ended([1], number: 99)
        tail.ended([1], number: 102)
        tail.ended([2], number: 110)
        let tally = tail.tally(voids: [105...115])
        #expect(tally.accepted == 14 && tally[1] == 1 && tally[2] == 0)
        // An older note changes nothing.
        tail.noted(SpoolTally().bytes)
        #expect(tail.tally(voids: []).accepted == 14)
    }
}
