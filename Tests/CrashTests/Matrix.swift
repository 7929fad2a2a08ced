// SPDX-License-Identifier: ISC

import Bytes
import Chance
import Mail
import Posix

@testable import Spool

/// Crashes at every moment of a life, with everything that the disk may have at it up to a bound, and a recovery of
/// each by the real code.
struct Matrix {
    var options = Life.options()
    /// States for one moment at most.
    var bound: Int
    var seed: UInt64
    /// One state of so many is lived on in, and crashes again; nil for none. So is each in which other messages are done
    /// than in the one before: what a crash finds done must stay so.
    var secondLifeEvery: Int? = 50
    private var lastDone: Set<UInt32> = []

    /// Of the moments, one of so many is looked at.
    var momentEvery = 1

    private(set) var states = 0
    private(set) var moments = 0
    private(set) var complaints: [String] = []
    private(set) var secondLives = 0
    private(set) var movedRecords = 0

    init(bound: Int, seed: UInt64, options: SpoolOptions = Life.options()) {
        self.bound = bound
        self.seed = seed
        self.options = options
    }

    /// With so many there is enough to look at.
    var mostComplaints = 20
    /// No moment is begun with more.
    var mostStates = Int.max

    /// Visits all states of `life`; `account` is what was known at its beginning. The last state is returned.
    mutating func visit(_ life: Life, depth: Int = 0) throws -> (image: DiskImage, account: Account) {
        var random = TestRandom(seed: seed)
        var past = DiskPast(life.before.image)
        var account = life.before.account
        movedRecords += life.movedRecords
        for entry in life.calls.log {
            if complaints.count >= mostComplaints || states >= mostStates { break }
            past.append(entry, chance: &random)
            if case .fact(let fact) = entry { account.append(fact) }
            moments += 1
            guard moments % momentEvery == 0 else { continue }
            let now = account
            var images: [DiskImage] = []
            past.eachImage(atMost: bound, chance: &random) { images.append($0) }
            for image in images { try visit(image, now, depth) }
        }
        var last = past.image { _ in true }
        last.forgetNameless()
        return (last, account)
    }

    private mutating func visit(_ image: DiskImage, _ account: Account, _ depth: Int) throws {
        states += 1
        let calls = SimulatedCalls(image)
        calls.isRecording = false
        let opened = try DiskSpool.open(directory: calls.openRoot(), options: options, calls: calls, threading: .byHand)
        let recovered = try opened.recovery.finish()
        let found = account.complaints(about: recovered) { opened.spool.contentByHand($0) }
        opened.spool.abandon()
        if !found.isEmpty { complaints += found.map { "state \(states), moment \(moments): \($0)" } }
        if depth == 0, mustLiveOn(after: recovered, account) {
            secondLives += 1
            let next = try Life(
                image, account, calls: SimulatedCalls(image), options: options, seed: seed &+ UInt64(states))
            next.run(rounds: 1)
            let usual = bound
            bound = 3
            _ = try visit(next, depth: 1)
            bound = usual
        }
    }

    private mutating func mustLiveOn(after recovered: RecoveredSpool, _ account: Account) -> Bool {
        guard let secondLifeEvery else { return false }
        let done = account.acknowledged.subtracting(recovered.messages.map(\.id.value))
        defer { lastDone = done }
        return states % secondLifeEvery == 0 || !done.isSubset(of: lastDone)
    }

    var report: String {
        "seed \(seed), at most \(bound) states for a moment: \(states) states at \(moments) moments visited, "
            + "\(secondLives) of them lived on in; \(movedRecords) records moved by cleaning"
    }
}

extension DiskSpool {
    /// The bytes of a message as it would be sent; nil when they cannot be had.
    func contentByHand(_ position: SpoolPosition) -> [UInt8]? {
        guard case .caller(let journal) = runner, let live = messages[position.sequenceNumber],
            case .success(let pieces) = journal.pieces(at: live.location)
        else { return nil }
        var content: [UInt8] = []
        for piece in pieces {
            switch piece {
            case .bytes(let bytes): content += bytes
            case .body(let offset, let count):
                guard let bytes = bodyByHand(live, Int(offset), Int(count)) else { return nil }
                content += bytes
            }
        }
        return content
    }

    private func bodyByHand(_ live: Live, _ offset: Int, _ count: Int) -> [UInt8]? {
        guard offset + count <= Int(live.bodySize) else { return nil }
        guard let file = try? openBody(live.bodyFile) else { return nil }
        if live.bodyForm == .parts {
            var reader = try? BodyPartReader(live.bodyFile, file.number, calls, unsealer.cipher)
            return try? reader?.bytes(UInt64(offset)..<UInt64(offset + count))
        }
        return try? BodyPartReader.read(calls, file.number, offset, count)
    }
}
