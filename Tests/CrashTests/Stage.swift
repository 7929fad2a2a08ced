// SPDX-License-Identifier: ISC

import Glibc
import Mail
import Posix
import Testing

@testable import Spool

/// A spool in memory that is led by hand to the moment of which a test tells; what is lazy waits until it is let.
final class Stage {
    let calls: SimulatedCalls
    let spool: DiskSpool
    let recovered: RecoveredSpool
    private var nextID: UInt32 = 1

    init(_ image: DiskImage = DiskImage(), options: SpoolOptions = Life.options()) throws {
        calls = SimulatedCalls(image)
        calls.isRecording = false
        let opened = try DiskSpool.open(
            directory: calls.openRoot(), options: options, calls: calls, threading: .byHand)
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

    /// Spoils a record on the disk.
    func damage(_ place: RecordLocation) throws {
        let journal = try #require(spool.directories?.journal.number)
        let file = try calls.open(journal, SpoolNames.segment(place.segment), O_RDWR)
        defer { calls.close(file) }
        try [UInt8](repeating: 0xFF, count: 8).withUnsafeBytes { bytes in
            try calls.write(file, bytes, at: place.offset + RecordLayout.headerSize)
        }
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
