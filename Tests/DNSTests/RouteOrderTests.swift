// SPDX-License-Identifier: ISC

import Bytes
import Chance
import DNS
import Mail
import Testing

@Suite struct RouteOrderTests {
    static func domain(_ text: String) -> Domain {
        guard let domain = Domain(text) else { preconditionFailure("a constant domain: \(text)") }
        return domain
    }

    static func address(_ text: String) -> IPAddress {
        guard let address = IPAddress(text) else { preconditionFailure("a constant address: \(text)") }
        return address
    }

    static let example = domain("example.org")

    static func answer(_ exchanges: [(UInt16, String)], _ code: ResponseCode = .success) -> Answer {
        Answer(
            code, name: Name(example) ?? .root,
            contents: exchanges.map { .mailExchange(preference: $0.0, exchange: Name(text: $0.1) ?? .root) })
    }

    static func plan(
        _ exchanges: [(UInt16, String)], _ code: ResponseCode = .success, ownName: String? = nil, seed: UInt64 = 1
    ) -> RouteOrder.Step {
        var random = TestRandom(seed: seed)
        return RouteOrder.plan(example, answer(exchanges, code), ownName: ownName.map(domain), using: &random)
    }

    static func names(_ step: RouteOrder.Step) -> [String] {
        switch step {
        case .lookUp(let order): order.exchanges.map(\.name.text)
        case .route: []
        }
    }

    @Test func `hosts stand by preference`() {
        #expect(
            Self.names(Self.plan([(20, "b.example.org"), (10, "a.example.org"), (30, "c")])) == [
                "a.example.org", "b.example.org", "c",
            ])
        #expect(Self.names(Self.plan([(20, "a"), (10, "A"), (15, "b")])) == ["a", "b"])
        #expect(Self.names(Self.plan([(5, "."), (10, "a"), (1, "a b")])) == ["a"])
    }

    @Test func `equals stand by chance`() {
        let orders = Set((0..<50).map { Self.names(Self.plan([(1, "a"), (1, "b"), (1, "c"), (2, "d")], seed: $0)) })
        #expect(orders.count == 6)
        #expect(orders.allSatisfy { $0.last == "d" })
    }

    @Test func `answers without hosts`() {
        #expect(Self.plan([], .noSuchName) == .route(.noSuchDomain))
        #expect(Self.plan([], .serverFailure) == .route(.temporaryFailure("Temporary failure in MX lookup")))
        #expect(Self.plan([(0, ".")]) == .route(.nullMX))
        #expect(Self.plan([(10, "localhost.")]) == .route(.nullMX))
        #expect(Self.plan([(10, "not a host")]) == .route(.noAddress))
        #expect(Self.plan([]) == .lookUp(RouteOrder.host(Self.example)))
    }

    @Test func `hosts that are not better than ourselves are left out`() {
        let set: [(UInt16, String)] = [(10, "a"), (20, "us.example.org"), (20, "b"), (30, "c")]
        #expect(Self.names(Self.plan(set, ownName: "US.example.org")) == ["a"])
        #expect(Self.names(Self.plan(set, ownName: "elsewhere")).count == 4)
        #expect(Self.plan([(10, "us"), (20, "a")], ownName: "us") == .route(.leadsBack))
    }

    @Test func `at most sixteen hosts are tried`() {
        let many = (0..<40).map { (UInt16($0), "h\($0).example.org") }
        #expect(Self.names(Self.plan(many)) == (0..<16).map { "h\($0).example.org" })
    }

    @Test func `a literal is its own route`() {
        let literal = Self.domain("[192.0.2.7]")
        let wanted = Route.hosts([RouteHost(name: literal, preference: 0, addresses: [Self.address("192.0.2.7")])])
        #expect(RouteOrder.route(literal: literal) == wanted)
        #expect(RouteOrder.route(literal: Self.example) == nil)
    }

    @Test func `addresses of both families take turns`() {
        var random = TestRandom(seed: 7)
        let found = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "192.0.2.1"].map(Self.address)
        guard case .hosts(let hosts) = RouteOrder.host(Self.example).finish([.addresses(found)], using: &random) else {
            Issue.record("no hosts")
            return
        }
        #expect(hosts.map(\.name) == [Self.example])
        #expect(hosts.first?.addresses.map(\.family) == [.v6, .v4, .v4])
    }

    @Test func `hosts without addresses are left out, but not those that are not found for now`() {
        guard case .lookUp(let order) = Self.plan([(1, "a"), (2, "b"), (3, "c")]) else {
            Issue.record("nothing to look up")
            return
        }
        var random = TestRandom(seed: 8)
        let one = RouteOrder.AddressFinding.addresses([Self.address("192.0.2.1")])
        let only = RouteHost(name: Self.domain("c"), preference: 3, addresses: [Self.address("192.0.2.1")])
        let lost = RouteHost(name: Self.domain("b"), preference: 2, addresses: [])
        #expect(order.finish([.noSuchName, .addresses([]), one], using: &random) == .hosts([only]))
        #expect(order.finish([.noSuchName, .temporaryFailure, one], using: &random) == .hosts([lost, only]))
        #expect(order.finish([.noSuchName, .addresses([]), .noSuchName], using: &random) == .noAddress)
        #expect(order.finish([.noSuchName, .noSuchName, .noSuchName], using: &random) == .noAddress)
        let failure = Route.temporaryFailure("Temporary failure in address lookup")
        #expect(order.finish([.noSuchName, .temporaryFailure, .addresses([])], using: &random) == failure)
        #expect(order.finish([], using: &random) == failure)
        let implicit = RouteOrder.host(Self.example)
        #expect(implicit.finish([.noSuchName], using: &random) == .noSuchDomain)
        #expect(implicit.finish([.addresses([])], using: &random) == .noAddress)
    }

    @Test func `answers for both families are joined`() {
        func answer(_ code: ResponseCode, _ addresses: String...) -> Answer {
            Answer(code, name: .root, contents: addresses.map { .address(Self.address($0)) })
        }
        let four = answer(.success, "192.0.2.1")
        let empty = answer(.success)
        #expect(RouteOrder.AddressFinding([four, nil]) == .addresses([Self.address("192.0.2.1")]))
        #expect(RouteOrder.AddressFinding([empty, empty]) == .addresses([]))
        #expect(RouteOrder.AddressFinding([empty, nil]) == .temporaryFailure)
        #expect(RouteOrder.AddressFinding([answer(.serverFailure), empty]) == .temporaryFailure)
        #expect(RouteOrder.AddressFinding([answer(.noSuchName), nil]) == .noSuchName)
    }

    @Test func `a route without hosts says what becomes of the mail`() {
        let codes = [Route.nullMX, .noSuchDomain, .temporaryFailure("x"), .noAddress, .leadsBack].map { route in
            route.failure?.reply.description.prefix(9) ?? ""
        }
        #expect(codes == ["556 5.1.1", "550 5.1.2", "451 4.4.3", "451 4.4.4", "554 5.4.6"])
        #expect(Route.hosts([]).failure == nil)
    }
}

@Suite struct SystemFileTests {
    @Test func `a hosts file is read`() {
        let text = """
            # comment
            127.0.0.1\tlocalhost
            ::1 localhost ip6-localhost # more
            192.0.2.1  mail.example.org mail\r
            192.0.2.2 MAIL.example.org
            fe80::1%lo0 scoped
            nonsense here
            192.0.2.3
            192.0.2.4 bad!name good
            """
        let file = HostsFile(parsing: Array(text.utf8).span)
        func find(_ name: String) -> [String] { file.addresses(of: RouteOrderTests.domain(name)).map(\.description) }
        #expect(find("LOCALHOST") == ["127.0.0.1", "::1"])
        #expect(find("mail.example.org") == ["192.0.2.1", "192.0.2.2"])
        #expect(find("mail") == ["192.0.2.1"])
        #expect(find("good") == ["192.0.2.4"])
        #expect(find("scoped").isEmpty && find("here").isEmpty)
        #expect(file.name(of: RouteOrderTests.address("192.0.2.1"))?.text == "mail.example.org")
        #expect(file.name(of: RouteOrderTests.address("192.0.2.3")) == nil)
    }

    @Test func `resolv.conf names its servers`() {
        let text = """
            search example.org
            nameserver 192.0.2.1
            ; nameserver 192.0.2.8
            nameserver\t[192.0.2.2]:5353
            nameserver 2001:db8::1
            nameserver 192.0.2.3@53530
            nameserver [2001:db8::2]
            nameserver fe80::1%eth0
            nameserver 192.0.2.4:1
            nameserver [192.0.2.5]:0
            nameserver 192.0.2.1
            options edns0
            """
        let servers = ResolverFile(parsing: Array(text.utf8).span).servers
        #expect(
            servers.map { "\($0.address) \($0.port)" } == [
                "192.0.2.1 53", "192.0.2.2 5353", "2001:db8::1 53", "192.0.2.3 53530", "2001:db8::2 53",
            ])
    }

    @Test func `random text does no harm`() {
        var random = TestRandom(seed: 9)
        let words = [
            "nameserver", " ", "\n", "[", "]", "@", ":", "192.0.2.1", "::1", "a", "#", "\t", "\u{0}", "\r", "99999",
        ]
        for _ in 0..<3000 {
            let text = (0..<20).map { _ in words.randomElement(using: &random) ?? "" }.joined()
            _ = HostsFile(parsing: Array(text.utf8).span)
            #expect(ResolverFile(parsing: Array(text.utf8).span).servers.count <= 8)
        }
    }
}
