// SPDX-License-Identifier: ISC

import Bytes
import Mail
import Posix
import Testing

@testable import Spool

@Suite struct `A disk that does not give everything at a start` {
    struct Wreck {
        var image: DiskImage
        var account: Account
    }

    /// What a life of some segments leaves: mail with and without bodies, outcomes, notes, records that were moved.
    private func wreck(rounds: Int = 40, seed: UInt64 = 3) throws -> Wreck {
        let calls = SimulatedCalls(DiskImage())
        let life = try Life(DiskImage(), Account(), calls: calls, options: Life.options(), seed: seed)
        life.run(rounds: rounds)
        var account = life.before.account
        for case .fact(let fact) in calls.log { account.append(fact) }
        return Wreck(image: calls.image, account: account)
    }

    private func open(_ calls: SimulatedCalls) throws -> (DiskSpool, RecoveredSpool) {
        calls.isRecording = false
        let opened = try DiskSpool.open(
            directory: calls.openRoot(), options: Life.options(), calls: calls, threading: .byHand)
        return (opened.spool, try opened.recovery.finish())
    }

    private func commit(_ id: UInt32, _ spool: DiskSpool, _ account: inout Account) {
        let content = [UInt8](repeating: 0x61, count: 2000)
        let sent = Account.Sent(id: id, envelopeCount: 1, envelopes: [1], attributes: [2], content: content)
        account.append(.asked(sent))
        var position: SpoolPosition?
        let message = SpoolMessage(
            id: MessageID(id), envelopeCount: 1, envelopes: [1], attributes: [2], pieces: [.bytes(content)])
        spool.commit(message) { position = try? $0.get() }
        spool.runUntilIdle()
        if let position { account.append(.committed(id, position)) }
    }

    private func complaints(_ wreck: Wreck) throws -> (text: [String], reports: [SpoolReport]) {
        let (spool, recovered) = try open(SimulatedCalls(wreck.image))
        defer { spool.abandon() }
        let all = wreck.account.complaints(about: recovered) { spool.contentByHand($0) }
        return (all.filter { !$0.hasPrefix("reported:") }, recovered.reports)
    }

    @Test(arguments: [1, 3, 1000]) func `costs no message, whichever read fails`(times: Int) throws {
        let wreck = try wreck()
        let usual = SimulatedCalls(wreck.image)
        try open(usual).0.abandon()
        var refused = 0
        var hidden = 0
        for number in 0..<usual.reads {
            var after = wreck
            let calls = SimulatedCalls(wreck.image)
            calls.failingReads = number..<number + times
            if let (spool, recovered) = try? open(calls) {
                // The disk is well again, mail comes, and then the process is killed.
                calls.failingReads = 0..<0
                if recovered.reports.contains(where: { if case .unreadable = $0 { true } else { false } }) {
                    hidden += 1
                }
                for id in 0..<3 { commit(after.account.highestID + 1 + UInt32(id), spool, &after.account) }
                spool.abandon()
                #expect(spool.unread.segments.isEmpty || !recovered.reports.isEmpty)
            } else {
                refused += 1
            }
            after.image = calls.image
            let wrong = try complaints(after)
            #expect(wrong.text == [], "read \(number), \(times) times")
        }
        print("Unread: \(times) at each of \(usual.reads) reads, \(hidden) left a segment unread, \(refused) no start")
        #expect(hidden > 0)
    }

    @Test func `has what it did not give kept aside, with the bodies, when the room is needed`() throws {
        let wreck = try wreck()
        let oldest = try #require(
            wreck.image.directories.values.flatMap(\.keys).filter { $0.hasSuffix(".seg") }.min())
        let calls = SimulatedCalls(wreck.image)
        calls.unreadableFile = wreck.image.file(named: oldest)
        let (spool, recovered) = try open(calls)
        #expect(recovered.reports.contains { if case .unreadable = $0 { true } else { false } })
        #expect(!recovered.reports.contains { if case .bodyRemoved = $0 { true } else { false } })
        let bodies = wreck.image.directories.values.flatMap(\.keys).filter { $0.hasSuffix(".body") }.count
        // All that was found is done, and more mail comes and goes than the journal may hold.
        for message in recovered.messages {
            for envelope in 1...message.envelopeCount where message.outcomes[envelope]?.isFinal != true {
                spool.record(
                    SpoolOutcome(message: message.position, envelope: envelope, payload: [1], isFinal: true),
                    durability: .now { _ in })
            }
        }
        var account = Account()
        for id in 1...120 {
            commit(UInt32(1000 + id), spool, &account)
            let position = try #require(account.sent[UInt32(1000 + id)]?.position)
            spool.record(
                SpoolOutcome(message: position, envelope: 1, payload: [1], isFinal: true), durability: .now { _ in })
            spool.runUntilIdle()
        }
        calls.milliseconds += 2_000
        spool.runUntilIdle()
        spool.abandon()
        let aside = calls.image.names(in: "aside")
        #expect(aside.contains(oldest) && !calls.image.names(in: "journal").contains(oldest))
        #expect(aside.count { $0.hasSuffix(".body") } <= bodies)

        // What was in it is missed no more, and the file is what it was.
        let (next, again) = try open(SimulatedCalls(calls.image))
        next.abandon()
        #expect(!again.reports.contains { if case .corruption = $0 { true } else { false } }, "\(again.reports)")
        let number = try #require(wreck.image.file(named: oldest))
        #expect(calls.image.files[number] == wreck.image.files[number])
    }

    @Test func `has a body again whose record was unread once`() throws {
        let stage = try Stage()
        let body = stage.spool.makeBody()
        let content = [UInt8](repeating: 0x62, count: 3000)
        body.append(content)
        var position: SpoolPosition?
        let message = SpoolMessage(
            id: MessageID(77), envelopeCount: 1, envelopes: [1], attributes: [2],
            pieces: [.body(offset: 0, count: UInt64(content.count))], body: body)
        stage.spool.commit(message) { position = try? $0.get() }
        stage.spool.runUntilIdle()
        _ = try stage.commit()
        let place = try #require(position)
        let calls = SimulatedCalls(stage.calls.image)
        calls.unreadableFile = calls.image.file(
            named: SpoolNames.segment(try #require(stage.spool.messages[place.sequenceNumber]?.location.segment)))
        let (blind, nothing) = try open(calls)
        blind.abandon()
        #expect(nothing.messages.isEmpty)
        #expect(nothing.reports.contains { if case .bodySetAside = $0 { true } else { false } })
        #expect(calls.image.names(in: "bodies") == [])

        let (next, found) = try open(SimulatedCalls(calls.image))
        defer { next.abandon() }
        let back = try #require(found.messages.first { $0.position == place })
        #expect(!back.isBodyMissing)
        #expect(next.contentByHand(place) == content)
    }
}
