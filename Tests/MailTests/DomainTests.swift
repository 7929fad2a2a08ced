// SPDX-License-Identifier: ISC

import Chance
import Mail
import Testing

@Suite struct DomainTests {
    private static let label63 = String(repeating: "a", count: 63)

    @Test(arguments: [
        "example.org", "a", "localhost", "EXAMPLE.org", "x-1.example.org", "_dmarc.example.org", "1.2.3.example",
        label63 + ".org", [label63, label63, label63, label63].joined(separator: "."),
    ])
    func `a host name is taken as written`(text: String) {
        #expect(Domain(text)?.text == text)
        #expect(Domain(text)?.form == .name)
        #expect(Domain(text)?.canonical == text.lowercased())
    }

    @Test(arguments: [
        "", ".", "a.", ".a", "a..b", "-a", "a-", "a.-b", "a-.b", "a b", "a@b", "a/b", "ex☺mple.org", "a\0", "a\r\n",
        label63 + "a", [label63, label63, label63, label63, "a"].joined(separator: "."), "*", "a:b", "<a>",
    ])
    func `what is no host name is refused`(text: String) { #expect(Domain(text) == nil) }

    @Test(arguments: [
        ("[192.0.2.1]", "192.0.2.1"), ("[IPv6:2001:db8::1]", "2001:db8::1"), ("[ipv6:2001:DB8::1]", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
    ])
    func `an address literal is an address`(text: String, address: String) throws {
        let address = try #require(IPAddress(address))
        #expect(Domain(text)?.form == .literal(address))
        #expect(Domain(text)?.text == text)
        #expect(Domain(Domain(literal: address).text) == Domain(literal: address))
    }

    @Test(arguments: [
        "[", "]", "[]", "[[192.0.2.1]]", "[192.0.2.1", "192.0.2.1]", "[IPv6:192.0.2.1]", "[IPv6:]", "[IPv6:::1::]",
        "[192.0.2.256]", "[ 192.0.2.1]", "[example.org]", "[192.0.2.1].org",
    ])
    func `what is no literal is refused`(text: String) { #expect(Domain(text) == nil) }

    @Test func `case makes no difference, not even in a set`() throws {
        let small = try #require(Domain("example.org"))
        let capital = try #require(Domain("Example.ORG"))
        #expect(small == capital)
        #expect(Set([small, capital]).count == 1)
        #expect(try #require(Domain("example.com")) != small)
    }

    @Test func `every prefix is a name that prints itself, or refused`() {
        for text in ["mail.example.org", "[IPv6:2001:db8::192.0.2.1]", "[192.0.2.200]"] {
            for count in 0...text.count {
                let prefix = String(text.prefix(count))
                if let domain = Domain(prefix) { #expect(domain.text == prefix) }
            }
        }
    }

    @Test func `random bytes never trap and what passes is printable`() {
        var random = TestRandom(seed: 2)
        let alphabet = Array("ab.-_[]:1290IPv6:ffff \"@".utf8)
        for round in 0..<20_000 {
            let bytes =
                round % 2 == 0
                ? random.bytes(upTo: 40)
                : (0..<Int.random(in: 0...20, using: &random)).compactMap { _ in alphabet.randomElement(using: &random)
                }
            if let domain = Domain(parsing: bytes.span) {
                #expect(Array(domain.text.utf8) == bytes)
                #expect(bytes.allSatisfy { $0 > 0x20 && $0 != 0x7F })
                #expect(domain.canonical.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F })
            }
        }
    }
}
