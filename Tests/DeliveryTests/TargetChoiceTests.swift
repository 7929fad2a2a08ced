// SPDX-License-Identifier: ISC

import Configuration
import IPC
import Mail
import Testing

@testable import Delivery

@Suite struct TargetChoiceTests {
    private func name(_ text: String) -> Domain { Domain(text) ?? Domain(literal: address("192.0.2.255")) }
    private func address(_ text: String) -> IPAddress {
        IPAddress(text) ?? IPAddress(bytes: [0, 0, 0, 0]) ?? address(text)
    }

    private func target(_ host: String, _ preference: UInt16, _ addresses: String...) -> RouteTarget {
        RouteTarget(name: name(host), preference: preference, addresses: addresses.map(address), isSecure: false)
    }

    private func choice(_ family: IPAddress.Family? = nil) -> TargetChoice {
        TargetChoice(
            ownName: name("mx.example.org"), ownAddresses: [address("192.0.2.10"), address("2001:db8::10")],
            family: family)
    }

    private func texts(_ result: RouteResult) -> [String] {
        switch result {
        case .endpoints(let endpoints): endpoints.map(\.description)
        case .outcome(let outcome): ["\(outcome.reply)"]
        }
    }

    private static let loop = ["554 5.4.6 mail loops back to myself"]

    @Test func `hosts are tried by preference, addresses in their order`() {
        let result = choice().exchangers([
            target("b.example.org", 20, "192.0.2.2"), target("a.example.org", 10, "2001:db8::1", "192.0.2.1"),
        ])
        #expect(texts(result) == ["smtp://[2001:db8::1]:25", "smtp://192.0.2.1:25", "smtp://192.0.2.2:25"])
    }

    @Test(arguments: ["127.0.0.1", "127.255.0.9", "0.0.0.0", "224.0.0.1", "::1", "::", "ff02::1", "::ffff:127.0.0.1"])
    func `a host that is no host of others is dropped`(_ text: String) {
        let bad = target("bad.example.org", 5, text)
        #expect(texts(choice().exchangers([bad])) == Self.loop)
        #expect(texts(choice().exchangers([bad, target("a.example.org", 10, "192.0.2.1")])) == ["smtp://192.0.2.1:25"])
    }

    @Test func `where we are an exchanger only better ones are left`() {
        let better = target("a.example.org", 5, "192.0.2.1")
        let worse = target("c.example.org", 20, "192.0.2.3")
        let equal = target("b.example.org", 10, "192.0.2.2")
        let own = target("MX.example.org", 10, "192.0.2.99")
        #expect(texts(choice().exchangers([better, equal, own, worse])) == ["smtp://192.0.2.1:25"])
        #expect(texts(choice().exchangers([equal, own, worse])) == Self.loop)
        let byAddress = target("other.example.org", 10, "192.0.2.10")
        #expect(texts(choice().exchangers([better, byAddress, worse])) == ["smtp://192.0.2.1:25"])
    }

    @Test func `a better host that is not found for now is waited for`() {
        let lost = target("a.example.org", 10)
        let own = target("mx.example.org", 20, "192.0.2.10")
        let wait = ["451 4.4.3 Temporary failure in address lookup"]
        #expect(texts(choice().exchangers([lost, own])) == wait)
        #expect(texts(choice().exchangers([target("bad.example.org", 5, "127.0.0.1"), lost, own])) == wait)
        let backup = target("backup.example.org", 20, "192.0.2.2")
        #expect(texts(choice().exchangers([lost, backup], exchanger: backup.name)) == wait)
        #expect(texts(choice().exchangers([own, target("c.example.org", 30)])) == Self.loop)
    }

    @Test func `we are where our name is, whether its addresses are found or not`() {
        let better = target("a.example.org", 10, "192.0.2.1")
        let worse = target("c.example.org", 30, "192.0.2.3")
        let own = target("mx.example.org", 20)
        #expect(texts(choice().exchangers([better, own, worse])) == ["smtp://192.0.2.1:25"])
        #expect(choice().isListed(nil, in: [better, own, worse]))
    }

    @Test func `a backup knows itself by the name that it was given`() {
        let targets = [target("a.example.org", 5, "192.0.2.1"), target("backup.example.org", 10, "192.0.2.2")]
        let result = choice().exchangers(targets, exchanger: name("backup.example.org"))
        #expect(texts(result) == ["smtp://192.0.2.1:25"])
        #expect(texts(choice().exchangers(targets, exchanger: name("absent.example.org"))).count == 2)
    }

    @Test func `one family may be all that is wanted`() {
        let targets = [target("a.example.org", 5, "192.0.2.1", "2001:db8::1")]
        #expect(texts(choice(.v6).exchangers(targets)) == ["smtp://[2001:db8::1]:25"])
        let onlyV4 = [target("a.example.org", 5, "192.0.2.1")]
        #expect(texts(choice(.v6).exchangers(onlyV4)) == ["451 4.4.4 Address family mismatch on destination MXs"])
    }

    @Test func `a host of the configuration may be this one`() throws {
        let url = try #require(RelayURL("lmtp://127.0.0.1:2424"))
        let endpoints = choice().host([target("localhost", 0, "127.0.0.1", "::1")], url)
        #expect(endpoints.map(\.description) == ["lmtp://127.0.0.1:2424", "lmtp://[::1]:2424"])
    }

    @Test func `a host is left alone longer after each failure`() {
        let endpoint = Endpoint(
            scheme: .smtp, security: .opportunistic, name: name("a.example.org"), address: address("192.0.2.1"),
            port: 25)
        var penalties = Penalties()
        #expect(!penalties.isBlocked(endpoint, now: 0))
        for seconds: UInt64 in [15, 60, 135] {
            expectEqual(penalties.failed(endpoint, because: "test", now: 1000), seconds)
        }
        #expect(penalties.isBlocked(endpoint, now: 1000 + 134_999))
        #expect(!penalties.isBlocked(endpoint, now: 1000 + 135_000))
        for _ in 0..<100 { expectEqual(penalties.failed(endpoint, because: "test", now: 1000) <= 3600, true) }
        penalties.succeeded(endpoint)
        #expect(!penalties.isBlocked(endpoint, now: 1000))
        expectEqual(penalties.failed(endpoint, because: "test", now: 1000), 15)
    }
}
