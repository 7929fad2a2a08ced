// SPDX-License-Identifier: ISC

import Mail
import Testing

@testable import Spool

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
        try stage.damage(first)
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
