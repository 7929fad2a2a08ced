// SPDX-License-Identifier: ISC

import Bytes
import Glibc
import Mail
import Posix
import Testing

@testable import Spool

@Suite struct `A sealed segment` {
    /// Thirty messages in several segments, ended in good order.
    private func journal() throws -> (workshop: Workshop, positions: [SpoolPosition]) {
        let workshop = try Workshop()
        let spool = try workshop.open().spool
        var positions: [SpoolPosition] = []
        for number in 1...30 {
            let text = "Subject: message \(number).\r\n\r\n"
            positions.append(try spool.commit(message(UInt32(number), text, filler: 4000)))
        }
        spool.close()
        return (workshop, positions)
    }

    private func find(_ wanted: [UInt8], in bytes: [UInt8]) -> Int? {
        var start = 0
        while let first = bytes[start...].firstIndex(of: wanted[0]) {
            if bytes[first...].starts(with: wanted) { return first }
            start = first + 1
        }
        return nil
    }

    @Test func `is known from its index, whatever stands in its contents`() throws {
        let (workshop, positions) = try journal()
        // A directory has no order, and which file becomes a segment first is not said.
        let second = Array("message 2.".utf8)
        let holder = try workshop.names("journal").first { try find(second, in: workshop.read("journal/" + $0)) != nil }
        let name = "journal/" + (try #require(holder))
        var bytes = try workshop.read(name)
        let place = try #require(find(second, in: bytes)) + 2000
        #expect(bytes[place] == 0x61)
        bytes[place] ^= 1
        try workshop.write(name, bytes)
        let opened = try workshop.open(cache: false)
        #expect(opened.recovered.messages.map(\.position) == positions)
        #expect(opened.recovered.reports == [])
        // The damage is found when the content is wanted: told, set aside, and nothing else is touched by it.
        var reports: [String] = []
        opened.spool.report = { reports.append($0) }
        #expect(throws: SpoolError.damaged) { try opened.spool.pieces(positions[1]) }
        #expect(throws: SpoolError.damaged) { try opened.spool.pieces(positions[1]) }
        #expect(try opened.spool.text(positions[2]).count > 4000)
        #expect(workshop.names("aside").count == 1)
        #expect(reports.count == 1)
        opened.spool.close()
    }

    @Test func `with a damaged index is read whole`() throws {
        let (workshop, positions) = try journal()
        for name in workshop.names("journal") {
            var bytes = try workshop.read("journal/" + name)
            let place = bytes.count - SegmentIndex.trailerSize - 3000
            for index in place..<place + 100 { bytes[index] ^= 0xFF }
            try workshop.write("journal/" + name, bytes)
        }
        let opened = try workshop.open()
        #expect(opened.recovered.messages.map(\.position) == positions)
        #expect(!opened.recovered.reports.contains { if case .corruption = $0 { true } else { false } })
        opened.spool.close()
    }

    @Test func `that cannot be read is not taken for an empty one`() throws {
        let (workshop, positions) = try journal()
        let before = workshop.names("journal").filter { $0.hasSuffix(".seg") }
        // Of a disk that gives nothing at all nothing is known: no number is free for certain.
        workshop.calls.fail("read", EIO)
        #expect(throws: SpoolError.system(SystemError("pread", EIO))) { try workshop.openUnread() }
        #expect(Set(before).isSubset(of: Set(workshop.names("journal"))))
        workshop.calls.heal()
        // One that gives nothing later on: what was there is found by the next start.
        let blind = try workshop.openUnread()
        workshop.calls.fail("read", EIO)
        let recovered = try blind.recovery.finish()
        #expect(recovered.messages.isEmpty && !recovered.reports.isEmpty)
        workshop.calls.heal()
        let position = try blind.spool.commit(message(999))
        blind.spool.close()
        let again = try workshop.open()
        #expect(again.recovered.messages.map(\.position) == positions + [position])
        again.spool.close()
    }

    @Test func `any bytes are an index or none`() {
        var random = Noise(state: 23)
        for length in 0..<120 {
            for _ in 0..<20 {
                var bytes = [UInt8](repeating: 0, count: length)
                for index in bytes.indices where random.next() % 4 == 0 {
                    bytes[index] = UInt8(truncatingIfNeeded: random.next() % 7)
                }
                _ = FoundIndex(bytes, segmentSize: 1 << 16)
            }
        }
    }

    @Test func `mail is taken while the old is still being read, and both are there afterwards`() throws {
        let (workshop, positions) = try journal()
        let opened = try workshop.openUnread()
        let early = try opened.spool.commit(message(100))
        #expect(early > positions[29])
        var found: RecoveredSpool?
        var between: [SpoolPosition] = []
        while found == nil {
            found = try opened.recovery.step()
            between.append(try opened.spool.commit(message(UInt32(101 + between.count))))
        }
        #expect(found?.messages.map(\.position) == positions)
        try opened.spool.recordNow(early)
        try opened.spool.recordNow(positions[0])
        let crashed = try workshop.copy()
        opened.spool.close()
        for other in [workshop, crashed] {
            let again = try other.open()
            #expect(again.recovered.messages.map(\.position) == Array(positions.dropFirst()) + between)
            #expect(again.recovered.reports == [])
            again.spool.close()
        }
    }

    @Test func `no inode left is no room, until there is one`() throws {
        let workshop = try Workshop()
        let spool = try workshop.open().spool
        _ = try spool.commit(message(0))
        try workshop.settle()
        workshop.calls.files = 0
        var isRefused = false
        for number in 1...100 where !isRefused {
            let result = try spool.result { spool.commit(message(UInt32(number), filler: 8000), completion: $0) }
            if case .failure(.full) = result { isRefused = true }
        }
        #expect(isRefused)
        workshop.calls.files = nil
        var answer: Result<SpoolPosition, SpoolError> = .failure(.full)
        for _ in 0..<10_000 {
            answer = try spool.result { spool.commit(message(200, filler: 8000), completion: $0) }
            if case .success = answer { break }
            poll(nil, 0, 1)
        }
        #expect(throws: Never.self) { try answer.get() }
        spool.close()
    }
}
