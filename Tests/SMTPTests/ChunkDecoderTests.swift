// SPDX-License-Identifier: ISC

import Bytes
import Mail
import Testing

@testable import SMTP

@Suite struct `Decoder of chunks` {
    private static func decode(
        _ parts: [[UInt8]], _ body: MessageRequest.Body? = nil, limit: Int = 1000
    ) -> (content: [UInt8], findings: ContentFindings) {
        var decoder = ChunkDecoder(body, limit: ByteCount(limit), maximumHops: 3)
        var output: [UInt8] = []
        for part in parts { decoder.decode(part.span, into: &output) }
        decoder.finish()
        return (output, decoder.findings)
    }

    private static let cases: [(text: String, violation: ContentViolation?)] = [
        ("Subject: x\r\n\r\nbody\r\n", nil),
        ("Subject: x\r\n\r\n.\r\n.\r\n", nil),
        ("Subject: x\r\n\r\nno end of line", nil),
        ("Subject: x\r\n\r\n\n.\n", .strayLineEnd),
        ("Subject: x\r\n\r\na\rb", .strayLineEnd),
        ("Subject: x\r\n\r\na\r\r\n", .strayLineEnd),
        ("Subject: x\r\n\r\na\r", .strayLineEnd),
        ("Subject: x\n\n", .strayLineEnd),
        ("Subject: \0\r\n\r\n", .nul),
        ("no header\r\n\r\n", .malformed),
        (" folded\r\n\r\n", .malformed),
        ("Received: 1\r\nreceived: 2\r\nRECEIVED: 3\r\n\r\n", .loop),
        ("Received: 1\r\nreceived: 2\r\n\r\nReceived: 3\r\n", nil),
    ]

    @Test(arguments: cases.indices) func `what it finds does not depend on where chunks are cut`(index: Int) {
        let (text, violation) = Self.cases[index]
        let bytes = Array(text.utf8)
        for first in 0...bytes.count {
            for second in first...bytes.count {
                let parts = [Array(bytes[..<first]), Array(bytes[first..<second]), Array(bytes[second...])]
                let (content, findings) = Self.decode(parts)
                #expect(findings.violation == violation, "\(first) \(second)")
                if violation == nil { #expect(content == bytes) }
            }
        }
    }

    @Test func `the body of a binary message is kept byte by byte, its header is lines`() {
        let every = (0...255).map { UInt8($0) }
        let bytes = Array("Subject: x\r\n\r\n".utf8) + every + every.reversed() + [13]
        for cut in 0...bytes.count {
            let (content, findings) = Self.decode([Array(bytes[..<cut]), Array(bytes[cut...])], .binaryMIME)
            #expect(findings.violation == nil, "\(cut)")
            #expect(content == bytes)
        }
        #expect(Self.decode([Array("Subject: x\nTo: y\r\n\r\n".utf8)], .binaryMIME).findings.violation == .strayLineEnd)
        #expect(Self.decode([bytes], .eightBitMIME).findings.violation == .nul)
    }

    @Test func `the size counts over all chunks`() {
        let header = Array("Subject: x\r\n\r\n".utf8)
        #expect(Self.decode([header, [UInt8](repeating: 65, count: 86)], limit: 100).findings.violation == nil)
        let (content, findings) = Self.decode([header, [UInt8](repeating: 65, count: 87)], limit: 100)
        #expect(findings.violation == .tooBig)
        #expect(content == header)
    }
}
