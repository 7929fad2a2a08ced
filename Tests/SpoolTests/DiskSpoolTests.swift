// SPDX-License-Identifier: ISC

import Bytes
import Glibc
import Mail
import Posix
import Testing

@testable import Spool

@Suite struct `The spool on the disk` {
    @Test func `comes back after a restart with all that is live`() throws {
        let workshop = try Workshop()
        let first = try workshop.open()
        #expect(first.recovered.messages.isEmpty)
        let kept = try first.spool.commit(message(1, "kept", envelopes: 3))
        let gone = try first.spool.commit(message(2, "gone"))
        try first.spool.recordNow(kept, envelope: 7, "try again", isFinal: false)
        try first.spool.recordNow(kept, envelope: 8, "sent")
        try first.spool.recordNow(gone)
        try first.spool.noteNow("greylist", "old")
        try first.spool.noteNow("greylist", "new")
        try first.spool.noteNow("throttle", "x")
        try first.spool.noteNow("throttle", "")
        first.spool.close()

        let second = try workshop.open()
        #expect(second.recovered.reports == [])
        #expect(second.recovered.messages.count == 1)
        let message1 = try #require(second.recovered.messages.first)
        #expect(message1.position == kept)
        #expect(message1.id == MessageID(1))
        #expect(message1.envelopes == Array("rcpt 1".utf8))
        #expect(message1.attributes == [7])
        #expect(message1.size == 4)
        #expect(message1.outcomes[7] == RecoveredOutcome(payload: Array("try again".utf8), isFinal: false))
        #expect(message1.outcomes[8]?.isFinal == true)
        #expect(second.recovered.notes == [Array("greylist".utf8): Array("new".utf8)])
        #expect(try second.spool.text(kept) == "kept")
        let next = try second.spool.commit(message(3))
        #expect(next > gone)
        try second.spool.recordNow(kept, envelope: 7)
        try second.spool.recordNow(kept, envelope: 9)
        second.spool.close()

        let third = try workshop.open()
        #expect(third.recovered.reports == [])
        #expect(third.recovered.messages.map(\.position) == [next])
        third.spool.close()
    }

    @Test func `belongs to one process at a time`() throws {
        let workshop = try Workshop()
        let first = try workshop.open()
        #expect(throws: SpoolError.locked) { _ = try workshop.open() }
        first.spool.close()
        try workshop.open().spool.close()
    }

    @Test func `a thousand commits share few syncs`() throws {
        let workshop = try Workshop(segmentSize: 4 << 20)
        workshop.options.batchSize = ByteCount(1 << 20)
        let spool = try workshop.open().spool
        _ = try spool.commit(message(0))
        let before = workshop.calls.count("syncData")
        var answered = 0
        for number in 1...1000 { spool.commit(message(UInt32(number))) { _ in answered += 1 } }
        try spool.turn { answered == 1000 }
        #expect(workshop.calls.count("syncData") - before < 100)
        #expect(spool.statistics.messages == 1001)
        spool.close()
    }

    @Test func `a lazy outcome goes with the next batch or at the end`() throws {
        let workshop = try Workshop()
        let first = try workshop.open()
        let one = try first.spool.commit(message(1))
        let two = try first.spool.commit(message(2))
        first.spool.record(
            SpoolOutcome(message: one, envelope: 1, payload: [], isFinal: true), durability: .lazy)
        _ = try first.spool.commit(message(3))
        #expect(first.spool.statistics.messages == 2)
        first.spool.record(
            SpoolOutcome(message: two, envelope: 1, payload: [], isFinal: true), durability: .lazy)
        first.spool.close()
        let second = try workshop.open()
        #expect(second.recovered.messages.map(\.id) == [MessageID(3)])
        second.spool.close()
    }

    @Test func `uses dead segments again`() throws {
        let workshop = try Workshop()
        let spool = try workshop.open().spool
        for number in 1...200 {
            let position = try spool.commit(message(UInt32(number), filler: 8000))
            try spool.recordNow(position)
        }
        #expect(spool.statistics.segments <= 3)
        spool.close()
        #expect(workshop.names("journal").count <= 7)
        let again = try workshop.open()
        #expect(again.recovered.messages.isEmpty)
        #expect(again.recovered.reports == [])
        again.spool.close()
    }

    @Test(arguments: [64, 128, 1024]) func `never shows delivered mail again, whatever the size of a segment`(
        kibibytes: Int
    ) throws {
        let workshop = try Workshop(segmentSize: kibibytes << 10)
        var live: Set<UInt32> = []
        var random = Noise(state: 5)
        var opened = try workshop.open()
        var positions: [UInt32: SpoolPosition] = [:]
        for number in 1...400 {
            let id = UInt32(number)
            positions[id] = try opened.spool.commit(message(id, filler: Int(random.next() % 9000)))
            live.insert(id)
            if live.count > 5, let done = live.sorted().dropFirst(Int(random.next() % 5)).first {
                try opened.spool.recordNow(try #require(positions[done]))
                live.remove(done)
            }
            if number % 80 == 0 {
                opened.spool.close()
                opened = try workshop.open()
                #expect(opened.recovered.reports == [])
                #expect(Set(opened.recovered.messages.map(\.id.value)) == live)
                #expect(opened.recovered.messages.allSatisfy { positions[$0.id.value] == $0.position })
            }
        }
        opened.spool.close()
    }

    @Test func `moves old live records to the tail when most is dead`() throws {
        let workshop = try Workshop()
        workshop.options.cleaningThreshold = 4
        let opened = try workshop.open(cache: false)
        let spool = opened.spool
        let old = try spool.commit(message(1, "old", envelopes: 2))
        try spool.recordNow(old, envelope: 1, "sent")
        try spool.recordNow(old, envelope: 2, "wait", isFinal: false)
        try spool.noteNow("key", "value")
        for number in 2...200 {
            let position = try spool.commit(message(UInt32(number), filler: 8000))
            try spool.recordNow(position)
        }
        #expect(spool.statistics.segments < 8)
        #expect(spool.statistics.movedRecords > 0)
        #expect(try spool.text(old) == "old")
        spool.close()
        let again = try workshop.open()
        #expect(again.recovered.reports == [])
        let found = try #require(again.recovered.messages.first)
        #expect(again.recovered.messages.count == 1)
        #expect(found.position == old)
        #expect(found.outcomes[1]?.isFinal == true)
        #expect(found.outcomes[2]?.payload == Array("wait".utf8))
        #expect(again.recovered.notes.count == 1)
        try again.spool.recordNow(old, envelope: 2)
        again.spool.close()
        #expect(try workshop.open().recovered.messages.isEmpty)
    }

    @Test func `an outcome older than the moved message that it ends outlives that, and delivered mail stays away`()
        throws
    {
        let workshop = try Workshop()
        workshop.options.cleaningThreshold = 3
        let spool = try workshop.open(cache: false).spool
        let old = try spool.commit(message(1, "old", envelopes: 2))
        func fill(_ count: Int) throws {
            for _ in 0..<count { try spool.recordNow(try spool.commit(message(2, filler: 8000))) }
        }
        try fill(12)
        try spool.recordNow(old, envelope: 1, "sent")
        for _ in 0..<100 where spool.statistics.movedRecords == 0 { try fill(4) }
        #expect(spool.statistics.movedRecords > 0)
        try spool.recordNow(old, envelope: 2, "sent")
        for _ in 0..<40 {
            try fill(1)
            let crashed = try workshop.copy()
            let again = try crashed.open()
            #expect(!again.recovered.messages.contains { $0.position == old })
            again.spool.close()
        }
        spool.close()
    }

    @Test func `a lazy outcome alone waits for a second at most`() throws {
        let workshop = try Workshop()
        let spool = try workshop.open().spool
        let position = try spool.commit(message(1))
        spool.record(
            SpoolOutcome(message: position, envelope: 1, payload: [], isFinal: true), durability: .lazy)
        try spool.turn { spool.statistics.messages == 0 }
        spool.close()
    }

    @Test func `knows of a message to one recipient what fits into 72 bytes, and nothing on the heap`() {
        #expect(MemoryLayout<UInt64>.stride + MemoryLayout<DiskSpool.Live?>.stride <= 72)
        #expect(MemoryLayout<DiskSpool.Kept>.stride == 20)
    }

    @Test func `keeps the latest outcome of each envelope, whichever has the first`() {
        var outcomes = KeptOutcomes()
        #expect(outcomes[3] == nil && Array(outcomes).isEmpty)
        for envelope in [3, 1, 2] as [UInt32] { outcomes[envelope, default: DiskSpool.Kept()].pending += 1 }
        outcomes[3]?.isFinal = true
        outcomes[1]?.location = RecordLocation(segment: 9, offset: 4096, length: 100)
        #expect(Set(outcomes.map(\.envelope)) == [1, 2, 3])
        #expect(outcomes.allSatisfy { $0.kept.pending == 1 })
        #expect(outcomes[3]?.isFinal == true && outcomes[3]?.location == nil)
        #expect(outcomes[1]?.location?.offset == 4096 && outcomes[1]?.isFinal == false)
        outcomes[3] = nil
        outcomes[2]?.pending += 1
        #expect(outcomes[2]?.pending == 2 && Set(outcomes.map(\.envelope)) == [1, 2])
        outcomes[4] = DiskSpool.Kept()
        #expect(Set(outcomes.map(\.envelope)) == [1, 2, 4])
    }

    @Test func `restarts leave no segments behind`() throws {
        let workshop = try Workshop()
        let first = try workshop.open()
        let old = try first.spool.commit(message(1, "old"))
        first.spool.close()
        for _ in 0..<10 {
            let opened = try workshop.open()
            _ = try opened.spool.noteNow("start", "again")
            try workshop.settle()
            opened.spool.close()
        }
        // One segment for each epoch that wrote, and what is prepared.
        #expect(workshop.names("journal").count <= 11 + 4)
        let last = try workshop.open()
        #expect(last.recovered.messages.map(\.position) == [old])
        #expect(last.recovered.reports == [])
        last.spool.close()
    }

    @Test func `the cache keeps its size and lets the oldest go`() {
        var cache = ContentCache(limit: 8 << 10)
        for number in 1...1000 as ClosedRange<UInt64> {
            cache.insert([.bytes([UInt8](repeating: 1, count: 500))], for: number)
            if number % 3 == 0 { cache.remove(number) }
            #expect(cache.size <= 8 << 10)
        }
        #expect(cache[1] == nil)
        #expect(cache[1000] != nil)
        cache.insert([.bytes([UInt8](repeating: 1, count: 2000))], for: 2000)
        #expect(cache[2000] == nil)
    }

    @Test func `a record larger than a segment is refused`() throws {
        let workshop = try Workshop()
        let spool = try workshop.open().spool
        #expect(throws: SpoolError.tooLarge) { try spool.commit(message(1, filler: 64 << 10)) }
        _ = try spool.commit(message(2, filler: 40 << 10))
        spool.close()
    }
}

/// A small generator, the same in every run.
struct Noise: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state >> 33
    }
}
