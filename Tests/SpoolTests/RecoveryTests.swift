// SPDX-License-Identifier: ISC

import Bytes
import Glibc
import Mail
import Posix
import Testing

@testable import Spool

@Suite struct `Recovery of the journal` {
    /// A journal with ten messages, one batch each, and where the last one stands.
    private func journal() throws -> (workshop: Workshop, positions: [SpoolPosition], segment: String) {
        let workshop = try Workshop()
        let spool = try workshop.open().spool
        try workshop.settle()
        var positions: [SpoolPosition] = []
        for number in 1...10 { positions.append(try spool.commit(message(UInt32(number), filler: 500))) }
        let copy = try workshop.copy()
        spool.close()
        let segment = try #require(
            try copy.names("journal").first { name in
                try copy.read("journal/" + name).dropFirst(RecordLayout.block).contains { $0 != 0 }
            })
        return (copy, positions, "journal/" + segment)
    }

    private func lastUsed(_ bytes: [UInt8]) -> Int { (bytes.lastIndex { $0 != 0 } ?? 0) + 1 }

    private func opened(_ source: Workshop, _ segment: String, _ bytes: [UInt8]) throws -> RecoveredSpool {
        let workshop = try source.copy()
        try workshop.write(segment, bytes)
        let result = try workshop.open()
        // The spool goes on: what comes next is safe as well, and the damage is told once.
        let position = try result.spool.commit(message(99))
        result.spool.close()
        let again = try workshop.open()
        #expect(again.recovered.messages.last?.position == position)
        #expect(again.recovered.messages.count == result.recovered.messages.count + 1)
        #expect(again.recovered.reports == [])
        again.spool.close()
        return result.recovered
    }

    @Test func `wherever the last batch was torn, all before it is there`() throws {
        let (workshop, positions, segment) = try journal()
        let bytes = try workshop.read(segment)
        // Each batch has one block: the message and its padding.
        let end = RecordLayout.block * 12
        #expect(bytes[(end - 4096)..<end].contains { $0 != 0 })
        for cut in stride(from: end - 4096, through: end, by: 512) {
            var torn = bytes
            for index in cut..<torn.count { torn[index] = 0 }
            let recovered = try opened(workshop, segment, torn)
            let found = recovered.messages.map(\.position)
            #expect(found.starts(with: positions.dropLast()))
            #expect(found.count == (cut >= end - 4096 + 1024 ? 10 : 9))
            #expect(!recovered.reports.contains { if case .corruption = $0 { true } else { false } })
        }
    }

    @Test func `a segment file that ends early is read as far as it goes`() throws {
        let (workshop, positions, segment) = try journal()
        let bytes = try workshop.read(segment)
        for cut in stride(from: 4096 * 8, through: 4096 * 12, by: 512) {
            let recovered = try opened(workshop, segment, Array(bytes[..<cut]))
            let whole = max(0, (cut - 4096 * 2 + 4096 - 1024) / 4096)
            #expect(recovered.messages.map(\.position) == Array(positions.prefix(whole)))
        }
    }

    @Test func `sectors of the last batch may be missing in any combination`() throws {
        let (workshop, positions, segment) = try journal()
        let bytes = try workshop.read(segment)
        for lost in 0..<256 where lost % 5 == 0 {
            var torn = bytes
            for sector in 0..<8 where lost >> sector & 1 == 1 {
                let start = RecordLayout.block * 11 + sector * 512
                for index in start..<start + 512 { torn[index] = 0 }
            }
            let recovered = try opened(workshop, segment, torn)
            #expect(recovered.messages.map(\.position).starts(with: positions.dropLast()))
        }
    }

    @Test func `a flipped bit costs one message and is told`() throws {
        let (workshop, positions, segment) = try journal()
        let bytes = try workshop.read(segment)
        var random = Noise(state: 3)
        for damaged in 1...8 {
            var flipped = bytes
            // Somewhere in the record of that message: its batch is one block behind the header and the first batch.
            let place = RecordLayout.block * (1 + damaged) + 16 + Int(random.next() % 560)
            flipped[place] ^= UInt8(1 << (random.next() % 8))
            let copy = try workshop.copy()
            try copy.write(segment, flipped)
            let first = try copy.open()
            let expected = positions.enumerated().filter { $0.offset != damaged - 1 }.map(\.element)
            #expect(first.recovered.messages.map(\.position) == expected)
            #expect(first.recovered.reports.count == 1)
            let isCorruption = first.recovered.reports.contains {
                if case .corruption(_, _, _, 1, _) = $0 { true } else { false }
            }
            #expect(isCorruption)
            #expect(copy.names("aside").count == 1)
            _ = try first.spool.commit(message(50))
            first.spool.close()
            let second = try copy.open()
            #expect(second.recovered.reports == [])
            #expect(second.recovered.messages.count == 10)
            second.spool.close()
        }
    }

    @Test func `damage is told of to one who only looks, who keeps nothing of it aside`() throws {
        let workshop = try Workshop()
        let spool = try workshop.open().spool
        let positions = try (1...3).map { try spool.commit(message(UInt32($0), filler: 500)) }
        spool.close()
        // In a content: such a byte stands elsewhere too, such a row does not.
        let row = [UInt8](repeating: 0x61, count: 100)
        func content(in bytes: [UInt8]) -> Int? {
            bytes.indices.first { bytes[$0] == row[0] && bytes[$0...].starts(with: row) }
        }
        let name = try #require(
            workshop.names("journal").sorted().first { try content(in: workshop.read("journal/" + $0)) != nil })
        var bytes = try workshop.read("journal/" + name)
        let place = try #require(content(in: bytes))
        bytes[place] ^= 1
        try workshop.write("journal/" + name, bytes)
        let idle = try IdleSpool.read(try .open(workshop.path, O_RDONLY | O_DIRECTORY))
        #expect(workshop.names("aside").isEmpty)
        #expect(idle.messages.map(\.position).filter { positions.contains($0) }.count >= 2)
        var unread = 0
        for message in idle.messages {
            do throws(SpoolError) { try idle.eachPart(of: message.position) { _ in } } catch { unread += 1 }
        }
        #expect(idle.reports.count + unread == 1, "\(idle.reports)")
        #expect(try workshop.read("journal/" + name) == bytes)
    }

    @Test func `damage to the very first record is told too`() throws {
        let (workshop, positions, segment) = try journal()
        var bytes = try workshop.read(segment)
        bytes[RecordLayout.block + 30] ^= 2
        try workshop.write(segment, bytes)
        let opened = try workshop.open()
        #expect(opened.recovered.messages.map(\.position) == positions)
        #expect(opened.recovered.reports.count == 1)
        opened.spool.close()
    }

    @Test func `a segment that is gone from the middle is told`() throws {
        let workshop = try Workshop()
        let spool = try workshop.open().spool
        var positions: [SpoolPosition] = []
        for number in 1...30 { positions.append(try spool.commit(message(UInt32(number), filler: 8000))) }
        spool.close()
        let names = workshop.names("journal")
        unlink(workshop.path + "/journal/" + names[1])
        let opened = try workshop.open()
        #expect(opened.recovered.messages.count < 30)
        #expect(opened.recovered.messages.count > 15)
        let lost = opened.recovered.reports.compactMap { report -> UInt64? in
            if case .corruption(_, _, _, let records, _) = report { records } else { nil }
        }
        #expect(lost.reduce(0, +) >= UInt64(30 - opened.recovered.messages.count))
        opened.spool.close()
        #expect(try workshop.open().recovered.reports == [])
    }

    @Test func `a damaged segment header costs nothing`() throws {
        let (workshop, positions, segment) = try journal()
        var bytes = try workshop.read(segment)
        bytes[17] ^= 4
        try workshop.write(segment, bytes)
        let opened = try workshop.open()
        #expect(opened.recovered.messages.map(\.position) == positions)
        #expect(opened.recovered.reports.count == 1)
        opened.spool.close()
    }

    @Test func `a record inside a body is only a body`() throws {
        let (workshop, _, segment) = try journal()
        let bytes = try workshop.read(segment)
        let opened = try workshop.open()
        var hostile = message(11)
        hostile.pieces = [.bytes(Array(bytes[RecordLayout.block..<RecordLayout.block * 8]))]
        _ = try opened.spool.commit(hostile)
        try workshop.settle()
        let copy = try workshop.copy()
        opened.spool.close()
        let name = try #require(
            copy.names("journal").last { name in
                (try? copy.read("journal/" + name).dropFirst(RecordLayout.block).contains { $0 != 0 }) ?? false
            })
        var damaged = try copy.read("journal/" + name)
        // The header of the record that holds it: reading goes on inside the body.
        let start = try #require(
            stride(from: RecordLayout.block, to: damaged.count, by: 8).first { offset in
                damaged.withUnsafeBytes { RecordHeader(in: $0, at: offset)?.type == .message }
            })
        damaged[start + 30] ^= 1
        try copy.write("journal/" + name, damaged)
        let again = try copy.open()
        #expect(again.recovered.messages.count == 10)
        again.spool.close()
    }

    @Test func `a note that is made anew in each segment is there at once, wherever the crash comes`() throws {
        let workshop = try Workshop()
        let opened = try workshop.open()
        let spool = opened.spool
        spool.segmentBegan = { [unowned spool] in spool.note([1], [UInt8(spool.order.count & 0xFF)], durability: .lazy)
        }
        for id in 1...60 {
            _ = try spool.commit(message(UInt32(id), filler: 8000))
            if id % 10 != 0 { continue }
            let crashed = try workshop.copy()
            let next = try crashed.openUnread()
            #expect(next.lastNotes[[1]] != nil, "after \(id) messages")
            _ = try next.recovery.finish()
            next.spool.close()
        }
        #expect(spool.order.count > 5)
        spool.segmentBegan = nil
        spool.close()
    }

    @Test func `noise in place of a segment traps nothing`() throws {
        var random = Noise(state: 11)
        for _ in 0..<20 {
            var bytes = [UInt8](repeating: 0, count: 16384)
            for index in bytes.indices { bytes[index] = UInt8(truncatingIfNeeded: random.next()) }
            var recovery = Recovery()
            bytes.withUnsafeBytes { recovery.read($0, segment: 1) }
            #expect(recovery.messages.isEmpty)
        }
    }

    @Test func `payloads of any bytes are decoded or refused`() {
        var random = Noise(state: 17)
        for length in 0..<200 {
            for _ in 0..<20 {
                var bytes = [UInt8](repeating: 0, count: length)
                for index in bytes.indices where random.next() % 3 == 0 {
                    bytes[index] = UInt8(truncatingIfNeeded: random.next())
                }
                bytes.withUnsafeBytes { payload in
                    _ = MessageRecord(payload, .all)
                    _ = OutcomeRecord(payload)
                    _ = NoteRecord(payload)
                    _ = VoidRecord.ranges(payload)
                }
            }
        }
    }

    @Test func `body files without a message go, messages without a body file are told`() throws {
        let workshop = try Workshop()
        let opened = try workshop.open()
        let body = opened.spool.makeBody()
        body.append([1, 2, 3])
        var sent = message(1)
        sent.body = body
        sent.pieces.append(.body(offset: 0, count: 3))
        let position = try opened.spool.commit(sent)
        let orphan = opened.spool.makeBody()
        _ = try opened.spool.result { orphan.append([4], completion: $0) }
        try workshop.settle()
        let crashed = try workshop.copy()
        opened.spool.close()

        #expect(crashed.names("bodies").count == 2)
        let again = try crashed.open()
        #expect(crashed.names("bodies").count == 1)
        #expect(again.recovered.messages.map(\.isBodyMissing) == [false])
        #expect(try again.spool.openBody(position).readAll(limit: 10) == [1, 2, 3])
        again.spool.close()

        for name in crashed.names("bodies") { unlink(crashed.path + "/bodies/" + name) }
        let third = try crashed.open()
        #expect(third.recovered.messages.map(\.isBodyMissing) == [true])
        #expect(third.recovered.reports == [.bodyMissing(MessageID(1))])
        third.spool.close()
    }
}
