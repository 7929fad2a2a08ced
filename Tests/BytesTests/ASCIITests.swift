// SPDX-License-Identifier: ISC

import Bytes
import Testing

@Suite struct ASCIITests {
    @Test func `every byte is in the classes that its character says`() {
        for byte in UInt8.min...UInt8.max {
            let scalar = Unicode.Scalar(byte)
            let isASCII = byte < 0x80
            #expect(byte.isDigit == (isASCII && ("0"..."9").contains(scalar)))
            #expect(byte.isLetter == (isASCII && (("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar))))
            #expect(byte.isAlphanumeric == (byte.isDigit || byte.isLetter))
            #expect(byte.isBlank == (scalar == " " || scalar == "\t"))
            #expect(byte.isPrintable == ((0x20...0x7E).contains(byte)))
            #expect(byte.isVisible == (byte.isPrintable && byte != 0x20))
            #expect(byte.lowercased == (("A"..."Z").contains(scalar) ? byte + 32 : byte))
            #expect(byte.hexadecimalValue == (isASCII ? Character(scalar).hexDigitValue.map { UInt8($0) } : nil))
        }
    }

    @Test func `only ASCII capitals are made small`() {
        #expect("Example.ORG".asciiLowercased == "example.org")
        #expect("already small".asciiLowercased == "already small")
        #expect("ÄÖ-K".asciiLowercased == "ÄÖ-k")
        #expect("".asciiLowercased.isEmpty)
    }

    @Test func `text with a byte above 127 is not ASCII`() {
        #expect(String(ascii: Array("plain".utf8).span) == "plain")
        #expect(String(ascii: [0x61, 0x80].span) == nil)
        #expect(String(ascii: [UInt8]().span)?.isEmpty == true)
        #expect(String(displaying: [0x61, 0xFF].span) == "a\u{FFFD}")
    }
}
