// SPDX-License-Identifier: ISC

import Bytes
import Testing

@Suite struct SpanReadingTests {
    @Test func `a production takes from the front and leaves the rest`() {
        let bytes = Array("MAIL FROM:<>".utf8)
        var rest = bytes.span
        #expect(rest.first == UInt8(ascii: "M"))
        #expect(!rest.take(keyword: "RCPT"))
        #expect(rest.count == bytes.count)
        let taken = rest.take(keyword: "mail")
        #expect(taken)
        let blank = rest.take(byte: .space)
        #expect(blank)
        #expect(!rest.take(byte: .space))
        #expect(rest.take(while: \.isLetter).array == Array("FROM".utf8))
        #expect(rest.take(2).array == Array(":<".utf8))
        #expect(rest.array == [UInt8(ascii: ">")])
        #expect(rest.take(9).count == 1)
        #expect(rest.isEmpty && rest.first == nil)
        #expect(!rest.take(byte: .space))
    }

    @Test func `a keyword longer than the span is not in it`() {
        let bytes = Array("DAT".utf8)
        #expect(!bytes.span.startsCaseInsensitively(with: "DATA"))
        #expect(bytes.span.equalsCaseInsensitively("dat"))
        #expect(!bytes.span.equalsCaseInsensitively("da"))
        // A cleared bit 5 makes no letter of these.
        #expect(![0x40].span.equalsCaseInsensitively("`"))
        #expect(![0x5B].span.equalsCaseInsensitively("{"))
    }

    @Test(arguments: [("", ""), (" ", ""), ("\t a b \t", "a b"), ("a", "a"), ("\r ", "\r")])
    func `blanks at the ends are trimmed and no other bytes`(text: String, trimmed: String) {
        #expect(Array(text.utf8).span.trimmed.array == Array(trimmed.utf8))
    }

    @Test(arguments: [
        ("", nil), ("0", 0), ("007", 7), ("18446744073709551615", UInt64.max), ("18446744073709551616", nil),
        ("99999999999999999999", nil), ("1a", nil), ("-1", nil), ("+1", nil), (" 1", nil),
    ] as [(String, UInt64?)])
    func `a number is all digits and fits`(text: String, value: UInt64?) {
        #expect(Array(text.utf8).span.decimal == value)
    }

    @Test func `bytes are found where they first stand`() {
        #expect(Array("a:b:c".utf8).span.firstIndex(of: .colon) == 1)
        #expect(Array("abc".utf8).span.firstIndex(of: .colon) == nil)
    }

    @Test func `text of every kind is appended as its bytes`() {
        var output: [UInt8] = []
        output.append("one " as StaticString)
        output.append(String("two "))
        output.append(Array("three".utf8).span)
        #expect(output == Array("one two three".utf8))
    }
}
