// SPDX-License-Identifier: ISC

import Testing

@testable import SMTP

@Suite struct `Line framer` {
    static func frames(_ text: String, _ discipline: LineDiscipline) -> [Framing] {
        var framer = LineFramer(discipline)
        var buffer = Array(text.utf8)
        var frames: [Framing] = []
        while frames.count < 100 {
            let frame = framer.next(in: buffer.span)
            frames.append(frame)
            guard case .line(_, let consumed) = frame else { break }
            buffer.removeFirst(consumed)
        }
        return frames
    }

    static func next(_ framer: inout LineFramer, _ buffer: [UInt8]) -> Framing { framer.next(in: buffer.span) }

    @Test func `CRLF ends a line in every discipline`() {
        for discipline in [LineDiscipline.strict, .undecided, .hand] {
            #expect(
                Self.frames("NOOP\r\nQUIT\r\n", discipline)
                    == [.line(length: 4, consumed: 6), .line(length: 4, consumed: 6), .incomplete])
        }
    }

    @Test(arguments: ["NOOP\n", "NOOP\rQUIT\r\n", "NOOP\r\rQUIT\r\n", "\n", "NOOP\r\r\n"])
    func `a stray CR or LF is no line end in a strict session`(text: String) {
        #expect(Self.frames(text, .strict) == [.violation(.strayLineEnd)])
    }

    @Test func `a bare LF in the first line makes a hand session`() {
        var framer = LineFramer(.undecided)
        let line = Array("HELO localhost\n".utf8)
        #expect(Self.next(&framer, line) == .line(length: 14, consumed: 15))
        #expect(framer.discipline == .hand)
    }

    @Test func `a CRLF in the first line makes a strict session`() {
        #expect(
            Self.frames("HELO localhost\r\nNOOP\n", .undecided)
                == [.line(length: 14, consumed: 16), .violation(.strayLineEnd)])
    }

    @Test func `a bare CR decides nothing`() {
        #expect(Self.frames("HELO\rX\n", .undecided) == [.violation(.strayLineEnd)])
        #expect(Self.frames("HELO\rX\n", .hand) == [.violation(.strayLineEnd)])
    }

    @Test func `the longest line fits and one byte more does not`() {
        let longest = String(repeating: "a", count: LineFramer.longestLine - 2)
        #expect(Self.frames(longest + "\r\n", .strict).first == .line(length: 2046, consumed: 2048))
        #expect(Self.frames(longest + "a\r\n", .strict) == [.violation(.lineTooLong)])
        #expect(Self.frames(longest + "\r", .strict) == [.incomplete])
        #expect(Self.frames(longest + "aa", .strict) == [.violation(.lineTooLong)])
    }

    @Test func `a line may come in any pieces`() {
        let line = Array("MAIL FROM:<somebody@example.org> SIZE=1000\r\n".utf8)
        for first in 0..<line.count {
            var framer = LineFramer(.strict)
            let part = Array(line[..<first])
            #expect(Self.next(&framer, part) == .incomplete)
            #expect(Self.next(&framer, line) == .line(length: line.count - 2, consumed: line.count))
        }
    }

    @Test func `a line control is found at every place of a block`() {
        for length in 0..<70 {
            for (control, filler) in [(0, 0x8A), (0, 0x01), (0x0A, 0x0B), (0x0D, 0x0C), (0x0D, 0xFF)]
                as [(UInt8, UInt8)]
            {
                for place in 0..<length {
                    var bytes = [UInt8](repeating: filler, count: length)
                    bytes[place] = control
                    let span = bytes.span
                    let found = [0, place, place + 1].map { span.indexOfLineControl(from: $0) }
                    #expect(found == [place, place, length])
                }
            }
        }
    }
}
