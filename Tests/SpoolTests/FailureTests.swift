// SPDX-License-Identifier: ISC

import Bytes
import Glibc
import Mail
import Posix
import Testing

@testable import Spool

@Suite struct `When the disk fails` {
    @Test func `a full disk refuses mail, drains, and takes mail again`() throws {
        let workshop = try Workshop()
        let spool = try workshop.open().spool
        var positions = [try spool.commit(message(0))]
        try workshop.settle()
        workshop.calls.fail("allocate", ENOSPC)
        var isRefused = false
        for number in 1...100 where !isRefused {
            switch try spool.result({ spool.commit(message(UInt32(number), filler: 8000), completion: $0) }) {
            case .success(let position): positions.append(position)
            case .failure(let error):
                #expect(error == .full)
                isRefused = true
            }
        }
        #expect(isRefused)
        // Every outcome finds its room in what is reserved, and what it frees makes room for mail.
        for position in positions { try spool.recordNow(position) }
        let after = try spool.commit(message(101))
        #expect(spool.statistics.messages == 1)
        workshop.calls.heal()
        spool.close()
        let again = try workshop.open()
        #expect(again.recovered.messages.map(\.position) == [after])
        again.spool.close()
    }

    @Test func `a failed sync moves the batch to a new segment and voids the old one`() throws {
        let workshop = try Workshop()
        let spool = try workshop.open().spool
        var reports: [String] = []
        spool.report = { reports.append($0) }
        // Keeps the segment in its place while it is copied.
        let kept = try spool.commit(message(0))
        let first = try spool.commit(message(1))
        try workshop.settle()
        workshop.calls.fail("syncData", EIO, times: 1)
        let second = try spool.commit(message(2))
        #expect(reports.count == 1)
        #expect(spool.statistics.failedSyncs == 1)
        try spool.recordNow(first)
        let crashed = try workshop.copy()
        spool.close()
        let again = try crashed.open()
        #expect(again.recovered.reports == [])
        #expect(again.recovered.messages.map(\.position) == [kept, second])
        again.spool.close()
    }

    @Test func `outcomes are kept until the disk takes them, in their order`() throws {
        let workshop = try Workshop()
        let spool = try workshop.open().spool
        let position = try spool.commit(message(1, envelopes: 2))
        workshop.calls.fail("syncData", EIO)
        #expect(throws: SpoolError.self) { try spool.recordNow(position, envelope: 1, "one", isFinal: false) }
        #expect(throws: SpoolError.self) { try spool.commit(message(2)) }
        spool.record(
            SpoolOutcome(message: position, envelope: 1, payload: Array("two".utf8), isFinal: false),
            durability: .lazy)
        workshop.calls.heal()
        spool.close()
        let again = try workshop.open()
        #expect(again.recovered.messages.map(\.position) == [position])
        #expect(again.recovered.messages.first?.outcomes[1]?.payload == Array("two".utf8))
        again.spool.close()
    }

    @Test func `who waits for an outcome to be safe is not told before it is`() throws {
        let workshop = try Workshop()
        let spool = try workshop.open().spool
        let position = try spool.commit(message(1, envelopes: 2))
        try workshop.settle()
        workshop.calls.fail("syncData", EIO)
        var told: [UInt32] = []
        for envelope: UInt32 in 1...2 {
            spool.record(
                SpoolOutcome(message: position, envelope: envelope, payload: [], isFinal: true),
                durability: .told { told.append(envelope) })
        }
        // What is asked later has been refused, so the outcomes have been too.
        #expect(throws: SpoolError.self) { try spool.commit(message(2)) }
        #expect(told.isEmpty)
        workshop.calls.heal()
        try spool.turn { told == [1, 2] }
        // An envelope that is done needs nothing more.
        spool.record(
            SpoolOutcome(message: position, envelope: 1, payload: [], isFinal: true),
            durability: .told { told.append(3) })
        try spool.turn { told == [1, 2, 3] }
        spool.close()
    }

    @Test func `a disk that comes back takes what was held, without a restart`() throws {
        let workshop = try Workshop()
        let spool = try workshop.open().spool
        let position = try spool.commit(message(1))
        try workshop.settle()
        workshop.calls.fail("write", EIO)
        #expect(throws: SpoolError.self) { try spool.recordNow(position) }
        #expect(spool.statistics.messages == 1)
        workshop.calls.heal()
        try spool.turn { spool.statistics.messages == 0 }
        let next = try spool.commit(message(2))
        spool.close()
        let again = try workshop.open()
        #expect(again.recovered.messages.map(\.position) == [next])
        again.spool.close()
    }

    @Test func `a body that cannot be written refuses its message only`() throws {
        let workshop = try Workshop()
        let spool = try workshop.open().spool
        _ = try spool.commit(message(1))
        try workshop.settle()
        let body = spool.makeBody()
        workshop.calls.fail("write", ENOSPC)
        let appended = try spool.result { body.append([1], completion: $0) }
        #expect(throws: SpoolError.full) { try appended.get() }
        workshop.calls.heal()
        var sent = message(2)
        sent.body = body
        #expect(throws: SpoolError.full) { try spool.commit(sent) }
        _ = try spool.commit(message(3))
        #expect(workshop.names("bodies").isEmpty)
        spool.close()
    }

    @Test func `after close everything is refused`() throws {
        let workshop = try Workshop()
        let spool = try workshop.open().spool
        let position = try spool.commit(message(1))
        spool.close()
        #expect(throws: SpoolError.closed) { try spool.commit(message(2)) }
        #expect(throws: SpoolError.closed) { try spool.recordNow(position) }
        #expect(throws: SpoolError.closed) { try spool.noteNow("a", "b") }
    }
}
