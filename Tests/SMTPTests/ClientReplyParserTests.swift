// SPDX-License-Identifier: ISC

import Bytes
import Mail
import SMTP
import Testing

@Suite struct ClientReplyParserTests {
    /// All replies in `text`, fed in pieces of `size` bytes.
    static func parse(_ text: [UInt8], size: Int = .max) throws(ReplyParser.Failure) -> [Reply] {
        var parser = ReplyParser()
        var replies: [Reply] = []
        var start = 0
        while start < text.count {
            let end = size >= text.count - start ? text.count : start + size
            var rest = text.span.extracting(start..<end)
            while let reply = try parser.next(from: &rest) { replies.append(reply) }
            if rest.count > 0 { Issue.record("bytes left over") }
            start = end
        }
        return replies
    }

    static let good: [(String, Reply)] = [
        ("250 ok\r\n", Reply(250, nil, "ok")),
        ("250\r\n", Reply(250, nil, "")),
        ("250 \r\n", Reply(250, nil, "")),
        ("220 mx.example.org ESMTP\n", Reply(220, nil, "mx.example.org ESMTP")),
        ("550 5.1.1 no such user\r\n", Reply(550, EnhancedStatus(5, 1, 1), "no such user")),
        ("550-5.1.1 no\r\n550 5.1.1 user\r\n", Reply(550, EnhancedStatus(5, 1, 1), lines: ["no", "user"])),
        (
            "550-5.1.1 no\r\n550-5.7.1 way\r\n550 x\r\n",
            Reply(550, EnhancedStatus(5, 1, 1), lines: ["no", "5.7.1 way", "x"])
        ),
        ("550 4.1.1 contradiction\r\n", Reply(550, nil, "4.1.1 contradiction")),
        ("354 3.0.0 go\r\n", Reply(354, nil, "3.0.0 go")),
        ("250-a\r\n250-b\r\n250 c\r\n", Reply(250, lines: ["a", "b", "c"])),
        ("250 a\rb\u{7}\u{e9}\r\n", Reply(250, nil, "a?b???")),
    ]

    @Test(arguments: good.indices) func `a reply is read at every segmentation`(index: Int) throws {
        let (text, reply) = Self.good[index]
        for size in 1...(text.utf8.count) { #expect(try Self.parse(Array(text.utf8), size: size) == [reply]) }
        #expect(try Self.parse(Array((text + text).utf8)) == [reply, reply])
    }

    @Test(arguments: [
        ("hello\r\n", ReplyParser.Failure.notAReply), ("\r\n", .notAReply), ("25 ok\r\n", .notAReply),
        ("250_ok\r\n", .notAReply), ("150 ok\r\n", .notAReply), ("650 ok\r\n", .notAReply), ("2x0 ok\r\n", .notAReply),
        ("250-a\r\n251 b\r\n", .codesDiffer), ("250-a\r\n550 b\r\n", .codesDiffer), ("250-a\r\n\r\n", .notAReply),
    ]) func `what is no reply is refused`(text: String, failure: ReplyParser.Failure) {
        #expect(throws: failure) { try Self.parse(Array(text.utf8)) }
        #expect(throws: failure) { try Self.parse(Array(text.utf8), size: 1) }
    }

    @Test func `no prefix of a reply is a reply`() throws {
        let text = Array("550-5.1.1 no\r\n550 5.1.1 user\r\n".utf8)
        for count in 0..<text.count { #expect(try Self.parse(Array(text.prefix(count))).isEmpty) }
    }

    @Test func `a line is at most 2048 bytes`() throws {
        let longest = Array("250 ".utf8) + [UInt8](repeating: 0x61, count: 2044)
        #expect(try Self.parse(longest + [13, 10]).count == 1)
        #expect(try Self.parse(longest + [13, 10], size: 7).count == 1)
        #expect(try Self.parse(longest + [10], size: 2047).count == 1)
        for size in [1, 100, Int.max] {
            #expect(throws: ReplyParser.Failure.lineTooLong) { try Self.parse(longest + [0x61, 13, 10], size: size) }
            #expect(throws: ReplyParser.Failure.lineTooLong) { try Self.parse(longest + longest, size: size) }
        }
    }

    @Test func `many lines are counted and the first kept`() throws {
        var parser = ReplyParser()
        let text = Array((String(repeating: "250-x\r\n", count: 999) + "250 y\r\n").utf8)
        var rest = text.span
        let reply = try parser.next(from: &rest)
        #expect(reply?.lines.count == 100)
        #expect(parser.droppedLines == 900)
        let more = Array((String(repeating: "250-x\r\n", count: 1001)).utf8)
        #expect(throws: ReplyParser.Failure.tooManyLines) { try Self.parse(more) }
        let long = Array(
            (String(repeating: "250-\(String(repeating: "x", count: 490))\r\n", count: 50) + "250 y\r\n").utf8)
        #expect(try Self.parse(long).first?.lines.count == 17)
    }

    @Test func `random bytes never trap and no text carries a control character`() {
        var random = ClientTestRandom(seed: 1)
        let alphabet = Array("250-550 4.1.1\r\n\r\n\r\n2 -\u{0}\u{e9}x".utf8)
        for _ in 0..<5000 {
            let text = (0..<Int.random(in: 0..<60, using: &random)).map { _ in
                alphabet.randomElement(using: &random) ?? 0
            }
            guard let whole = try? Self.parse(text) else { continue }
            #expect((try? Self.parse(text, size: 3)) == whole)
            for line in whole.flatMap(\.lines) { #expect(line.utf8.allSatisfy { $0.isPrintable }) }
        }
    }
}

/// A small generator of its own seed, so that a failure can be repeated.
struct ClientTestRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    // splitmix64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
