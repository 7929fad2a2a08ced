// SPDX-License-Identifier: ISC

import Bytes
import Chance
import Glibc
import Mail
import Posix
import Testing

@testable import Spool

/// One life of a spool, from its opening to its crash: mail comes, is tried, delivered, put off, bounced and removed.
final class Life {
    let calls: SimulatedCalls
    let before: (image: DiskImage, account: Account)
    private let opened: OpenedSpool
    private var account: Account
    private var random: TestRandom
    private var nextID: UInt32
    /// By cleaning, at the end.
    private(set) var movedRecords = 0

    /// Messages that have an answer and are not done, with the envelopes that have no final outcome.
    private var living: [UInt32: (position: SpoolPosition, open: Set<UInt32>)] = [:]

    /// With more of them mail goes faster than it comes: or in a long chain of lives each state would cost more than the
    /// one before, and none would see a spool that becomes empty.
    private static let mostMessages = 24

    static func options() -> SpoolOptions {
        var options = SpoolOptions()
        options.segmentSize = ByteCount(64 << 10)
        options.batchSize = ByteCount(16 << 10)
        options.cacheSize = ByteCount(0)
        options.minimumFree = ByteCount(0)
        options.minimumFiles = 0
        options.reservedSegments = 1
        options.cleaningThreshold = 3
        return options
    }

    init(_ image: DiskImage, _ account: Account, calls: SimulatedCalls, options: SpoolOptions, seed: UInt64) throws {
        self.calls = calls
        random = TestRandom(seed: seed)
        opened = try DiskSpool.open(directory: calls.openRoot(), options: options, calls: calls, threading: .byHand)
        var account = account
        let recovered = try opened.recovery.finish()
        account.accept(recovered)
        before = (image, account)
        self.account = account
        nextID = account.highestID + 1
        for message in recovered.messages {
            let done = message.outcomes.filter(\.value.isFinal).keys
            living[message.id.value] = (message.position, Set(1...message.envelopeCount).subtracting(done))
        }
    }

    private func note(_ fact: Fact) {
        account.append(fact)
        calls.note(fact)
    }

    /// So many rounds, each of some things that are asked together; then the crash. With `settles` a well disk has time
    /// before it; what is wrong then.
    @discardableResult
    func run(rounds: Int, settles: Bool = false) -> [String] {
        var isDraining = false
        for _ in 0..<rounds {
            // Cleaning has something to do where more mail goes than comes.
            if Int.random(in: 0..<3, using: &random) == 0 { isDraining.toggle() }
            if living.count > Self.mostMessages { isDraining = true }
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                if isDraining, Int.random(in: 0..<8, using: &random) > 0 { decide(isFinal: true) } else { ask() }
            }
            if Int.random(in: 0..<4, using: &random) > 0 { opened.spool.runUntilIdle() }
            if Int.random(in: 0..<6, using: &random) == 0 {
                calls.milliseconds += 1_001
                opened.spool.runUntilIdle()
            }
        }
        opened.spool.runUntilIdle()
        let unsafe = settles ? settle() : []
        movedRecords = opened.spool.statistics.movedRecords
        opened.spool.abandon()
        return unsafe
    }

    /// Lets a second pass, after which no outcome may be left that is not durable.
    private func settle() -> [String] {
        calls.faults = nil
        calls.milliseconds += 1_001
        opened.spool.runUntilIdle()
        return opened.spool.messages.flatMap { number, live in
            live.outcomes.filter { $0.kept.pending > 0 }.map {
                "outcome of envelope \($0.envelope) of message \(number) is not safe after a second"
            }
        }
    }

    private func ask() {
        switch Int.random(in: 0..<20, using: &random) {
        case 0..<6: send(size: Int.random(in: 20...3000, using: &random))
        case 6, 7: send(size: Int.random(in: 5000...12000, using: &random))
        case 8: send(size: 400, envelopes: 60)
        case 9, 10: sendBody()
        case 11: opened.spool.makeBody().append(content(900))
        case 12..<17: decide(isFinal: true)
        case 17: decide(isFinal: false)
        case 18: removeOne()
        default: keepNote()
        }
    }

    private func content(_ size: Int) -> [UInt8] {
        // Half of it compresses, half of it does not, and no two messages are alike.
        let words = Array("Received: from mail.example.org by mx.example.org; ".utf8)
        return (0..<size).map { index in
            index % 128 < 64 ? words[index % words.count] : UInt8.random(in: 0...255, using: &random)
        }
    }

    private func send(size: Int, envelopes: UInt32? = nil) {
        let content = content(size)
        let cut = size / 3
        send(
            envelopes ?? UInt32.random(in: 1...3, using: &random), content,
            pieces: [.bytes(Array(content[..<cut])), .bytes(Array(content[cut...]))], body: nil)
    }

    private func sendBody() {
        let body = opened.spool.makeBody()
        var all: [UInt8] = []
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let part = content(Int.random(in: 1...4000, using: &random))
            all += part
            body.append(part)
            if Bool.random(using: &random) { opened.spool.runUntilIdle() }
        }
        let head = content(100)
        let first = UInt64(all.count / 4)
        send(
            1, head + all[Int(first)...],
            pieces: [.bytes(head), .body(offset: first, count: UInt64(all.count) - first)], body: body)
    }

    private func send(_ envelopes: UInt32, _ content: [UInt8], pieces: [SpoolPiece], body: SpoolBody?) {
        let id = nextID
        nextID += 1
        let text = Array(repeating: Array("<user@example.org> ".utf8), count: Int(envelopes)).flatMap { $0 }
        let sent = Account.Sent(
            id: id, envelopeCount: envelopes, envelopes: text, attributes: [UInt8(truncatingIfNeeded: id), 7],
            content: content)
        note(.asked(sent))
        let message = SpoolMessage(
            id: MessageID(id), envelopeCount: envelopes, envelopes: text, attributes: sent.attributes, pieces: pieces,
            body: body)
        opened.spool.commit(message) { [unowned self] result in
            guard case .success(let position) = result else { return }
            note(.committed(id, position))
            living[id] = (position, Set(1...envelopes))
        }
    }

    private func choose() -> (UInt32, envelope: UInt32)? {
        let candidates = living.keys.sorted()
        guard let id = candidates.randomElement(using: &random),
            let envelope = living[id]?.open.sorted().randomElement(using: &random)
        else { return nil }
        return (id, envelope)
    }

    private func decide(isFinal: Bool) {
        guard let (id, envelope) = choose() else { return }
        record(id, envelope, isFinal: isFinal, isUrgent: false)
    }

    private func removeOne() {
        guard let (id, _) = choose(), let live = living[id] else { return }
        for envelope in live.open.sorted() { record(id, envelope, isFinal: true, isUrgent: true) }
    }

    private func record(_ id: UInt32, _ envelope: UInt32, isFinal: Bool, isUrgent: Bool) {
        guard let position = living[id]?.position else { return }
        let outcome = Account.Outcome(
            payload: content(Int.random(in: 0...90, using: &random)), isFinal: isFinal)
        note(.outcomeAsked(id, envelope: envelope, outcome))
        let place = account.sent[id]?.outcomes[envelope]?.all.count ?? 0
        let safe = { [unowned self] in note(.outcomeSafe(id, envelope: envelope, place: place)) }
        opened.spool.record(
            SpoolOutcome(message: position, envelope: envelope, payload: outcome.payload, isFinal: isFinal),
            durability: isUrgent ? .now { if case .success = $0 { safe() } } : .told(safe))
        guard isFinal else { return }
        living[id]?.open.remove(envelope)
        if living[id]?.open.isEmpty == true { living[id] = nil }
    }

    private func keepNote() {
        let key = content(3).prefix(2) + [UInt8.random(in: 0...2, using: &random)]
        let value = Bool.random(using: &random) ? content(60) : []
        note(.noteAsked(Array(key), value))
        let place = account.notes[Array(key)]?.all.count ?? 0
        opened.spool.note(
            Array(key), value,
            durability: .now { [unowned self] in
                if case .success = $0 { note(.noteSafe(Array(key), place: place)) }
            })
    }
}
