// SPDX-License-Identifier: ISC

import Bytes
import Chance
import Testing

@testable import Mail

@Suite struct MailboxTests {
    @Test(arguments: [
        "a@b", "joe@example.org", "joe.bloggs@example.org", "joe+tag@example.org", "!#$%&'*+-/=?^_`{|}~@example.org",
        "\"a b\"@example.org", "\"a@b\"@example.org", "\"a\\\"b\"@example.org", "\"a\\\\b\"@example.org",
        "\".a\"@example.org", "\"a.\"@example.org", "\"a..b\"@example.org", "joe@[192.0.2.1]",
        "joe@[IPv6:2001:db8::1]", "\" \"@example.org",
        // A mark makes one character of itself and what is before it, which is a quote all the same.
        "\"a\\\"\u{301} b\"@example.org", "\"a\\\\\u{301}b\"@example.org",
    ])
    func `an address prints as it was written`(text: String) {
        #expect(Mailbox(text)?.description == text)
    }

    @Test(arguments: [
        ("\"joe\"@example.org", "joe@example.org"), ("\"j\\oe\"@example.org", "joe@example.org"),
        ("\"joe.b\"@example.org", "joe.b@example.org"),
    ])
    func `quotes that are not needed are not part of the address`(text: String, plain: String) {
        #expect(Mailbox(text)?.description == plain)
        #expect(Mailbox(text) == Mailbox(plain))
    }

    @Test(arguments: [
        "", "@", "a", "a@", "@b", ".a@b", "a.@b", "a..b@c", ".@b", "a b@c", "a@b c", "a@b@c", "a@b ", " a@b", "<a@b>",
        "\"a@b", "\"a\"", "\"a\"b@c", "\"\"@b", "\"a\r\n\"@b", "\"a\\\"@b", "\"a\\\r\"@b", "a@b.", "a@-b", "a@[",
        "a@[]",
        "a@[192.0.2.1", "a@[192.0.2.1]x", "a@[192.0.2.1]]", "ä\u{80}@b", "a@☺", "a\0@b", "a@b\0", "a,b@c", "a;b@c",
        "a:b@c",
        "(a)@b", "a@b>",
    ])
    func `what is no address is refused`(text: String) { #expect(Mailbox(text) == nil) }

    @Test func `the local part is exact and the domain is not`() {
        #expect(Mailbox("joe@EXAMPLE.org") == Mailbox("joe@example.ORG"))
        #expect(Mailbox("Joe@example.org") != Mailbox("joe@example.org"))
    }

    @Test func `a local part of 255 bytes passes and of 256 does not`() {
        for quote in ["", "\""] {
            let longest = String(repeating: "a", count: 255)
            #expect(Mailbox("\(quote)\(longest)\(quote)@example.org") != nil)
            #expect(Mailbox("\(quote)\(longest)a\(quote)@example.org") == nil)
        }
    }

    @Test func `a production leaves what follows the address`() throws {
        let bytes = Array("joe@[192.0.2.1]> SIZE=1".utf8)
        var rest = bytes.span
        let mailbox = rest.takeMailbox(defaultDomain: nil)
        let left = rest.array
        #expect(mailbox?.description == "joe@[192.0.2.1]")
        #expect(left == Array("> SIZE=1".utf8))
    }

    @Test func `a bare name gets the default domain where there is one`() throws {
        let domain = try #require(Domain("example.org"))
        let bytes = Array("joe>".utf8)
        var rest = bytes.span
        let mailbox = rest.takeMailbox(defaultDomain: domain)
        let left = rest.array
        var again = bytes.span
        let none = again.takeMailbox(defaultDomain: nil)
        #expect(mailbox?.description == "joe@example.org")
        #expect(left == [UInt8(ascii: ">")])
        #expect(none == nil)
    }

    @Test func `every local part that may exist survives printing and parsing`() throws {
        let domain = try #require(Domain("example.org"))
        var random = TestRandom(seed: 3)
        for _ in 0..<5000 {
            let count = Int.random(in: 1...30, using: &random)
            let bytes = (0..<count).map { _ in UInt8.random(in: 0x20...0x7E, using: &random) }
            let localPart = try #require(LocalPart(String(decoding: bytes, as: UTF8.self)))
            let mailbox = Mailbox(localPart, at: domain)
            #expect(Mailbox(mailbox.description) == mailbox)
        }
    }

    @Test func `every prefix and random bytes are refused or print what parses to the same`() {
        var random = TestRandom(seed: 4)
        let alphabet = Array("ab.\"\\@[]1 :<>".utf8)
        let story = "\"a \\\"b\"@[IPv6:2001:db8::1]"
        var texts = (0...story.count).map { Array(story.utf8.prefix($0)) }
        for _ in 0..<10_000 {
            texts.append(random.bytes(upTo: 30))
            texts.append(
                (0..<Int.random(in: 0...14, using: &random)).compactMap { _ in alphabet.randomElement(using: &random) })
        }
        for bytes in texts {
            var rest = bytes.span
            guard let mailbox = rest.takeMailbox(defaultDomain: nil) else { continue }
            #expect(Mailbox(mailbox.description) == mailbox)
            #expect(mailbox.description.utf8.allSatisfy { $0.isPrintable || $0 >= 0x80 })
        }
    }

    @Test func `a reverse path is an address or nothing`() {
        #expect(ReversePath("") == .null)
        #expect(ReversePath("joe@example.org")?.mailbox == Mailbox("joe@example.org"))
        #expect(ReversePath("joe@example.org")?.description == "joe@example.org")
        #expect(ReversePath.null.description.isEmpty && ReversePath.null.mailbox == nil)
        for text in ["<>", " ", "joe", "<joe@example.org>"] { #expect(ReversePath(text) == nil) }
    }

    @Test func `the bare postmaster is one of this host`() throws {
        let domain = try #require(Domain("example.org"))
        #expect(ForwardPath.postmaster.mailbox(at: domain).description == "postmaster@example.org")
        let joe = try #require(Mailbox("joe@example.com"))
        #expect(ForwardPath.mailbox(joe).mailbox(at: domain) == joe)
    }
}
