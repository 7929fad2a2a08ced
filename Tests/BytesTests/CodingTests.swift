// SPDX-License-Identifier: ISC

import Bytes
import Chance
import Testing

@Suite struct CodingTests {
    // RFC 4648 section 10
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ])
    func `the vectors of RFC 4648 go both ways`(plain: String, coded: String) {
        #expect(Base64.encode(Array(plain.utf8).span) == Array(coded.utf8))
        #expect(Base64.decode(Array(coded.utf8).span) == Array(plain.utf8))
    }

    @Test(arguments: [
        "Z", "Zg", "Zg=", "=", "====", "Z===", "Zg==Zg==", "Zm9=v", "Zm=v", "Zm9v\n", "Zm 9", "Zm9-", "Zm9_",
        "Zh==", "Zm9=", "Zg=a", "=Zm9", "Zm9v=",
    ])
    func `what is not canonical is refused`(coded: String) {
        #expect(Base64.decode(Array(coded.utf8).span) == nil)
    }

    @Test func `whatever is encoded is decoded again, and no prefix of it traps`() {
        var random = TestRandom(seed: 1)
        for _ in 0..<2000 {
            let plain = random.bytes(upTo: 40)
            let coded = Base64.encode(plain.span)
            #expect(coded.count == (plain.count + 2) / 3 * 4)
            #expect(Base64.decode(coded.span) == plain)
            for count in 0..<coded.count where count % 4 != 0 {
                let prefix = Array(coded[..<count])
                #expect(Base64.decode(prefix.span) == nil)
            }
            _ = Base64.decode(random.bytes(upTo: 24).span)
        }
    }

    @Test func `hexadecimal keeps its width and drops what is above it`() {
        #expect(Hexadecimal.text(0, width: 8) == "00000000")
        #expect(Hexadecimal.text(0xDEAD_BEEF, width: 8) == "deadbeef")
        #expect(Hexadecimal.text(0x1_2345_6789, width: 8) == "23456789")
        #expect(Hexadecimal.text(.max, width: 16) == "ffffffffffffffff")
        #expect(Hexadecimal.text(5, width: 0).isEmpty)
    }

    @Test func `hexadecimal is read in either case and in exactly its width`() {
        #expect(Hexadecimal.value("deadBEEF", width: 8) == 0xDEAD_BEEF)
        #expect(Hexadecimal.value("ffffffffffffffff", width: 16) == .max)
        for text in ["", "1234567", "123456789", "+1234567", "0x123456", "1234567g", "１２３４５６７８", "1234567 "] {
            #expect(Hexadecimal.value(text, width: 8) == nil)
        }
        #expect(Hexadecimal.value("00000000000000000", width: 17) == nil)
    }

    @Test func `what a remote party chose cannot forge a line or a field`() {
        #expect("\(VisibleText("plain text"))" == "plain text")
        #expect("\(VisibleText("a\r\nb"))" == "a\\015\\012b")
        #expect("\(VisibleText("\"\\"))" == "\\\"\\\\")
        #expect("\(VisibleText([0x00, 0x7F, 0xFF]))" == "\\000\\177\\377")
        #expect("\(VisibleText("abcdef", limit: 3))" == "abc")
        for byte in UInt8.min...UInt8.max {
            #expect(VisibleText([byte]).description.utf8.allSatisfy { $0.isPrintable })
        }
    }

    @Test func `counts of bytes compare and know their units`() {
        #expect(ByteCount.kibibytes(2) == ByteCount(2048))
        #expect(ByteCount.mebibytes(1) > .kibibytes(1023))
    }
}
