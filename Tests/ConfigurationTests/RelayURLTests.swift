// SPDX-License-Identifier: ISC

import Configuration
import Testing

struct RelayURLTests {
    static let good: [(String, String)] = [
        ("mx.example.org", "smtp://mx.example.org"),
        ("mx.example.org:26", "smtp://mx.example.org:26"),
        ("smtp://192.0.2.1", "smtp://192.0.2.1"),
        ("[2001:db8::1]:25", "smtp://[2001:db8::1]:25"),
        ("SMTP+TLS://l@mx.example.org:587", "smtp+tls://l@mx.example.org:587"),
        ("smtps://a@b@mx", "smtps://a@b@mx"),
        ("lmtp://[2001:db8::1]", "lmtp://[2001:db8::1]"),
        ("smtp+notls://mx", "smtp+notls://mx"),
    ]

    @Test(arguments: good)
    func `a relay URL`(text: String, expected: String) {
        #expect(RelayURL(text)?.description == expected)
        #expect(RelayURL(expected) == RelayURL(text))
    }

    @Test(arguments: [
        "", "://", "smtp://", "http://a", "smtp://@a", "a:", "a:0", "a:99999", "a:b", "a:-1", "[a", "[a]b", "a b",
        "a/b",
        "smtp://l@", "a:1:2",
        // A password goes nowhere without TLS that is certain.
        "smtp://l@a", "smtp+notls://l@a", "lmtp://l@a", "l@a",
    ])
    func `no relay URL`(text: String) {
        #expect(RelayURL(text) == nil)
    }

    @Test(arguments: good.map(\.0))
    func `a prefix of a relay URL does not trap`(text: String) {
        for count in 0..<text.count { _ = RelayURL(String(text.prefix(count))) }
    }
}
