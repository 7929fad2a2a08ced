// SPDX-License-Identifier: ISC

import Configuration
import Mail
import Testing

struct LMTPDestinationTests {
    private func place(_ text: String, for user: String = "bob") throws -> LMTPDestination.Place? {
        try LMTPDestination(text).place(for: user, delimiters: .plus)
    }

    @Test func `a host and port, an address and port, or a socket`() throws {
        let four = try #require(IPAddress("192.0.2.1"))
        let six = try #require(IPAddress("2001:db8::1"))
        #expect(try place("localhost:24") == .host("localhost", port: 24))
        #expect(try place("mail.example.org:65535") == .host("mail.example.org", port: 65535))
        #expect(try place("192.0.2.1:24") == .address(four, port: 24))
        #expect(try place("[2001:db8::1]:24") == .address(six, port: 24))
        #expect(try place("/run/lmtp") == .socket(path: "/run/lmtp"))
        #expect(try place("/run/100%%") == .socket(path: "/run/100%"))
    }

    @Test func `the user may be part of an address or a path`() throws {
        let destination = try LMTPDestination("/run/%{user.username:uppercase}/lmtp")
        #expect(!destination.isConstant)
        #expect(destination.place(for: "bob", delimiters: .plus) == .socket(path: "/run/BOB/lmtp"))
        #expect(destination.place(for: String(repeating: "b", count: 128), delimiters: .plus) == nil)
        #expect(try LMTPDestination("/run/lmtp").isConstant)
    }

    @Test(arguments: [
        "", ":", "localhost", "localhost:", ":24", "localhost:0", "localhost:65536", "localhost:smtp", "run/lmtp",
        "[2001:db8::1]", "[::1", "::1:24x", "2001:db8::1:24", "[bad]:24", "a b:24", "[IPv6:::1]:24",
    ])
    func `nothing else`(text: String) {
        #expect(throws: LMTPDestination.SyntaxError.invalid(text)) { try LMTPDestination(text) }
    }

    @Test func `no other part of an envelope, and no host that is not known at the start`() {
        #expect(throws: LMTPDestination.SyntaxError.foreignToken) { try LMTPDestination("/run/%{dest.domain}") }
        #expect(throws: LMTPDestination.SyntaxError.foreignToken) { try LMTPDestination("/run/%{user.directory}") }
        #expect(throws: LMTPDestination.SyntaxError.hostOfUser) { try LMTPDestination("%{user.username}.org:24") }
        #expect(throws: LMTPDestination.SyntaxError.self) { try LMTPDestination("/run/%{what}") }
    }

    @Test func `every prefix is read or refused`() {
        let text = "[2001:db8::1]:24/%{user.username[0:1]:lowercase|strip}"
        for count in 0...text.count { _ = try? LMTPDestination(String(text.prefix(count))) }
    }
}

struct SubaddressDelimitersTests {
    @Test(
        arguments: [
            ("+", "bob+a-b", "bob", "a-b"), ("+-", "bob-a+b", "bob", "a+b"), ("-", "bob+a", nil, nil),
            ("+-", "+a-b", nil, nil), ("+", "bob", nil, nil), ("+-_", "bob_", "bob", ""), ("+", "", nil, nil),
        ] as [(String, String, String?, String?)])
    func `the first delimiter divides`(delimiters: String, name: String, base: String?, tag: String?) {
        let split = SubaddressDelimiters(delimiters).split(name)
        #expect(split?.base == base)
        #expect(split?.tag == tag)
        #expect(SubaddressDelimiters(delimiters).base(of: name) == base ?? name)
    }
}
