// SPDX-License-Identifier: ISC

import Mail
import Testing

@testable import SMTP

@Suite struct `Ledger of failed authentications` {
    private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    @Test func `a source that guesses is not heard for a while, others are`() throws {
        var ledger = FailureLedger()
        let source = try address("192.0.2.1")
        for _ in 0..<FailureLedger.mostOfSource {
            #expect(ledger.mayTry("bob", from: source, at: 1000))
            ledger.failed("bob", from: source, at: 1000)
        }
        #expect(!ledger.mayTry("alice", from: source, at: 1001))
        #expect(ledger.mayTry("bob", from: try address("192.0.2.2"), at: 1001))
        #expect(ledger.mayTry("bob", from: source, at: 1000 + FailureLedger.windowMilliseconds))
    }

    @Test func `a user whom everybody guesses still comes in from where he came in before`() throws {
        var ledger = FailureLedger()
        let home = try address("198.51.100.1")
        ledger.succeeded("bob", from: home, at: 0)
        for number in 0..<FailureLedger.mostOfUser {
            ledger.failed("bob", from: try address("192.0.2.\(number + 1)"), at: 10)
        }
        #expect(!ledger.mayTry("bob", from: try address("203.0.113.9"), at: 11))
        #expect(ledger.mayTry("bob", from: home, at: 11))
        #expect(ledger.mayTry("alice", from: try address("203.0.113.9"), at: 11))
    }

    @Test func `one who knows a password of his own gains no tries by it`() throws {
        var ledger = FailureLedger()
        let source = try address("192.0.2.1")
        for _ in 0..<FailureLedger.mostOfSource {
            ledger.failed("bob", from: source, at: 0)
            ledger.succeeded("mallory", from: source, at: 0)
        }
        #expect(!ledger.mayTry("bob", from: source, at: 1))
    }

    @Test func `a network that guesses from many of its addresses is not heard for a while`() throws {
        var ledger = FailureLedger()
        let home = try address("2001:db8:1:ffff::1")
        ledger.succeeded("bob", from: home, at: 0)
        for number in 0..<FailureLedger.mostOfNetwork {
            let source = try address("2001:db8:1:\(number)::1")
            #expect(ledger.mayTry("guess\(number)", from: source, at: 1))
            ledger.failed("guess\(number)", from: source, at: 1)
        }
        #expect(!ledger.mayTry("bob", from: try address("2001:db8:1:aaaa::1"), at: 2))
        #expect(ledger.mayTry("bob", from: home, at: 2))
        #expect(ledger.mayTry("bob", from: try address("2001:db8:2::1"), at: 2))
    }

    @Test func `whoever is new is counted while all that there is room for are throttled`() throws {
        var ledger = FailureLedger()
        for number in 0..<FailureLedger.most {
            let source = try #require(
                IPAddress(bytes: [10, UInt8(number >> 16), UInt8(number >> 8 & 255), UInt8(number & 255)]))
            for _ in 0..<2 { ledger.failed("\(number)", from: source, at: 1) }
        }
        let source = try address("192.0.2.1")
        for _ in 0..<FailureLedger.mostOfSource {
            #expect(ledger.mayTry("bob", from: source, at: 2))
            ledger.failed("bob", from: source, at: 2)
        }
        #expect(!ledger.mayTry("bob", from: source, at: 3))
    }
}
