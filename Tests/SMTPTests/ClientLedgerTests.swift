// SPDX-License-Identifier: ISC

import Mail
import Testing

@testable import SMTP

@Suite struct `Ledger of clients` {
    private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    @Test func `a source has so many sessions, and its network so many`() throws {
        var limits = ClientLedger.Limits()
        limits.sessionsPerSource = 2
        limits.sessionsPerNetwork = 3
        var ledger = ClientLedger(limits)
        let first = try address("192.0.2.1")
        let second = try address("192.0.2.2")
        let third = try address("192.0.3.1")
        #expect(ledger.open(first, at: 0) == nil)
        #expect(ledger.open(first, at: 1) == nil)
        #expect(ledger.open(first, at: 2) == .source)
        #expect(ledger.open(second, at: 3) == nil)
        #expect(ledger.open(second, at: 4) == .network)
        #expect(ledger.open(third, at: 5) == nil)
        ledger.close(first)
        #expect(ledger.open(second, at: 6) == nil)
        #expect(ledger.open(first, at: 7) == .network)
    }

    @Test func `addresses of one IPv6 network are one source, and mapped ones are IPv4`() throws {
        var limits = ClientLedger.Limits()
        limits.sessionsPerSource = 1
        var ledger = ClientLedger(limits)
        #expect(ledger.open(try address("2001:db8::1"), at: 0) == nil)
        #expect(ledger.open(try address("2001:db8::ffff:1"), at: 0) == .source)
        #expect(ledger.open(try address("2001:db8:0:1::1"), at: 0) == nil)
        #expect(ledger.open(try address("::ffff:192.0.2.1"), at: 0) == nil)
        #expect(ledger.open(try address("192.0.2.1"), at: 0) == .source)
    }

    @Test func `in all there are so many sessions`() throws {
        var limits = ClientLedger.Limits()
        limits.sessions = 1
        var ledger = ClientLedger(limits)
        #expect(ledger.open(try address("192.0.2.1"), at: 0) == nil)
        #expect(ledger.open(try address("198.51.100.1"), at: 0) == .sessions)
        ledger.close(try address("192.0.2.1"))
        #expect(ledger.open(try address("198.51.100.1"), at: 0) == nil)
    }

    @Test func `a rate forgets what is a minute ago, and not all at once`() throws {
        var limits = ClientLedger.Limits()
        limits.messageRate = 10
        limits.connectionRate = 0
        var ledger = ClientLedger(limits)
        let client = try address("192.0.2.1")
        #expect(ledger.open(client, at: 0) == nil)
        for _ in 0..<10 { #expect(ledger.message(client, at: 59_000) == nil) }
        #expect(ledger.message(client, at: 59_999) == .messages)
        // A new minute has just begun: nearly all of the old one still counts.
        #expect(ledger.message(client, at: 60_001) == nil)
        #expect(ledger.message(client, at: 60_002) == .messages)
        // Half a minute on, half of it.
        #expect(ledger.message(client, at: 90_000) == nil)
        for _ in 0..<10 { _ = ledger.message(client, at: 240_000) }
        #expect(ledger.message(client, at: 240_000) == .messages)
        #expect(ledger.message(try address("192.0.2.2"), at: 240_000) == nil)
    }

    @Test func `zero is no limit`() throws {
        var limits = ClientLedger.Limits()
        limits.sessionsPerSource = 0
        limits.sessionsPerNetwork = 0
        limits.connectionRate = 0
        limits.recipientRate = 0
        var ledger = ClientLedger(limits)
        let client = try address("192.0.2.1")
        for _ in 0..<10_000 {
            #expect(ledger.open(client, at: 0) == nil)
            #expect(ledger.recipient(client, at: 0) == nil)
        }
    }

    @Test func `an attack from everywhere is not remembered for ever`() throws {
        var ledger = ClientLedger()
        let busy = try address("203.0.113.5")
        #expect(ledger.open(busy, at: 0) == nil)
        for number in 0..<(ClientLedger.mostSources + 1000) {
            let bytes: [UInt8] = [10, UInt8(number >> 16), UInt8(number >> 8 & 255), UInt8(number & 255)]
            let client = try #require(IPAddress(bytes: bytes))
            if ledger.open(client, at: 1) == nil { ledger.close(client) }
        }
        #expect(ledger.count <= ClientLedger.mostSources)
        var limits = ClientLedger.Limits()
        limits.sessionsPerSource = 1
        ledger.limits = limits
        #expect(ledger.open(busy, at: 2) == .source)
    }
}
