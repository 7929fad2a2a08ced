// SPDX-License-Identifier: ISC

import Chance
import Configuration
import Mail
import Routing
import Testing

@Suite struct MatchingTests {
    @Test(arguments: [
        ("example.org", "example.org", true), ("example.org", "EXAMPLE.ORG", true),
        ("EXAMPLE.org", "example.ORG", true),
        ("example.org", "a.example.org", false), ("*.example.org", "a.example.org", true),
        ("*.example.org", "a.b.example.org", false), ("*.example.org", "example.org", false),
        ("*.example.org", ".example.org", true), ("*.*.example.org", "a.b.example.org", true),
        ("*", "anything.at.all", true), ("*", "", false), ("", "", true), ("", "a", false), ("**", "a.b", true),
        ("a*", "abc", true), ("a*", "a", false), ("a*c", "abbc", true), ("a*c", "acbc", false),
        ("mx*.example.org", "mx1.example.org", true),
        ("mx*.example.org", "mx1.a.example.org", false), ("*e.org", "example.org", false),
        ("*.org", "example.org", true),
    ])
    func `a star runs to the first occurrence of what follows`(pattern: String, name: String, expected: Bool) {
        #expect(DomainPattern(pattern).matches(name) == expected)
        #expect(TableContent(list: [pattern]).contains(name, for: .domain) == expected)
    }

    @Test(arguments: [
        ("192.0.2.1", "192.0.2.1", true), ("192.0.2.1", "192.0.2.2", false), ("192.0.2.0/24", "192.0.2.255", true),
        ("192.0.2.0/24", "192.0.3.0", false), ("192.0.2.77/24", "192.0.2.1", true), ("0.0.0.0/0", "198.51.100.4", true),
        ("0.0.0.0/0", "[2001:db8::1]", false), ("::/0", "192.0.2.1", false), ("::/0", "[2001:db8::1]", true),
        ("192.0.2.128/25", "192.0.2.127", false), ("192.0.2.128/25", "192.0.2.128", true),
        ("192.0.2.1/32", "192.0.2.1", true), ("2001:db8::/32", "[2001:db8:ffff::1]", true),
        ("2001:db8::/32", "[2001:db9::1]", false), ("[2001:db8::1]", "2001:db8::1", true),
        ("IPv6:2001:DB8::1", "[2001:db8::1]", true), ("[IPv6:2001:db8::]/32", "[2001:db8::1]", true),
        ("local", "local", true), ("local", "192.0.2.1", false), ("192.0.2.0/33", "192.0.2.0", false),
        ("192.0.2.0/-1", "192.0.2.0", false), ("192.0.2.0/", "192.0.2.0", false),
        ("IPv6:192.0.2.1", "192.0.2.1", false),
        ("2001:db8::/35", "[2001:db8:1fff::]", true), ("2001:db8::/35", "[2001:db8:2000::]", false),
    ])
    func `a network contains an address`(pattern: String, address: String, expected: Bool) {
        #expect(TableContent(list: [pattern]).contains(address, for: .networkAddress) == expected)
        if let network = NetworkPattern(pattern), let address = IPAddress(hostText: address) {
            #expect(network.matches(address) == expected)
        }
    }

    @Test(arguments: [
        ("@", "bob@example.org", true), ("@", "@", true), ("bob", "bob@example.org", true),
        ("bob", "Bob@x.example.org", true),
        ("bob", "bob+tag@example.org", true), ("bob+tag", "bob+tag@example.org", true),
        ("bob+tag", "bob@example.org", false),
        ("bob+tag", "bob+other@example.org", false), ("@example.org", "bob@EXAMPLE.org", true),
        ("@example.org", "@", false),
        ("@*.example.org", "bob@a.example.org", true), ("@*.example.org", "bob@a.b.example.org", false),
        ("@*", "@", false),
        ("bob@example.org", "bob+x@example.org", true), ("bob@example.org", "rob@example.org", false),
        ("bob@*.example.org", "bob+x@a.example.org", true), ("bob+x@*.example.org", "bob@a.example.org", false),
        ("bob@", "bob@example.org", true), ("*@example.org", "bob@example.org", false), ("bob", "@", false),
        ("+x", "+x@example.org", true),
    ])
    func `an address is meant by a pattern`(pattern: String, address: String, expected: Bool) {
        #expect(MailboxPattern(pattern).matches(address, delimiters: .plus) == expected)
        #expect(TableContent(list: [pattern]).contains(address, for: .mailbox) == expected)
    }

    @Test func `the index of addresses agrees with trying one pattern after the other`() {
        var random = TestRandom(seed: 1)
        let alphabet = Array("ab+@.*".utf8)
        var matches = 0
        for _ in 0..<3000 {
            let keys = (0..<3).map { _ in String(decoding: random.bytes(from: alphabet, atMost: 5), as: UTF8.self) }
                .filter { !$0.isEmpty }
            let key = String(decoding: random.bytes(from: Array("ab+@.".utf8), atMost: 6), as: UTF8.self)
            let content = TableContent(list: keys)
            let mailbox = keys.contains { MailboxPattern($0).matches(key, delimiters: .plus) }
            #expect(content.contains(key, for: .mailbox) == mailbox, "\(key) in \(keys)")
            guard !key.utf8.contains(UInt8(ascii: "@")) else { continue }
            let domains = keys.filter { !$0.utf8.contains(UInt8(ascii: "@")) }
            let domain = domains.contains { DomainPattern($0).matches(key) }
            #expect(TableContent(list: domains).contains(key, for: .domain) == domain, "\(key) in \(domains)")
            matches += mailbox ? 1 : 0
        }
        #expect(matches > 100)
    }

    @Test(
        arguments: [
            ("bob", nil, nil), ("bob+a", "bob", "a"), ("bob+a+b", "bob", "a+b"), ("bob-a+b", "bob", "a+b"),
            ("+bob", nil, nil),
            ("bob+", "bob", ""), ("", nil, nil),
        ] as [(String, String?, String?)])
    func `a delimiter ends the name`(name: String, base: String?, tag: String?) {
        let split = SubaddressDelimiters("+-").split(name)
        #expect(split?.base == base)
        #expect(split?.tag == tag)
    }
}
