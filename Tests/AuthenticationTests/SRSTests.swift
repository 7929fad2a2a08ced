// SPDX-License-Identifier: ISC

import Bytes
import Mail
import Testing

@testable import Authentication

struct SRSTests {
    private let srs = SRS(key: "correct horse", days: 4)
    private let now = Timestamp(seconds: 1_795_478_400)
    private let signed = "SRS0=8gnb=JN=example.com=alice@example.org"

    private func mailbox(_ text: String) throws -> Mailbox { try #require(Mailbox(text)) }
    private func domain(_ text: String) throws -> Domain { try #require(Domain(text)) }

    private func original(_ text: String, _ srs: SRS? = nil, at time: Timestamp? = nil) throws -> String {
        try (srs ?? self.srs).original(of: try mailbox(text), on: time ?? now).description
    }

    // Made with another implementation of SHA-1 and Base64.
    @Test func `a sender is rewritten at each hop, byte for byte as the reference does it`() throws {
        let one = try #require(
            srs.rewritten(try mailbox("alice@example.com"), forRecipientAt: try domain("example.org"), on: now))
        #expect(one.description == signed)
        let two = try #require(
            SRS(key: "battery staple", days: 4)
                .rewritten(one, forRecipientAt: try domain("example.net"), on: now))
        #expect(two.description == "SRS1=Xci1=example.org==8gnb=JN=example.com=alice@example.net")
        let three = try #require(
            SRS(key: "third key", days: 4).rewritten(two, forRecipientAt: try domain("third.example"), on: now))
        #expect(three.description == "SRS1=sc23=example.org==8gnb=JN=example.com=alice@third.example")
    }

    @Test func `a bounce goes back to the first hop, and from there to the sender`() throws {
        let last = SRS(key: "third key", days: 4)
        let first = try original("SRS1=sc23=example.org==8gnb=JN=example.com=alice@third.example", last)
        #expect(first == signed)
        #expect(try original(first) == "alice@example.com")
    }

    @Test(arguments: [
        "alice@example.com", "a=b==c@example.com", "\"a b\"@example.com", "\"a\\\"@b\"@example.com",
        "alice@[192.0.2.1]", "alice@[IPv6:2001:db8::1]", "x@EXAMPLE.com", "SRS0@example.com", "srs2=a=b=c@example.com",
    ])
    func `what is rewritten comes back as it was`(text: String) throws {
        let sender = try mailbox(text)
        let address = try #require(srs.rewritten(sender, forRecipientAt: try domain("example.org"), on: now))
        // As it goes over the wire.
        let received = try mailbox(address.description)
        #expect(try srs.original(of: received, on: now) == sender)
    }

    @Test func `the domain may come back in another case, and small letters are no signature`() throws {
        #expect(try original(signed.replacing("example.org", with: "EXAMPLE.ORG")) == "alice@example.com")
        let capital = try #require(
            srs.rewritten(try mailbox("alice@example.com"), forRecipientAt: try domain("Example.org"), on: now))
        #expect(try srs.original(of: capital, on: now) == mailbox("alice@example.com"))
        #expect(throws: SRS.Refusal.forged) { try original(signed.asciiLowercased) }
    }

    @Test func `every other byte of a signed address is refused`() throws {
        let text = Array(signed.utf8)
        for index in text.indices {
            for byte in [UInt8(ascii: "A"), UInt8(ascii: "z"), UInt8(ascii: "="), UInt8(ascii: "7")] {
                var changed = text
                changed[index] = byte
                // The domain of this host may be written in another case.
                guard changed != text, let address = Mailbox(String(decoding: changed, as: UTF8.self)),
                    address.description.asciiLowercased != signed.asciiLowercased
                else { continue }
                #expect(throws: SRS.Refusal.self, "\(address)") { try srs.original(of: address, on: now) }
            }
        }
    }

    @Test func `every beginning of an address is refused`() throws {
        let user = "SRS1=sc23=example.org==8gnb=JN=example.com=alice"
        for end in user.indices {
            guard let part = LocalPart(String(user[..<end])) else { continue }
            let address = Mailbox(part, at: try domain("third.example"))
            #expect(throws: SRS.Refusal.self) { try SRS(key: "third key", days: 4).original(of: address, on: now) }
        }
    }

    @Test(arguments: [
        (-2, false), (-1, true), (0, true), (1, true), (4, true), (5, false), (500, false), (1022, false),
        (1023, true), (1024, true),
    ])
    func `an address holds for its days, and from the day before`(days: Int64, holds: Bool) throws {
        let time = now + .days(days)
        if holds {
            #expect(try original(signed, at: time) == "alice@example.com")
        } else {
            #expect(throws: SRS.Refusal.expired) { try original(signed, at: time) }
        }
    }

    @Test func `what was signed with the key before is still taken, and nothing is signed with it`() throws {
        let changed = SRS(key: "battery staple", backupKey: "correct horse", days: 4)
        #expect(try original(signed, changed) == "alice@example.com")
        let sender = try mailbox("alice@example.com")
        let new = try #require(changed.rewritten(sender, forRecipientAt: try domain("example.org"), on: now))
        #expect(new.description != signed)
        #expect(throws: SRS.Refusal.forged) { try original(signed, SRS(key: "battery staple", days: 4)) }
    }

    @Test(arguments: ["alice@example.org", "SRS0@example.org", "SRS0=@example.org", "SRS0=abcd@example.org"])
    func `other addresses are none`(text: String) {
        #expect(throws: SRS.Refusal.malformed) { try original(text) }
    }

    // Signed by us, and still nothing that can be an address.
    @Test func `what is signed and malformed goes nowhere`() throws {
        for user in ["a", "a=b", "JN=example.com", "JN==alice", "JN=-bad-=alice", "!!=example.com=alice"] {
            let address = try forge(user)
            #expect(throws: SRS.Refusal.malformed, "\(address)") { try srs.original(of: address, on: now) }
        }
    }

    private func forge(_ signed: String) throws -> Mailbox {
        let hash = Base64.encode(SHA1.digest("correct horse\(signed)@example.org".utf8).span).prefix(4).map {
            $0 == UInt8(ascii: "+") ? UInt8(ascii: "-") : $0 == UInt8(ascii: "/") ? UInt8(ascii: "_") : $0
        }
        let text = "SRS0=\(String(decoding: hash, as: UTF8.self))=\(signed)"
        return Mailbox(try #require(LocalPart(text)), at: try domain("example.org"))
    }

    @Test func `a made-up address of a later hop does not get a signature for one of the first`() throws {
        let bait = try mailbox("SRS1=0000=JN=victim.example=bob@attacker.example")
        let seen = try #require(srs.rewritten(bait, forRecipientAt: try domain("example.org"), on: now))
        #expect(seen.localPart.text.hasPrefix("SRS0="))
        #expect(try srs.original(of: seen, on: now) == bait)
        // The one form can never be read as the other.
        let two = try mailbox("SRS1=0000=JN==victim.example=bob@attacker.example")
        let signed = try #require(srs.rewritten(two, forRecipientAt: try domain("example.org"), on: now))
        let other = try #require(LocalPart(signed.localPart.text.replacing("SRS1=", with: "SRS0=")))
        #expect(throws: SRS.Refusal.malformed) {
            try srs.original(of: Mailbox(other, at: try domain("example.org")), on: now)
        }
    }

    @Test func `a sender that leaves no room is not rewritten`() throws {
        let long = String(repeating: "a", count: 250) + "@example.com"
        #expect(srs.rewritten(try mailbox(long), forRecipientAt: try domain("example.org"), on: now) == nil)
    }
}
