// SPDX-License-Identifier: ISC

import Bytes
import Glibc
import Mail
import Posix
import Testing

@testable import Spool

/// A spool in memory that is led by hand to the moment of which a test tells; what is lazy waits until it is let.
private final class Stage {
    let calls: SimulatedCalls
    let spool: DiskSpool
    let recovered: RecoveredSpool
    private var nextID: UInt32 = 1

    init(_ image: DiskImage = DiskImage()) throws {
        calls = SimulatedCalls(image)
        calls.isRecording = false
        let opened = try DiskSpool.open(
            directory: calls.openRoot(), options: Life.options(), calls: calls, threading: .byHand)
        spool = opened.spool
        recovered = try opened.recovery.finish()
    }

    deinit { spool.abandon() }

    func commit(envelopes: UInt32 = 1, filler: Int = 100) throws -> SpoolPosition {
        var position: SpoolPosition?
        let message = SpoolMessage(
            id: MessageID(nextID), envelopeCount: envelopes, envelopes: [1], attributes: [2],
            pieces: [.bytes([UInt8](repeating: 0x61, count: filler))])
        nextID += 1
        spool.commit(message) { position = try? $0.get() }
        spool.runUntilIdle()
        return try #require(position)
    }

    func finish(_ message: SpoolPosition, envelope: UInt32 = 1) throws {
        var isSafe = false
        let outcome = SpoolOutcome(message: message, envelope: envelope, payload: [1], isFinal: true)
        spool.record(outcome, durability: .now { if case .success = $0 { isSafe = true } })
        spool.runUntilIdle()
        try #require(isSafe)
    }

    /// Mail that comes and goes.
    func fill(_ count: Int = 1) throws { for _ in 0..<count { try finish(try commit(filler: 8000)) } }

    func letLazyOnesBeWritten() {
        calls.milliseconds += Handover.laziness + 1
        spool.runUntilIdle()
    }

    func places(_ message: SpoolPosition) throws -> (message: RecordLocation, first: RecordLocation) {
        let live = try #require(spool.messages[message.sequenceNumber])
        return (live.location, try #require(live.outcomes[1]?.location))
    }

    func isKnown(_ message: SpoolPosition) -> Bool { spool.messages[message.sequenceNumber] != nil }

    /// Whether a crash now, and the recovery after it, brings `message` back.
    func bringsBack(_ message: SpoolPosition) throws -> Bool {
        try Stage(calls.image).recovered.messages.contains { $0.position == message }
    }

    /// A message to two, one of whom has it; cleaning has moved the message behind that outcome, and a message that
    /// stays holds the segment to which it was moved.
    func movedMessage() throws -> SpoolPosition {
        let message = try commit(envelopes: 2)
        try fill(8)
        try finish(message)
        for _ in 0..<100 {
            let (place, first) = try places(message)
            if place.segment > first.segment { break }
            try fill()
        }
        let holder = try commit()
        let (place, first) = try places(message)
        try #require(place.segment > first.segment)
        try #require(spool.messages[holder.sequenceNumber]?.location.segment == place.segment)
        return message
    }
}

@Suite struct `Mail that is done` {
    @Test func `stays away when a crash comes before its older outcomes were written again`() throws {
        let first = try Stage()
        let message = try first.movedMessage()
        try first.finish(message, envelope: 2)
        #expect(first.isKnown(message), "its older outcome was written again at once")
        let second = try Stage(first.calls.image)
        #expect(second.recovered.messages.allSatisfy { $0.position != message })
        for _ in 0..<40 {
            second.spool.runUntilIdle()
            #expect(try !second.bringsBack(message))
            try second.fill()
        }
        // And it costs no room for ever.
        #expect(!second.isKnown(message))
    }

    @Test func `stays away when the one who was to write its outcomes again dies too`() throws {
        let first = try Stage()
        let message = try first.movedMessage()
        try first.finish(message, envelope: 2)
        var image = first.calls.image
        for _ in 0..<5 {
            let next = try Stage(image)
            #expect(next.recovered.messages.allSatisfy { $0.position != message })
            next.spool.runUntilIdle()
            image = next.calls.image
        }
        let last = try Stage(image)
        last.letLazyOnesBeWritten()
        #expect(!last.isKnown(message))
        #expect(try !last.bringsBack(message))
    }

    @Test func `stays away when the disk refused to move it, and moved it all the same`() throws {
        let stage = try Stage()
        let message = try stage.commit(envelopes: 2)
        try stage.fill(8)
        try stage.finish(message)
        let (place, _) = try stage.places(message)
        for _ in 0..<100 where stage.spool.movesInFlight == 0 { try stage.fill() }
        try #require(stage.spool.movesInFlight > 0)
        // Its batch is written, and neither its sync nor the second attempt succeeds.
        stage.calls.faults = (stage.calls.changes + 1..<stage.calls.changes + 3, .inputOutputError)
        stage.letLazyOnesBeWritten()
        stage.calls.faults = nil
        try #require(stage.spool.statistics.failedSyncs == 2)
        try #require(stage.places(message).message == place)
        let end = SpoolOutcome(message: message, envelope: 2, payload: [1], isFinal: true)
        stage.spool.record(end, durability: .lazy)
        stage.letLazyOnesBeWritten()
        try #require(!stage.isKnown(message))
        for _ in 0..<40 {
            #expect(try !stage.bringsBack(message))
            try stage.fill()
        }
    }

    @Test func `is forgotten once there is room to write its older outcomes again`() throws {
        let stage = try Stage()
        let message = try stage.movedMessage()
        try stage.finish(message, envelope: 2)
        stage.calls.faults = (stage.calls.changes..<stage.calls.changes + 4, .noSpace)
        stage.letLazyOnesBeWritten()
        stage.calls.faults = nil
        #expect(stage.isKnown(message))
        for _ in 0..<40 {
            #expect(try !stage.bringsBack(message))
            stage.letLazyOnesBeWritten()
            try stage.fill()
        }
        #expect(!stage.isKnown(message))
    }

    @Test func `is forgotten, and stays away, when an outcome of it is damaged`() throws {
        let stage = try Stage()
        let message = try stage.movedMessage()
        let (_, first) = try stage.places(message)
        let journal = try #require(stage.spool.directories?.journal.number)
        let file = try stage.calls.open(journal, SpoolNames.segment(first.segment), O_RDWR)
        try [UInt8](repeating: 0xFF, count: 8).withUnsafeBytes { bytes in
            try stage.calls.write(file, bytes, at: first.offset + RecordLayout.headerSize)
        }
        stage.calls.close(file)
        try stage.finish(message, envelope: 2)
        stage.letLazyOnesBeWritten()
        stage.letLazyOnesBeWritten()
        #expect(!stage.isKnown(message))
        for _ in 0..<10 {
            #expect(try !stage.bringsBack(message))
            try stage.fill()
        }
    }
}

@Suite struct `A note` {
    @Test func `that was taken back before all was read does not come back with what is read`() throws {
        let key = Array("paused".utf8)
        let first = try Stage()
        first.spool.note(key, [1], durability: .now { _ in })
        first.spool.runUntilIdle()
        let calls = SimulatedCalls(first.calls.image)
        let opened = try DiskSpool.open(
            directory: calls.openRoot(), options: Life.options(), calls: calls, threading: .byHand)
        opened.spool.note(key, [], durability: .now { _ in })
        opened.spool.runUntilIdle()
        #expect(try opened.recovery.finish().notes[key] == nil)
        #expect(opened.spool.notes[key] == nil)
        opened.spool.abandon()
        #expect(try Stage(calls.image).recovered.notes[key] == nil)
    }
}
