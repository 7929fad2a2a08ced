// SPDX-License-Identifier: ISC

import Bytes
import SMTP
import Testing

@Suite struct ClientDataEncoderTests {
    static func encode(_ content: [UInt8], sizes: (Int) -> Int = { $0 }) -> [UInt8] {
        var encoder = DataEncoder()
        var output: [UInt8] = []
        var start = 0
        while start < content.count {
            let end = start + min(content.count - start, max(1, sizes(content.count - start)))
            encoder.encode(content.span.extracting(start..<end), into: &output)
            start = end
        }
        encoder.finish(into: &output)
        return output
    }

    /// The rule byte by byte, without any haste.
    static func model(_ content: [UInt8]) -> [UInt8] {
        var lines: [[UInt8]] = [[]]
        var index = 0
        while index < content.count {
            let byte = content[index]
            if byte == 13 || byte == 10 {
                lines.append([])
                if byte == 13, index + 1 < content.count, content[index + 1] == 10 { index += 1 }
            } else {
                lines[lines.count - 1].append(byte)
            }
            index += 1
        }
        if lines.last == [] { lines.removeLast() }
        return lines.flatMap { ($0.first == 0x2E ? [0x2E] : []) + $0 + [13, 10] } + [0x2E, 13, 10]
    }

    @Test(arguments: [
        ("", ".\r\n"), ("a\r\n", "a\r\n.\r\n"), ("a", "a\r\n.\r\n"), (".", "..\r\n.\r\n"), (".\r\n", "..\r\n.\r\n"),
        ("a\r\n.\r\nb\r\n", "a\r\n..\r\nb\r\n.\r\n"), ("a\n.\nb", "a\r\n..\r\nb\r\n.\r\n"),
        ("a\r.\rb", "a\r\n..\r\nb\r\n.\r\n"),
        ("a\r", "a\r\n.\r\n"), ("\n", "\r\n.\r\n"), ("\r\r\n", "\r\n\r\n.\r\n"), ("a\n\r.b", "a\r\n\r\n..b\r\n.\r\n"),
        ("a.\r\n", "a.\r\n.\r\n"),
    ]) func `content is encoded at every segmentation`(content: String, wire: String) {
        let bytes = Array(content.utf8)
        #expect(Self.model(bytes) == Array(wire.utf8))
        for size in 1...max(1, bytes.count) { #expect(Self.encode(bytes, sizes: { _ in size }) == Array(wire.utf8)) }
    }

    @Test func `random content leaves as the model says, in any segments`() {
        var random = ClientTestRandom(seed: 2)
        let alphabet = Array("\r\n.ab".utf8) + [0, 0xFF]
        for round in 0..<3000 {
            let plain = round % 3 == 0
            let content = (0..<Int.random(in: 0..<200, using: &random)).map { _ -> UInt8 in
                if plain, Int.random(in: 0..<20, using: &random) > 0 { return 0x78 }
                return alphabet.randomElement(using: &random) ?? 0
            }
            let wanted = Self.model(content)
            #expect(Self.encode(content) == wanted)
            #expect(Self.encode(content, sizes: { _ in Int.random(in: 1..<40, using: &random) }) == wanted)
        }
    }
}
