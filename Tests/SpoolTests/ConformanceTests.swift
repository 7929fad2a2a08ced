// SPDX-License-Identifier: ISC

import Glibc
import Mail
import Posix
import Testing

@testable import Spool

/// What every spool does.
@Suite struct `Every spool` {
    enum Kind: CaseIterable { case disk, memory, diskWithoutCache, sealedDisk }

    private func with(_ kind: Kind, _ body: (any Spool) throws -> Void) throws {
        switch kind {
        case .memory:
            let spool = try MemorySpool()
            try body(spool)
            spool.close()
        case .disk, .diskWithoutCache, .sealedDisk:
            let workshop = try Workshop(segmentSize: 1 << 20)
            if kind == .sealedDisk {
                workshop.options.isCompressed = true
                workshop.options.keys = try #require(SpoolKeys(current: [UInt8](repeating: 5, count: 32)))
            }
            let spool = try workshop.open(cache: kind == .disk).spool
            try body(spool)
            spool.close()
        }
    }

    @Test(arguments: Kind.allCases) func `answers a commit in a later turn, with positions that ascend`(kind: Kind)
        throws
    {
        try with(kind) { spool in
            var answers: [SpoolPosition] = []
            for number in 1...20 {
                spool.commit(message(UInt32(number))) {
                    if case .success(let position) = $0 { answers.append(position) }
                }
            }
            #expect(answers.isEmpty)
            try spool.turn { answers.count == 20 }
            #expect(answers == answers.sorted())
            #expect(Set(answers).count == 20)
            #expect(spool.statistics.messages == 20)
        }
    }

    @Test(arguments: Kind.allCases) func `gives back the pieces of a message`(kind: Kind) throws {
        try with(kind) { spool in
            var sent = message(1, "first ")
            sent.pieces.append(.bytes(Array("second".utf8)))
            let position = try spool.commit(sent)
            #expect(try spool.pieces(position) == sent.pieces)
            #expect(try spool.text(position) == "first second")
        }
    }

    @Test(arguments: Kind.allCases) func `forgets a message with its last final outcome`(kind: Kind) throws {
        try with(kind) { spool in
            let position = try spool.commit(message(1, envelopes: 2))
            try spool.recordNow(position, envelope: 1, "later", isFinal: false)
            try spool.recordNow(position, envelope: 1)
            #expect(try spool.text(position).isEmpty == false)
            #expect(throws: SpoolError.unknown) { try spool.recordNow(position, envelope: 1) }
            try spool.recordNow(position, envelope: 2)
            #expect(throws: SpoolError.unknown) { try spool.text(position) }
            #expect(spool.statistics.messages == 0)
        }
    }

    @Test(arguments: Kind.allCases) func `refuses what makes no sense`(kind: Kind) throws {
        try with(kind) { spool in
            var none = message(1)
            none.envelopeCount = 0
            #expect(throws: SpoolError.unknown) { try spool.commit(none) }
            var outside = message(2)
            outside.pieces.append(.body(offset: 0, count: 1))
            #expect(throws: SpoolError.unknown) { try spool.commit(outside) }
            let nowhere = SpoolPosition(sequenceNumber: 1 << 60)
            #expect(throws: SpoolError.unknown) { try spool.recordNow(nowhere) }
            #expect(throws: SpoolError.unknown) { _ = try spool.openBody(nowhere) }
        }
    }

    @Test(arguments: Kind.allCases) func `keeps a large body in a file of its own`(kind: Kind) throws {
        try with(kind) { spool in
            let body = spool.makeBody()
            var appended = 0
            for part in 0..<20 {
                body.append([UInt8](repeating: UInt8(part), count: 100_000)) { result in
                    if case .success = result { appended += 1 }
                }
            }
            try spool.turn { appended == 20 }
            var sent = message(1, "Received: here\r\n")
            sent.body = body
            sent.pieces.append(.body(offset: 100_000, count: 1_900_000))
            let position = try spool.commit(sent)
            #expect(try spool.pieces(position) == sent.pieces)
            let file = try spool.openBody(position)
            let bytes = try #require(try file.readAll(limit: 3_000_000))
            #expect(bytes.count == 2_000_000)
            #expect(bytes[1_999_999] == 19)
            #expect(throws: SpoolError.unknown) { try spool.commit(sent) }
            try spool.recordNow(position)
            #expect(throws: SpoolError.unknown) { _ = try spool.openBody(position) }
        }
    }

    @Test(arguments: Kind.allCases) func `notes are answered when they are safe`(kind: Kind) throws {
        try with(kind) { spool in
            try spool.noteNow("throttle", "1")
            try spool.noteNow("throttle", "")
        }
    }
}
