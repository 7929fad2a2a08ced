// SPDX-License-Identifier: ISC

import Bytes
import Testing

@Suite struct SpanReadingTests {
    @Test func `a production takes from the front and leaves the rest`() {
        let bytes = Array("MAIL FROM:<>".utf8)
        var rest = bytes.span
        let isOther = rest.take(keyword: "RCPT")
        let whole = rest.count
        let isMail = rest.take(keyword: "mail")
        let isBlank = rest.take(byte: .space)
        let isBlankAgain = rest.take(byte: .space)
        let word = rest.take(while: { $0.isLetter }).array
        let two = rest.take(2).array
        let left = rest.array
        let more = rest.take(9).count
        let first = rest.first
        let isMore = rest.take(byte: .space)
        #expect(!isOther && whole == bytes.count && isMail && isBlank && !isBlankAgain)
        #expect(word == Array("FROM".utf8))
        #expect(two == Array(":<".utf8))
        #expect(left == [UInt8(ascii: ">")])
        #expect(more == 1 && first == nil && !isMore)
    }

    private func starts(_ bytes: [UInt8], with keyword: StaticString) -> Bool {
        bytes.span.startsCaseInsensitively(with: keyword)
    }

    private func equals(_ bytes: [UInt8], _ keyword: StaticString) -> Bool {
        bytes.span.equalsCaseInsensitively(keyword)
    }

    @Test func `a keyword longer than the span is not in it`() {
        let bytes = Array("DAT".utf8)
        #expect(!starts(bytes, with: "DATA") && starts(bytes, with: "da") && starts([], with: ""))
        #expect(equals(bytes, "dat") && !equals(bytes, "da"))
        // A cleared bit 5 makes no letter of these.
        #expect(!equals([0x40], "`") && !equals([0x5B], "{"))
    }

    @Test(arguments: [("", ""), (" ", ""), ("\t a b \t", "a b"), ("a", "a"), ("\r ", "\r")])
    func `blanks at the ends are trimmed and no other bytes`(text: String, trimmed: String) {
        let found = Array(text.utf8).span.trimmed.array
        #expect(found == Array(trimmed.utf8))
    }

    @Test(
        arguments: [
            ("", nil), ("0", 0), ("007", 7), ("18446744073709551615", UInt64.max), ("18446744073709551616", nil),
            ("99999999999999999999", nil), ("1a", nil), ("-1", nil), ("+1", nil), (" 1", nil),
        ] as [(String, UInt64?)])
    func `a number is all digits and fits`(text: String, value: UInt64?) {
        let found = Array(text.utf8).span.decimal
        #expect(found == value)
    }

    @Test func `bytes are found where they first stand`() {
        let places = ["a:b:c", "abc", ""].map { Array($0.utf8).span.firstIndex(of: .colon) }
        #expect(places == [1, nil, nil])
    }

    @Test func `text of every kind is appended as its bytes`() {
        var output: [UInt8] = []
        output.append("one " as StaticString)
        output.append(String("two "))
        output.append(Array("three".utf8).span)
        #expect(output == Array("one two three".utf8))
    }
}
