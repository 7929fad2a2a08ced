// SPDX-License-Identifier: ISC

import Chance
import Mail
import Testing

@Suite struct IPAddressTests {
    @Test(arguments: ["0.0.0.0", "192.0.2.1", "255.255.255.255", "127.0.0.1"])
    func `an IPv4 address prints as it was written`(text: String) {
        #expect(IPAddress(text)?.description == text)
        #expect(IPAddress(text)?.family == .v4)
    }

    // RFC 5952 section 4 and RFC 4291 section 2.2
    @Test(arguments: [
        ("::", "::"), ("::1", "::1"), ("1::", "1::"), ("0:0:0:0:0:0:0:0", "::"), ("0:0:0:0:0:0:0:1", "::1"),
        ("2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"), ("2001:DB8::ABCD", "2001:db8::abcd"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"), ("2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
        ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"), ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"), ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
        ("1:0:0:4:5:6:0:0", "1::4:5:6:0:0"), ("1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"), ("1::8", "1::8"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1"), ("::ffff:c000:201", "::ffff:192.0.2.1"),
        ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"), ("::192.0.2.1", "::c000:201"),
        ("1:2:3:4:5:6:192.0.2.1", "1:2:3:4:5:6:c000:201"), ("::ffff:0:0", "::ffff:0.0.0.0"),
        ("fe80::1:0:0:0:1", "fe80:0:0:1::1"),
    ])
    func `an IPv6 address prints in the one form of RFC 5952`(text: String, canonical: String) throws {
        let address = try #require(IPAddress(text))
        #expect(address.family == .v6)
        #expect(address.description == canonical)
        #expect(IPAddress(canonical) == address)
    }

    @Test(arguments: [
        "", ".", "1", "1.2.3", "1.2.3.4.5", "1.2.3.", ".1.2.3", "1..2.3", "256.1.1.1", "1.2.3.04", "01.2.3.4",
        "1.2.3.4 ",
        " 1.2.3.4", "+1.2.3.4", "-1.2.3.4", "1.2.3.0x4", "1.2.3.1234", "１.2.3.4", "1.2.3.4\0", "1.2.3.4\n",
        ":", ":::", "::::", "1:", ":1", "1:2", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "::1::", "1:::2",
        ":1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:", ":1::2", "1::2:", "12345::", "g::", "::g", "+1::", "::-1", ":: 1",
        "::1 ",
        "::1%eth0", "1.2.3.4::", "::1.2.3.4:5", "::1.2.3", "::256.1.1.1", "::1.2.3.4.5", "1:2:3:4:5:6:7:1.2.3.4",
        "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "1:2:3:4::5:6:7:8", "[::1]", "2001:db8::1/64",
    ])
    func `what is no address is refused`(text: String) { #expect(IPAddress(text) == nil) }

    @Test func `every address survives printing and parsing`() throws {
        var random = TestRandom(seed: 5)
        for round in 0..<20_000 {
            let count = round % 4 == 0 ? 4 : 16
            // Many zeros, so that compression has work to do.
            let bytes = (0..<count).map { _ in
                Bool.random(using: &random) ? 0 : UInt8.random(in: 0...255, using: &random)
            }
            let address = try #require(IPAddress(bytes: bytes))
            // Not #expect, which costs far more than what it looks at here.
            if IPAddress(address.description) != address { Issue.record("\(bytes)") }
            if Domain(address.literal)?.form != .literal(address) { Issue.record("\(bytes) as a literal") }
        }
    }

    @Test func `every prefix and random text is an address that prints and parses, or refused`() {
        var random = TestRandom(seed: 6)
        let alphabet = Array("0123456789abcdef::::.g")
        var texts: [String] = []
        for story in ["2001:db8:1:2::192.0.2.1", "192.0.2.254", "::ffff:192.0.2.1"] {
            texts += (0...story.count).map { String(story.prefix($0)) }
        }
        for _ in 0..<20_000 {
            let count = Int.random(in: 0...24, using: &random)
            texts.append(String((0..<count).compactMap { _ in alphabet.randomElement(using: &random) }))
        }
        for text in texts {
            guard let address = IPAddress(text) else { continue }
            #expect(IPAddress(address.description) == address, "\(text)")
        }
    }

    @Test func `only 4 or 16 bytes are an address`() {
        for count in 0...20 {
            let address = IPAddress(bytes: [UInt8](repeating: 1, count: count))
            #expect((address != nil) == (count == 4 || count == 16))
        }
    }

    @Test func `an address knows what it is for`() throws {
        func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }
        #expect(try address("127.255.0.1").isLoopback && address("::1").isLoopback)
        #expect(try !address("128.0.0.1").isLoopback && !address("::2").isLoopback && !address("1::1").isLoopback)
        #expect(try address("0.0.0.0").isUnspecified && address("::").isUnspecified)
        #expect(try address("224.0.0.1").isMulticast && address("239.255.255.255").isMulticast)
        #expect(try address("ff02::1").isMulticast && !address("240.0.0.1").isMulticast)
        #expect(try !address("223.255.255.255").isMulticast && !address("fe80::1").isMulticast)
    }

    @Test func `an IPv4 address inside an IPv6 one comes out`() throws {
        let mapped = try #require(IPAddress("::ffff:192.0.2.1"))
        #expect(mapped.unmapped.description == "192.0.2.1")
        #expect(IPAddress("::fffe:192.0.2.1")?.unmapped.family == .v6)
        #expect(IPAddress("1::ffff:192.0.2.1")?.unmapped.family == .v6)
        #expect(IPAddress("192.0.2.1")?.unmapped.description == "192.0.2.1")
    }

    @Test func `addresses have the texts of replies, logs and the DNS`() {
        #expect(IPAddress("192.0.2.1")?.literal == "[192.0.2.1]")
        #expect(IPAddress("2001:db8::1")?.literal == "[IPv6:2001:db8::1]")
        #expect(IPAddress("192.0.2.1")?.hostText == "192.0.2.1")
        #expect(IPAddress("2001:db8::1")?.hostText == "[2001:db8::1]")
        #expect(IPAddress("192.0.2.1")?.reverseName == "1.2.0.192.in-addr.arpa")
        // RFC 3596 section 2.5
        #expect(
            IPAddress("4321:0:1:2:3:4:567:89ab")?.reverseName
                == "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa")
    }
}
