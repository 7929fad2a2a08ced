// SPDX-License-Identifier: ISC

import Testing

@testable import Control

@Suite struct AddressListTests {
    @Test(
        arguments: [
            ("a@example.org", ["a@example.org"]),
            ("a@example.org, b@example.org", ["a@example.org", "b@example.org"]),
            ("joe", ["joe"]),
            ("Joe Q. Public <joe@example.org>", ["joe@example.org"]),
            ("\"Public, Joe\" <joe@example.org>, ann", ["joe@example.org", "ann"]),
            ("joe@example.org (Joe, the \\) (nested) one)", ["joe@example.org"]),
            ("(only a comment), a", ["a"]),
            ("friends: a@example.org, B <b@example.org>; c", ["a@example.org", "b@example.org", "c"]),
            ("undisclosed-recipients:;", []),
            ("\"a b\"@example.org", ["\"a b\"@example.org"]),
            ("\"a\\\"b\"@example.org", ["\"a\\\"b\"@example.org"]),
            ("a@[IPv6:2001:db8::1], b", ["a@[IPv6:2001:db8::1]", "b"]),
            ("<@one.example.org,@two.example.org:a@example.org>", ["a@example.org"]),
            ("a . b @ example.org", ["a.b@example.org"]),
            ("a@example.org,\n b@example.org", ["a@example.org", "b@example.org"]),
            (",,a,,", ["a"]),
            ("", []),
        ])
    func `addresses are found`(text: String, addresses: [String]) throws {
        #expect(try AddressList(text).addresses == addresses)
    }

    @Test(
        arguments: [
            "joe smith", "<a", "<a@example.org> <b@example.org>", "\"a", "(a", "<>", "a@", "a@[1", "<a<b>>", "a\u{1}b",
            "\"a\u{7F}\"@example.org",
        ])
    func `what is no address is refused`(text: String) {
        #expect(throws: AddressList.Mistake.self) { try AddressList(text) }
    }

    @Test func `an address has a length and a list has an end`() throws {
        let long = String(repeating: "a", count: AddressList.longestAddress)
        #expect(try AddressList(long).addresses == [long])
        #expect(throws: AddressList.Mistake.self) { try AddressList(long + "a") }
        let many = String(repeating: "a,", count: AddressList.mostAddresses)
        #expect(try AddressList(many).addresses.count == AddressList.mostAddresses)
        #expect(throws: AddressList.Mistake.tooMany) { try AddressList(many + "b") }
        #expect(throws: AddressList.Mistake.self) { try AddressList(String(repeating: "(", count: 100_000)) }
    }

    @Test func `every prefix is an answer or an error`() {
        let text = Array("F: \"a, b\" <\"x y\"@example.org>, (c (d)) e@[192.0.2.1]; <@f:g@example.org>, h\\i".utf8)
        for count in 0...text.count { _ = try? AddressList(parsing: text.span.extracting(first: count)) }
    }

    @Test func `no address ever breaks a line of SMTP`() {
        var random = TestRandom(seed: 3)
        let alphabet = Array("ab@.,;:<>()[]\"\\ \t\r\n\u{0}\u{7f}é".utf8)
        for _ in 0..<20_000 {
            let text = (0..<random.next(below: 24)).map { _ in alphabet[random.next(below: alphabet.count)] }
            guard let list = try? AddressList(parsing: text.span) else { continue }
            for address in list.addresses {
                #expect(!address.isEmpty && address.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F })
            }
        }
    }
}
