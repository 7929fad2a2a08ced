// SPDX-License-Identifier: ISC

import Bytes
import Chance
import Mail
import Message
import Testing

@Suite struct HeaderScannerTests {
    static func scan(_ content: [UInt8], size: Int = .max) -> HeaderFindings {
        var scanner = HeaderScanner(deliveredTo: .collected)
        var start = 0
        while start < content.count {
            let end = start + min(size, content.count - start)
            scanner.scan(content.span.extracting(start..<end))
            start = end
        }
        scanner.finish()
        #expect(scanner.isEnded)
        return scanner.findings
    }

    static func scan(_ text: String) -> HeaderFindings { scan(Array(text.utf8)) }

    static let story = """
        Received: from a\r\n\tby b\r\nBCC: one@example.org,\r\n two@example.org\r\nbcc : three@example.org\r\n\
        Delivered-To:  x@example.org \r\nDATE: now\r\nReceived: x\r\nBcc:\r\n\
        From: a@example.org\r\nMessage-Id: <1@x>\r\n\
        delivered-to: y@\r\n\texample.org\r\n\r\nReceived: body\r\nno colon\r\n
        """

    @Test func `a header is understood at every segmentation`() {
        let content = Array(Self.story.utf8)
        let whole = Self.scan(content)
        #expect(whole.fault == nil)
        #expect(whole.receivedCount == 2)
        #expect(whole.hasDate && whole.hasFrom && whole.hasMessageID)
        #expect(whole.deliveredTo == ["x@example.org", "y@\texample.org"])
        let dropped = whole.bccRanges.map { String(decoding: content[$0], as: UTF8.self) }
        let first = "BCC: one@example.org,\r\n two@example.org\r\nbcc : three@example.org\r\n"
        #expect(dropped == [first, "Bcc:\r\n"])
        #expect(String(decoding: content[(whole.bodyStart ?? 0)...], as: UTF8.self).hasPrefix("Received: body"))
        #expect(whole.bodyStart == whole.headerEnd + 2)
        for size in 1..<content.count { #expect(Self.scan(content, size: size) == whole) }
    }

    @Test(
        arguments: [
            ("", nil), ("\r\n", 2), ("\r\nbody\r\n", 2), ("A: b\r\n", nil), ("A: b\r\n\r\n", 8),
            ("A:\r\n b\r\n\r\nx", 10),
            ("A:b", nil), ("A: b\r\n c", nil), ("From a Mon 10:00\r\n\r\n", 20),
        ] as [(String, Int?)]) func `where the body begins`(text: String, bodyStart: Int?)
    {
        let findings = Self.scan(text)
        #expect(findings.fault == nil)
        #expect(findings.bodyStart == bodyStart)
        #expect(findings.headerEnd == bodyStart.map { $0 - 2 } ?? text.utf8.count)
        #expect(findings.isUnterminated == (bodyStart == nil && !text.isEmpty && !text.hasSuffix("\r\n")))
    }

    @Test(arguments: [
        (" A: b\r\n\r\n", HeaderFindings.Fault.leadingBlank), ("\t\r\n", .leadingBlank),
        ("hello\r\n", .neitherFieldNorContinuation(at: 0)),
        ("A: b\r\nhello\r\n\r\n", .neitherFieldNorContinuation(at: 6)),
        (": b\r\n", .neitherFieldNorContinuation(at: 0)), ("hello", .neitherFieldNorContinuation(at: 0)),
        ("A: b\r\n\rx\r\n", .neitherFieldNorContinuation(at: 6)), ("A: b\r\n\r", .neitherFieldNorContinuation(at: 6)),
    ]) func `what is no header has a fault`(text: String, fault: HeaderFindings.Fault) {
        #expect(Self.scan(text).fault == fault)
        #expect(Self.scan(Array(text.utf8), size: 1).fault == fault)
    }

    @Test func `names, headers and Bcc fields are bounded`() {
        let name = String(repeating: "n", count: 1023)
        #expect(Self.scan(name + ": x\r\n\r\n").fault == nil)
        #expect(Self.scan(name + "n: x\r\n\r\n").fault == .nameTooLong(at: 0))
        let line = Array("A: \(String(repeating: "x", count: 995))\r\n".utf8)
        let fits = Array(repeating: line, count: 1000).flatMap { $0 }
        #expect(Self.scan(fits + [13, 10], size: 4096).fault == nil)
        #expect(Self.scan(fits + fits, size: 4096).fault == .headerTooLong)
        #expect(
            Self.scan(Array("A:".utf8) + [UInt8](repeating: 0x20, count: 1 << 20), size: 999).fault == .headerTooLong)
        #expect(Self.scan(String(repeating: "Bcc: x\r\nA: b\r\n", count: 100) + "\r\n").fault == nil)
        #expect(Self.scan(String(repeating: "Bcc: x\r\nA: b\r\n", count: 101) + "\r\n").fault == .tooManyBccFields)
        #expect(Self.scan(String(repeating: "Bcc: x\r\n", count: 5000) + "\r\n").bccRanges == [0..<40000])
        let value = String(repeating: "v", count: 1025)
        #expect(Self.scan("Delivered-To: \(value)\r\nDelivered-To: a\r\n\r\n").deliveredTo == ["a"])
    }

    @Test func `every prefix is scanned without a trap`() {
        let content = Array(Self.story.utf8)
        for count in 0...content.count {
            let findings = Self.scan(Array(content.prefix(count)))
            #expect(findings.headerEnd <= count)
            #expect(findings.bccRanges.allSatisfy { $0.upperBound <= count })
        }
    }

    @Test func `random content is scanned the same in any segments`() {
        var random = TestRandom(seed: 4)
        let words = [
            "Bcc", ":", " ", "\t", "\r\n", "\r\n", "\r", "\n", "x", "Received", "\u{0}", "Date", "Delivered-To",
        ]
        for _ in 0..<4000 {
            let text = (0..<Int.random(in: 0..<30, using: &random)).map { _ in words.randomElement(using: &random) ?? ""
            }
            let content = Array(text.joined().utf8)
            let whole = Self.scan(content)
            #expect(Self.scan(content, size: Int.random(in: 1..<9, using: &random)) == whole)
            var last = 0
            for range in whole.bccRanges {
                #expect(range.lowerBound >= last && range.upperBound <= whole.headerEnd)
                last = range.upperBound
            }
        }
    }
}

@Suite struct MessagePiecesTests {
    static func assemble(_ text: String, missing: MissingFields? = nil) -> String {
        let content = Array(text.utf8)
        let pieces = MessagePieces.list(
            HeaderScannerTests.scan(content), contentCount: content.count, trace: Array("T: t\r\n".utf8),
            missing: missing)
        var output: [UInt8] = []
        for piece in pieces {
            switch piece {
            case .bytes(let bytes):
                #expect(!bytes.isEmpty)
                output += bytes
            case .range(let range):
                #expect(!range.isEmpty)
                output += content[range]
            }
        }
        return String(decoding: output, as: UTF8.self)
    }

    @Test(arguments: [
        ("A: b\r\n\r\nx\r\n", "T: t\r\nA: b\r\n\r\nx\r\n"), ("\r\nx\r\n", "T: t\r\n\r\nx\r\n"), ("", "T: t\r\n\r\n"),
        ("A: b\r\n", "T: t\r\nA: b\r\n\r\n"), ("A: b", "T: t\r\nA: b\r\n\r\n"),
        ("Bcc: x\r\nA: b\r\nBcc: y\r\n\r\nz\r\n", "T: t\r\nA: b\r\n\r\nz\r\n"),
        ("A: b\r\nBcc: x", "T: t\r\nA: b\r\n\r\n"),
        ("Bcc: x\r\n", "T: t\r\n\r\n"),
    ]) func `a message is put together`(text: String, wanted: String) {
        #expect(Self.assemble(text) == wanted)
    }

    @Test func `missing fields are added where they are missing`() {
        let missing = MissingFields(date: MailDate(.init(seconds: 0)), messageID: "<1@example.org>")
        let date = "Date: Thu, 1 Jan 1970 00:00:00 +0000 (UTC)\r\n"
        let id = "Message-ID: <1@example.org>\r\n"
        #expect(Self.assemble("A: b\r\n\r\n", missing: missing) == "T: t\r\n\(date)\(id)A: b\r\n\r\n")
        #expect(Self.assemble("date: b\r\n\r\n", missing: missing) == "T: t\r\n\(id)date: b\r\n\r\n")
        #expect(Self.assemble("message-id: b\r\n\r\n", missing: missing) == "T: t\r\n\(date)message-id: b\r\n\r\n")
    }
}
