// SPDX-License-Identifier: ISC

import Bytes
import Glibc
import Mail
import Posix
import Testing

@testable import Spool

@Suite struct `A spool that is compressed or encrypted` {
    private static let first = [UInt8](repeating: 1, count: 32)
    private static let second = [UInt8](repeating: 2, count: 32)

    private func keys(_ current: [UInt8]?, _ older: [[UInt8]] = []) throws -> SpoolKeys {
        try #require(SpoolKeys(current: current, older: older))
    }

    /// A message with content in the journal and in a body file, an outcome and a note.
    private func fill(_ spool: DiskSpool) throws -> SpoolPosition {
        let body = spool.makeBody()
        let line = Array("the heron stands in the shallow water\r\n".utf8)
        var content: [UInt8] = []
        while content.count < 300_000 { content += line }
        for start in stride(from: 0, to: content.count, by: 70_000) {
            body.append(Array(content[start..<min(start + 70_000, content.count)]))
        }
        var sent = message(1, String(repeating: "Subject: heron and heron and heron\r\n", count: 50), envelopes: 2)
        sent.envelopes = Array(String(repeating: "heron@example.org ", count: 40).utf8)
        sent.body = body
        sent.pieces.append(.body(offset: 39, count: UInt64(content.count) - 39))
        let position = try spool.commit(sent)
        try spool.recordNow(position, envelope: 1, String(repeating: "550 no heron here ", count: 30), isFinal: false)
        try spool.noteNow("heron", "heron")
        return position
    }

    private func check(_ opened: Opened, _ position: SpoolPosition) throws {
        #expect(opened.recovered.reports == [])
        let found = try #require(opened.recovered.messages.first)
        #expect(found.position == position)
        #expect(found.envelopes.starts(with: Array("heron@example.org".utf8)))
        #expect(found.outcomes[1]?.payload.starts(with: Array("550 no heron".utf8)) == true)
        #expect(opened.recovered.notes == [Array("heron".utf8): Array("heron".utf8)])
        #expect(try opened.spool.text(position).hasPrefix("Subject: heron"))
        let body = try #require(try opened.spool.openBody(position).readAll(limit: 1 << 20))
        #expect(body.count >= 300_000)
        #expect(body.suffix(2) == [13, 10])
        #expect(body.starts(with: Array("the heron".utf8)))
    }

    private func holdsHeron(_ workshop: Workshop) throws -> Bool {
        let heron = Array("heron".utf8)
        for folder in ["journal", "bodies"] {
            for name in workshop.names(folder) {
                let bytes = try workshop.read(folder + "/" + name)
                let isThere = bytes.withUnsafeBytes { buffer in
                    buffer.baseAddress.map { memmem($0, buffer.count, heron, heron.count) != nil } ?? false
                }
                if isThere { return true }
            }
        }
        return false
    }

    @Test(arguments: [(true, false), (false, true), (true, true)]) func `gives back what came in`(
        isCompressed: Bool, isEncrypted: Bool
    ) throws {
        let workshop = try Workshop()
        workshop.options.isCompressed = isCompressed
        if isEncrypted { workshop.options.keys = try keys(Self.first) }
        let opened = try workshop.open(cache: false)
        let position = try fill(opened.spool)
        #expect(try opened.spool.text(position).hasPrefix("Subject: heron"))
        let crashed = try workshop.copy()
        crashed.options = workshop.options
        opened.spool.close()
        if isEncrypted { #expect(try !holdsHeron(workshop)) }
        let size = try workshop.names("bodies").reduce(0) { try $0 + workshop.read("bodies/" + $1).count }
        #expect(isCompressed ? size < 30_000 : size >= 300_000)
        // After an end in good order the index is read, after a crash all of it.
        for other in [workshop, crashed] {
            let again = try other.open(cache: false)
            try check(again, position)
            again.spool.close()
        }
        // What is there is read under any setting, if only the key is known.
        workshop.options.isCompressed = !isCompressed
        workshop.options.keys = isEncrypted ? try keys(nil, [Self.first]) : SpoolKeys()
        let third = try workshop.open(cache: false)
        try check(third, position)
        third.spool.close()
    }

    @Test(arguments: [(false, false), (true, false), (false, true), (true, true)])
    func `is read while nobody has it, and not changed by that`(isCompressed: Bool, isEncrypted: Bool) throws {
        let workshop = try Workshop()
        workshop.options.isCompressed = isCompressed
        if isEncrypted { workshop.options.keys = try keys(Self.first) }
        let opened = try workshop.open(cache: false)
        let position = try fill(opened.spool)
        func look(_ keys: SpoolKeys) throws -> IdleSpool {
            try IdleSpool.read(try .open(workshop.path, O_RDONLY | O_DIRECTORY), keys: keys)
        }
        #expect(throws: SpoolError.locked) { try look(workshop.options.keys) }
        opened.spool.close()
        let files = ["journal", "bodies", "aside"].flatMap { folder in
            workshop.names(folder).map { folder + "/" + $0 }
        }
        let before = try files.map { try workshop.read($0) }
        let idle = try look(workshop.options.keys)
        #expect(idle.reports == [])
        #expect(idle.messages.map(\.position) == [position])
        #expect(idle.messages.first?.outcomes[1]?.payload.starts(with: Array("550 no heron".utf8)) == true)
        var content: [UInt8] = []
        try idle.eachPart(of: position) { content += $0 }
        #expect(content.count == Int(try #require(idle.messages.first).size))
        #expect(content.starts(with: Array("Subject: heron".utf8)) && content.suffix(2) == [13, 10])
        if isEncrypted { #expect(throws: SpoolError.self) { try look(SpoolKeys()) } }
        #expect(try files.map { try workshop.read($0) } == before)
        let again = try workshop.open(cache: false)
        #expect(try idle.isTaken())
        try check(again, position)
        again.spool.close()
    }

    @Test func `does not open without the key, and loses nothing by the attempt`() throws {
        let workshop = try Workshop()
        workshop.options.keys = try keys(Self.first)
        let opened = try workshop.open()
        let position = try fill(opened.spool)
        opened.spool.close()
        let version = SpoolKey(Self.first).version
        for wrong in [SpoolKeys(), try keys(Self.second)] {
            workshop.options.keys = wrong
            #expect(throws: SpoolError.keyMissing(version: version)) { try workshop.open() }
        }
        workshop.options.keys = try keys(Self.second, [Self.first])
        let again = try workshop.open(cache: false)
        try check(again, position)
        again.spool.close()
    }

    @Test func `needs an old key as long as a segment holds something of it`() throws {
        let workshop = try Workshop()
        workshop.options.keys = try keys(Self.first)
        var opened = try workshop.open()
        let position = try opened.spool.commit(message(1))
        opened.spool.close()
        workshop.options.keys = try keys(Self.second, [Self.first])
        opened = try workshop.open()
        try opened.spool.recordNow(position)
        // The second message makes a new segment, so that the old ones can go.
        for number in 2...12 { _ = try opened.spool.commit(message(UInt32(number), filler: 8000)) }
        try workshop.settle()
        opened.spool.close()
        workshop.options.keys = try keys(Self.second)
        opened = try workshop.open()
        #expect(opened.recovered.messages.count == 11)
        opened.spool.close()
    }

    @Test func `a key of another length is none`() {
        #expect(SpoolKeys(current: [1, 2, 3]) == nil)
        #expect(SpoolKeys(current: Self.first, older: [[1]]) == nil)
    }

    @Test func `the cipher gives back what it sealed and refuses anything else`() throws {
        let cipher = Cipher(try keys(Self.first))
        let key = try #require(cipher.keys.current)
        let plain = Array("a heron".utf8)
        let header: [UInt8] = [1, 2, 3, 4]
        var sealed = [UInt8](repeating: 0, count: plain.count + Cipher.overhead)
        plain.withUnsafeBytes { plain in
            header.withUnsafeBytes { header in
                sealed.withUnsafeMutableBytes { cipher.seal(plain, with: key, associated: header, into: $0) }
            }
        }
        func open(_ sealed: [UInt8], _ header: [UInt8]) throws(Cipher.Fault) -> [UInt8] {
            let result: Result<[UInt8], Cipher.Fault> = sealed.withUnsafeBytes { sealed in
                header.withUnsafeBytes { header in
                    do throws(Cipher.Fault) {
                        return .success(try cipher.open(sealed, associated: header))
                    } catch { return .failure(error) }
                }
            }
            return try result.get()
        }
        #expect(try open(sealed, header) == plain)
        #expect(throws: Cipher.Fault.damaged) { try open(sealed, [1, 2, 3, 5]) }
        for place in sealed.indices {
            var other = sealed
            other[place] ^= 4
            #expect(throws: Cipher.Fault.self) { try open(other, header) }
        }
        for count in 0..<sealed.count {
            #expect(throws: Cipher.Fault.self) { try open(Array(sealed[..<count]), header) }
        }
    }

    @Test func `compression takes what gets smaller, and refuses what is none of its own`() {
        let plain = [UInt8](repeating: 7, count: 10_000)
        let packed = plain.withUnsafeBytes { Compression.deflated($0) } ?? []
        #expect(packed.count < 200)
        #expect(packed.withUnsafeBytes { Compression.inflated($0) } == plain)
        for count in 0..<packed.count { #expect(packed[..<count].withUnsafeBytes { Compression.inflated($0) } == nil) }
        var random = Noise(state: 9)
        var noise = [UInt8](repeating: 0, count: 4000)
        for index in noise.indices { noise[index] = UInt8(truncatingIfNeeded: random.next()) }
        #expect(noise.withUnsafeBytes { Compression.deflated($0) } == nil)
        #expect(noise.withUnsafeBytes { Compression.inflated($0) } == nil)
    }
}
