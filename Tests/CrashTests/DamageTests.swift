// SPDX-License-Identifier: ISC

import Glibc
import Mail
import Testing

@testable import Spool

/// What a process finds damaged while it lives must not be worse for mail than what a start finds damaged, nor keep the
/// room of all that is newer.
@Suite struct `A record that is damaged while its message lives` {
    private struct Damage: Hashable {
        var message: SpoolPosition
        var envelope: UInt32?
    }

    private final class Listener {
        var heard: Set<Damage> = []
    }

    private func stage() throws -> (Stage, Listener) {
        let stage = try Stage()
        let listener = Listener()
        stage.spool.damage = { listener.heard.insert(Damage(message: $0, envelope: $1)) }
        return (stage, listener)
    }

    private func putOff(_ stage: Stage, _ message: SpoolPosition) {
        let outcome = SpoolOutcome(message: message, envelope: 1, payload: [7, 7, 7], isFinal: false)
        stage.spool.record(outcome, durability: .now { _ in })
        stage.spool.runUntilIdle()
    }

    private func isFreed(_ stage: Stage, _ segment: UInt64) throws -> Bool {
        for _ in 0..<40 where stage.spool.order.contains(segment) {
            try stage.fill()
            stage.letLazyOnesBeWritten()
        }
        return !stage.spool.order.contains(segment)
    }

    @Test func `is told of, and holds its segment no longer than until the message has ended`() throws {
        let (stage, listener) = try stage()
        let message = try stage.commit(filler: 3000)
        let neighbour = try stage.commit(filler: 3000)
        let place = try #require(stage.spool.messages[message.sequenceNumber]?.location)
        try stage.damage(place)
        #expect(try !isFreed(stage, place.segment))
        #expect(listener.heard == [Damage(message: message, envelope: nil)])
        // What else stood there has been moved, and is right.
        #expect(stage.spool.messages[neighbour.sequenceNumber]?.location.segment != place.segment)
        try stage.finish(message)
        #expect(try isFreed(stage, place.segment))
        #expect(try !stage.bringsBack(message) && stage.bringsBack(neighbour))
    }

    @Test func `is written again where it says that an envelope is done`() throws {
        let (stage, listener) = try stage()
        let message = try stage.commit(envelopes: 2)
        try stage.finish(message)
        let (_, outcome) = try stage.places(message)
        try stage.damage(outcome)
        #expect(try isFreed(stage, outcome.segment))
        #expect(listener.heard == [])
        let found = try #require(try Stage(stage.calls.image).recovered.messages.first { $0.position == message })
        #expect(found.outcomes[1]?.isFinal == true && found.outcomes[2] == nil)
    }

    @Test func `is told of where it says how an envelope stands, and may be said anew`() throws {
        let (stage, listener) = try stage()
        let message = try stage.commit()
        putOff(stage, message)
        let (_, outcome) = try stage.places(message)
        try stage.damage(outcome)
        #expect(try !isFreed(stage, outcome.segment))
        #expect(listener.heard == [Damage(message: message, envelope: 1)])
        putOff(stage, message)
        #expect(try isFreed(stage, outcome.segment))
        let found = try #require(try Stage(stage.calls.image).recovered.messages.first { $0.position == message })
        #expect(found.outcomes[1]?.payload == [7, 7, 7])
    }

    @Test func `is given up where it is a note, but for that of all that was ever accepted`() throws {
        let (stage, _) = try stage()
        stage.spool.note([1], [1], durability: .now { _ in })
        stage.spool.runUntilIdle()
        let note = try #require(stage.spool.notes[[1]]?.location)
        try stage.damage(note)
        #expect(try isFreed(stage, note.segment))
        let next = try Stage(stage.calls.image)
        #expect(next.recovered.notes[[1]] == nil && next.recovered.reports == [])
        #expect(next.spool.tally == stage.spool.tally)
    }

    @Test func `of a body is certain when the disk gives it twice, and the file is kept`() throws {
        var options = Life.options()
        options.keys = try #require(SpoolKeys(current: [UInt8](repeating: 9, count: SpoolKeys.keySize)))
        let stage = try Stage(options: options)
        let body = stage.spool.makeBody()
        body.append([UInt8](repeating: 0x62, count: 4000))
        var position: SpoolPosition?
        let message = SpoolMessage(
            id: MessageID(7), envelopeCount: 1, envelopes: [1], attributes: [2],
            pieces: [.body(offset: 0, count: 4000)], body: body)
        stage.spool.commit(message) { position = try? $0.get() }
        stage.spool.runUntilIdle()
        let place = try #require(position)
        let name = try #require(stage.calls.image.names(in: "bodies").first)
        let bodies = try #require(stage.spool.directories?.bodies.number)
        let file = try stage.calls.open(bodies, name, O_RDWR)
        try [UInt8](repeating: 0xFF, count: 8).withUnsafeBytes { try stage.calls.write(file, $0, at: 30) }
        stage.calls.close(file)

        #expect(throws: SpoolError.damaged) { try stage.spool.readBody(place, 0..<4000) }
        #expect(!stage.spool.isDamageCertain(place) && stage.spool.isDamageCertain(place))
        try stage.finish(place)
        stage.letLazyOnesBeWritten()
        #expect(stage.calls.image.names(in: "bodies").isEmpty && stage.calls.image.names(in: "aside") == [name])
    }

    @Test func `is none where only the memory of the host was wrong`() throws {
        let (stage, _) = try stage()
        let message = try stage.commit(filler: 3000)
        stage.calls.isCacheWrong = true
        #expect(stage.spool.contentByHand(message)?.count == 3000)
        #expect(!stage.calls.isCacheWrong)
    }
}
