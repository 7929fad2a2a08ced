// SPDX-License-Identifier: ISC

import Bytes
import Testing

@testable import SMTP

/// What a decoder made of some input.
struct Decoded: Equatable {
    var content: [UInt8] = []
    /// Bytes behind the end of data; nil when the end did not come.
    var rest: Int?
    var findings = ContentFindings(size: ByteCount(0))

    /// Decodes `input` cut into the given pieces; what is left is the last piece.
    init(_ input: [UInt8], _ decoder: DataDecoder, cuts: [Int]) {
        var decoder = decoder
        var start = 0
        for end in cuts + [input.count] {
            let piece = Array(input[start..<max(start, end)])
            let (consumed, isFinished) = decoder.decode(piece.span, into: &content)
            start += consumed
            if isFinished {
                rest = input.count - start
                break
            }
        }
        findings = decoder.findings
    }
}

@Suite struct `Data decoder` {
    static func decoder(
        _ discipline: LineDiscipline = .strict, limit: Int = 1 << 20, hops: Int = 100
    ) -> DataDecoder {
        DataDecoder(discipline, limit: ByteCount(limit), maximumHops: hops)
    }

    /// Decodes whole, then with every one and every two cuts and byte by byte, which must make no difference.
    static func decode(_ text: String, _ decoder: DataDecoder = decoder()) -> Decoded {
        let input = Array(text.utf8)
        let whole = Decoded(input, decoder, cuts: [])
        func compare(_ cuts: [Int]) {
            let other = Decoded(input, decoder, cuts: cuts)
            #expect(other.rest == whole.rest && other.findings.violation == whole.findings.violation, "cut at \(cuts)")
            if whole.findings.violation == nil { #expect(other == whole, "cut at \(cuts)") }
        }
        compare(Array(0..<input.count))
        for first in 0..<input.count {
            compare([first])
            guard input.count < 80 else { continue }
            for second in first..<input.count { compare([first, second]) }
        }
        return whole
    }

    static func content(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test func `dots are removed and the last line end is kept`() {
        let decoded = Self.decode("Subject: x\r\n\r\n..\r\n.a\r\n...\r\na.\r\n.\r\nNOOP\r\n")
        #expect(decoded.content == Self.content("Subject: x\r\n\r\n.\r\na\r\n..\r\na.\r\n"))
        #expect(decoded.rest == 6)
        #expect(decoded.findings == ContentFindings(size: ByteCount(decoded.content.count)))
    }

    @Test func `a message may be empty`() {
        #expect(Self.decode(".\r\n") == Decoded(Array(".\r\n".utf8), Self.decoder(), cuts: []))
        #expect(Self.decode(".\r\n").rest == 0)
        #expect(Self.decode("\r\n.\r\n").content == Self.content("\r\n"))
    }

    @Test func `bytes above 127 pass`() {
        let decoded = Self.decode("X: é\r\n\r\nÿ\r\n.\r\n")
        #expect(decoded.content == Self.content("X: é\r\n\r\nÿ\r\n"))
    }

    // Each would end the data for some other reader, and none does here.
    static let smuggled: [String] = [
        "\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\n.\r", "\r.\n", "\n\n.\n\n", "\r\r.\r\r",
        "\r\n\n.\r\n", "\r\n.\n\r\n", "\r\n.\r\r\n", "\n\r.\r\n", "\r\n\0.\r\n", "\r\n.\0\r\n", "\0\n.\n",
        "\r\n.\n.\r", "\n..\r\n", "\r\0\n.\r\n", "\r\n.\r\0\n",
    ]

    @Test(arguments: smuggled) func `a doubtful end of data ends nothing and refuses the message`(end: String) {
        let text = "Subject: x\r\n\r\nhello" + end + "MAIL FROM:<evil@example.org>\r\nDATA\r\n.\r\nNOOP\r\n"
        let decoded = Self.decode(text)
        #expect(decoded.rest == 6)
        #expect(decoded.findings.violation == .strayLineEnd || decoded.findings.violation == .nul)
    }

    // It holds the true end of data, so the session must follow it; the message is refused all the same.
    @Test func `a CR too many before a true end of data refuses the message`() {
        let decoded = Self.decode("Subject: x\r\n\r\nhello\r\r\n.\r\nNOOP\r\n")
        #expect(decoded.rest == 6)
        #expect(decoded.findings.violation == .strayLineEnd)
    }

    @Test func `behind a violation nothing is written`() {
        let decoded = Self.decode("Subject: x\r\n\r\none\ntwo\r\n.three\r\n.\r\n")
        #expect(!String(decoding: decoded.content, as: UTF8.self).contains("two"))
        #expect(decoded.rest == 0)
    }

    @Test func `a message of the limit passes and one byte more does not`() {
        let text = "A: b\r\n\r\n0123456789\r\n.\r\n"
        #expect(Self.decode(text, Self.decoder(limit: 20)).findings == ContentFindings(size: ByteCount(20)))
        let decoded = Self.decode(text, Self.decoder(limit: 19))
        #expect(decoded.findings.violation == .tooBig)
        #expect(decoded.rest == 0)
        #expect(decoded.content.count <= 19)
    }

    @Test(
        arguments: [
            ("text\r\n", ContentViolation.malformed), (" folded: first\r\n\r\n", .malformed),
            ("A: b\r\nc\r\n", .malformed),
            ("A: b\r\n c\r\n\tno colon\r\n\r\nc\r\n", nil), ("\r\ntext\r\n", nil), ("A: b\r\n", nil),
            (":\r\n\r\n", nil),
        ] as [(String, ContentViolation?)])
    func `a header ends in an empty line`(text: String, violation: ContentViolation?) {
        #expect(Self.decode(text + ".\r\n").findings.violation == violation)
    }

    @Test func `hops are counted in the header only`() {
        let fields = "Received: a\r\nRECEIVED:\r\n Received: b\r\nX-Received: c\r\nReceive: d\r\n"
        let text = fields + "\r\nReceived: e\r\n.\r\n"
        #expect(Self.decode(text).findings.hops == 2)
        #expect(Self.decode(text, Self.decoder(hops: 3)).findings.violation == nil)
        #expect(Self.decode(text, Self.decoder(hops: 2)).findings.violation == .loop)
    }

    @Test(arguments: [
        ("hello\n.\n", "\r\nhello\r\n"), ("\nhello\n.\n", "\r\nhello\r\n"),
        ("A: b\nhello\n\n..\n.\n", "A: b\r\n\r\nhello\r\n\r\n.\r\n"),
        ("A: b\r\n c\n\r\nx\r\n.\r\n", "A: b\r\n c\r\n\r\nx\r\n"), (" x\n.\n", "\r\n x\r\n"), (".\n", ""),
        ("a: b\n.\r\n", "a: b\r\n"), ("x\ny\n.\n", "\r\nx\r\ny\r\n"),
    ])
    func `a hand session writes CRLF and adds the empty line that lacks`(text: String, content: String) {
        let decoded = Self.decode(text, Self.decoder(.hand))
        #expect(decoded.content == Self.content(content))
        #expect(decoded.rest == 0)
        #expect(decoded.findings == ContentFindings(size: ByteCount(content.utf8.count)))
    }

    @Test(arguments: ["a\rb\n.\n", "\n.\rx\n.\n", "a\0\n.\n"])
    func `a hand session takes neither a bare CR nor NUL`(text: String) {
        let decoded = Self.decode(text, Self.decoder(.hand))
        #expect(decoded.rest == 0)
        #expect(decoded.findings.violation != nil)
    }

    @Test func `a hand-typed line without end takes no memory without end`() {
        let input = [UInt8](repeating: 0x61, count: 100_000)
        #expect(Decoded(input, Self.decoder(.hand), cuts: []).findings.violation == .malformed)
    }

    // The simplest decoder that can be right, for comparison: a whole text, strict.
    static func model(_ input: [UInt8]) -> (content: [UInt8], rest: Int)? {
        let end = Array("\r\n.\r\n".utf8)
        let padded = [0x0D, 0x0A] + input
        guard padded.count >= 5 else { return nil }
        for start in 0...(padded.count - 5) where Array(padded[start..<(start + 5)]) == end {
            var content: [UInt8] = []
            var previous: (UInt8, UInt8) = (0x0D, 0x0A)
            for byte in padded[2..<max(2, start + 2)] {
                if !(byte == 0x2E && previous == (0x0D, 0x0A)) { content.append(byte) }
                previous = (previous.1, byte)
            }
            return (content, padded.count - start - 5)
        }
        return nil
    }

    @Test func `random texts decode as the simplest decoder does`() {
        var random = SplitMix(seed: 7)
        let alphabet: [UInt8] = [0x0D, 0x0A, 0x2E, 0x61, 0x3A, 0x00]
        for _ in 0..<20_000 {
            let count = Int(random.next() % 40)
            var input: [UInt8] = Array("A:\r\n\r\n".utf8)
            while input.count < count {
                switch random.next() % 4 {
                case 0: input.append(alphabet[Int(random.next() % 6)])
                case 1: input += [0x0D, 0x0A]
                case 2: input += [0x2E]
                default: input += [0x61, 0x61, 0x61]
                }
            }
            let cuts = [Int(random.next() % UInt64(input.count + 1)), Int(random.next() % UInt64(input.count + 1))]
            let decoded = Decoded(input, Self.decoder(), cuts: cuts.sorted())
            let model = Self.model(input)
            #expect(decoded.rest == model?.rest, "\(input)")
            if decoded.findings.violation == nil, let model { #expect(decoded.content == model.content, "\(input)") }
        }
    }
}

/// Numbers that only look random: the same in every run.
struct SplitMix {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }

    mutating func next(below bound: Int) -> Int { Int(next() % UInt64(bound)) }
}
