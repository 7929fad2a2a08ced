// SPDX-License-Identifier: ISC

import Chance
import IPC
import Testing

@Suite struct FrameTests {
    private func frame(length: UInt32, of count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        length.encode(to: &bytes)
        return bytes + [UInt8](repeating: 0, count: count)
    }

    @Test func `a header is little-endian and names its payload`() throws {
        let bytes: [UInt8] = [0xEE, 11, 0, 0, 0, 3, 1, 2, 0, 0, 0, 0, 0, 0x80, 0xAA, 0xBB, 0xCC]
        let header = try #require(try Frame.header(in: bytes, at: 1, end: bytes.count))
        #expect(header.tag == 3)
        #expect(header.correlation == 0x201 | Frame.replyBit)
        #expect(header.payload == 14..<16)
    }

    @Test func `what has not come yet is waited for`() throws {
        let bytes = frame(length: 9, of: 9)
        for end in 0..<13 { #expect(try Frame.header(in: bytes, at: 0, end: end) == nil) }
        #expect(try Frame.header(in: bytes, at: 0, end: 13)?.payload == 13..<13)
    }

    @Test(arguments: 0..<9) func `a frame shorter than its header is refused`(length: UInt32) {
        #expect(throws: WireError.truncated) { try Frame.header(in: frame(length: length, of: 20), at: 0, end: 24) }
    }

    @Test func `a frame that is too long is refused as soon as its length is there`() throws {
        let longest = UInt32(Frame.longest - 4)
        #expect(try Frame.header(in: frame(length: longest, of: 0), at: 0, end: 4) == nil)
        for length in [longest + 1, .max, 1 << 31] {
            #expect(throws: WireError.frameTooLong(Int(length))) {
                try Frame.header(in: frame(length: length, of: 0), at: 0, end: 4)
            }
        }
    }

    @Test func `a greeting of another version is refused before anything else is read`() {
        var bytes: [UInt8] = []
        Frame.append(EdgeGreeting(role: .queue, generation: 1, version: 2), correlation: 0, to: &bytes)
        #expect(throws: WireError.wrongVersion(2)) {
            guard let header = try Frame.header(in: bytes, at: 0, end: bytes.count) else { return }
            _ = try EdgeGreeting(decoding: header, in: bytes)
        }
    }

    @Test func `random bytes are a header inside the buffer, incomplete or refused`() throws {
        var random = TestRandom(seed: 11)
        for _ in 0..<50_000 {
            var bytes = random.bytes(upTo: 40)
            if bytes.count > 4 { bytes.replaceSubrange(1..<4, with: [0, 0, 0]) }
            let offset = Int.random(in: 0...bytes.count, using: &random)
            guard let header = try? Frame.header(in: bytes, at: offset, end: bytes.count) else { continue }
            if header.payload.lowerBound != offset + 13 || header.payload.upperBound > bytes.count {
                Issue.record("\(header) of \(bytes)")
            }
        }
    }
}
