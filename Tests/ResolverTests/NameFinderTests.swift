// SPDX-License-Identifier: ISC

import DNS
import IPC
import Mail
import Testing

@testable import Resolver

/// Answers from a dictionary; a name that is not there does not exist, one that begins with `dead` gives no answer.
@MainActor final class DictionaryDesk: QuestionDesk {
    var records: [String: [RecordType: [Record.Content]]] = [:]
    var lifetime = Interval.seconds(60)
    var clock: UInt64 = 1_000
    /// What each question takes.
    var cost: UInt64 = 0
    private(set) var asked = 0

    @MainActor func answer(to name: String, _ type: RecordType, patienceMilliseconds: UInt64) async -> Answer? {
        asked += 1
        clock += min(cost, patienceMilliseconds)
        guard cost < patienceMilliseconds, !name.hasPrefix("dead") else { return nil }
        guard let known = records[name] else { return Answer(.noSuchName, name: .root) }
        let contents = known[type] ?? []
        return Answer(
            .success, name: .root, contents: contents, timeToLive: contents.isEmpty ? .seconds(0) : lifetime)
    }

    func add(_ name: String, _ type: RecordType, _ contents: Record.Content?...) {
        records[name, default: [:]][type] = contents.compactMap { $0 }
    }
}

@MainActor @Suite struct NameFinderTests {
    private let desk = DictionaryDesk()

    private func finder(hosts: String = "") -> NameFinder {
        let text = Array(hosts.utf8)
        return NameFinder(hosts: HostsFile(parsing: text.span), desk: desk, now: { [desk] in desk.clock })
    }

    private func address(_ text: String) -> Record.Content? { IPAddress(text).map { .address($0) } }

    private func exchange(_ preference: UInt16, _ text: String) -> Record.Content? {
        let name = text == "." ? DNS.Name.root : DNS.Name(text: text)
        return name.map { .mailExchange(preference: preference, exchange: $0) }
    }

    private func pointer(_ text: String) -> Record.Content? { DNS.Name(text: text).map { .pointer($0) } }

    private func route(_ name: String, isHost: Bool = false, hosts: String = "") async throws -> RouteAnswer {
        await finder(hosts: hosts).route(try #require(Domain(name)), isHost: isHost)
    }

    private func targets(_ answer: RouteAnswer) -> [String] {
        guard case .found(let targets, _, _) = answer else { return [] }
        return targets.map { "\($0.preference) \($0.name) \($0.addresses.map(\.description).sorted())" }
    }

    private func reply(_ answer: RouteAnswer) -> String? {
        switch answer {
        case .found: nil
        case .failed(let reply): "failed \(reply)"
        case .deferred(let reply): "deferred \(reply)"
        }
    }

    @Test func `exchangers come best first with both families`() async throws {
        desk.add("example.org", .mailExchange, exchange(20, "b.example.org"), exchange(10, "a.example.org"))
        desk.add("a.example.org", .address, address("192.0.2.1"))
        desk.add("a.example.org", .address6, address("2001:db8::1"))
        desk.add("b.example.org", .address, address("192.0.2.2"))
        let answer = try await route("example.org")
        let first = "10 a.example.org [\"192.0.2.1\", \"2001:db8::1\"]"
        #expect(targets(answer) == [first, "20 b.example.org [\"192.0.2.2\"]"])
        guard case .found(_, isSecure: false, lifetime: 60) = answer else { throw Unexpected() }
    }

    struct Unexpected: Error {}

    @Test func `a domain without exchangers stands for itself`() async throws {
        desk.add("example.org", .address, address("192.0.2.1"))
        #expect(targets(try await route("example.org")) == ["0 example.org [\"192.0.2.1\"]"])
    }

    @Test func `why there is no route`() async throws {
        desk.add("null.example.org", .mailExchange, exchange(0, "."))
        desk.add("gone.example.org", .mailExchange, exchange(10, "nowhere.example.org"))
        desk.add("hidden.example.org", .mailExchange, exchange(10, "dead.example.org"))
        #expect(reply(try await route("nothing.example.org")) == "failed 550 5.1.2 Domain does not exist")
        #expect(reply(try await route("null.example.org")) == "failed 556 5.1.10 Domain does not accept mail")
        #expect(reply(try await route("gone.example.org")) == "deferred 451 4.4.3 No MX found for domain")
        #expect(reply(try await route("dead.example.org")) == "deferred 451 4.4.3 Temporary failure in MX lookup")
        #expect(
            reply(try await route("hidden.example.org"))
                == "deferred 451 4.4.3 Temporary failure in address lookup")
        #expect(reply(try await route("nothing.example.org", isHost: true)) == "deferred 451 4.4.3 Host not found")
    }

    @Test func `one exchanger with addresses is enough`() async throws {
        desk.add("example.org", .mailExchange, exchange(10, "dead.example.org"), exchange(20, "b.example.org"))
        desk.add("b.example.org", .address, address("192.0.2.2"))
        let answer = try await route("example.org")
        #expect(targets(answer) == ["10 dead.example.org []", "20 b.example.org [\"192.0.2.2\"]"])
        // Not for as long as the records live: the first host may be found again in a moment.
        guard case .found(_, isSecure: false, lifetime: 0) = answer else { throw Unexpected() }
    }

    @Test(arguments: ["[192.0.2.7]", "[IPv6:2001:db8::7]"])
    func `a literal is asked of nobody`(name: String) async throws {
        #expect(targets(try await route(name)).count == 1)
        #expect(desk.asked == 0)
    }

    @Test func `an address without brackets is a host of the configuration`() async throws {
        #expect(targets(try await route("192.0.2.7", isHost: true)) == ["0 192.0.2.7 [\"192.0.2.7\"]"])
        #expect(desk.asked == 0)
    }

    @Test func `the hosts file comes first`() async throws {
        let hosts = "192.0.2.50 a.example.org\n192.0.2.51 only.example.org\n"
        desk.add("example.org", .mailExchange, exchange(10, "a.example.org"))
        desk.add("a.example.org", .address, address("192.0.2.1"))
        #expect(targets(try await route("example.org", hosts: hosts)) == ["10 a.example.org [\"192.0.2.50\"]"])
        #expect(targets(try await route("only.example.org", hosts: hosts)) == ["0 only.example.org [\"192.0.2.51\"]"])
        #expect(targets(try await route("localhost")) == ["0 localhost [\"127.0.0.1\", \"::1\"]"])
    }

    @Test func `a route takes no longer than its time`() async throws {
        desk.cost = 9_000
        let names = (0..<16).map { "h\($0).example.org" }
        let exchanges = names.enumerated().compactMap { exchange(UInt16($0.offset), $0.element) }
        desk.records["example.org"] = [.mailExchange: exchanges]
        for name in names { desk.add(name, .address, address("192.0.2.1")) }
        let begin = desk.clock
        #expect(targets(try await route("example.org")).filter { !$0.hasSuffix("[]") }.count == 1)
        #expect(desk.clock - begin == NameFinder.routeMilliseconds)
    }

    @Test func `a client's name must point back to be confirmed`() async throws {
        let client = try #require(IPAddress("192.0.2.1"))
        let reverse = client.reverseName
        let liar = try #require(Domain("liar.example.org"))
        let name = try #require(Domain("a.example.org"))
        #expect(await finder().name(of: client) == .absent)
        desk.add(reverse, .pointer, pointer("liar.example.org"))
        desk.add("liar.example.org", .address, address("192.0.2.2"))
        #expect(await finder().name(of: client) == .found(liar, isConfirmed: false))
        desk.add(reverse, .pointer, pointer("liar.example.org"), pointer("a.example.org"))
        desk.add("a.example.org", .address, address("192.0.2.2"), address("192.0.2.1"))
        #expect(await finder().name(of: client) == .found(name, isConfirmed: true))
        let mapped = try #require(IPAddress("::ffff:192.0.2.1"))
        #expect(await finder().name(of: mapped) == .found(name, isConfirmed: true))
        desk.cost = NameFinder.nameMilliseconds
        #expect(await finder().name(of: client) == .temporaryFailure)
        #expect(await finder(hosts: "192.0.2.1 a.example.org").name(of: client) == .found(name, isConfirmed: true))
    }
}
