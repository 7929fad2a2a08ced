// SPDX-License-Identifier: ISC

import Chance
import Configuration
import Mail
import Routing
import Testing

/// As a daemon has it: an object of the loop.
@MainActor private final class LoopWorld {
    var questions: [String] = []

    func contains(_ key: String, in name: String, for service: TableService) async throws(TableFailure) -> Bool {
        questions.append("\(name) \(key)")
        return true
    }
    func value(of key: String, in name: String, for service: TableService) async throws(TableFailure) -> String? { nil }
    func next(in name: String, for service: TableService) async throws(TableFailure) -> String? { nil }
    func user(named name: String) async -> UserLookup { .absent }
    func forward(of user: UserRecord, in userbase: TableReference) async -> ForwardFile { .absent }
    func include(_ path: String) async -> IncludedFile { .absent }
}

extension LoopWorld: ExpansionWorld {}

@Suite struct ExpansionTests {
    /// A host with the domains example.org (aliases), virtual.example.org (virtual), and everything else relayed.
    private struct Host {
        var world = DictionaryWorld()
        var local = LocalAction(.maildir(path: nil, .unused))
        var relaysOnlyLocal = false
        var delimiters = SubaddressDelimiters.plus

        init(aliases: [(String, String)] = [], virtual: [(String, String)] = [], forwards: [String: String] = [:]) {
            world.tables["aliases"] = TableContent(mapping: aliases)
            world.tables["virtual"] = TableContent(mapping: virtual)
            for (number, name) in ["alice", "bob", "carol", "dave", "_martletd", "_martletu"].enumerated() {
                world.users[name] = .found(
                    UserRecord(name: name, uid: UInt32(1000 + number), gid: 1000, home: "/home/\(name)"))
            }
            world.users["root"] = .found(UserRecord(name: "root", uid: 0, gid: 0, home: "/root"))
            world.users["flaky"] = .failed
            for (name, text) in forwards { world.forwards[name] = .bytes(Array(text.utf8)) }
            local.expansion = .aliases(.named("aliases"))
        }

        func expand(_ recipient: String, sender: String = "al@example.com") async throws -> Expansion.Outcome {
            let domain = { (name: String) in MatchRule.Destination.domain(TablePattern(.named(name))) }
            var world = world
            world.tables["local"] = TableContent(list: ["example.org"])
            world.tables["virtuals"] = TableContent(list: ["virtual.example.org"])
            world.tables["refused"] = TableContent(list: ["refused.example.org"])
            var rules: [MatchRule] = []
            for (name, decision) in [
                ("local", MatchRule.Decision.action("in")), ("virtuals", .action("virtual")), ("refused", .reject),
            ] {
                var rule = MatchRule(decision)
                rule.origin.test = .any
                rule.destination.test = domain(name)
                rules.append(rule)
            }
            var out = MatchRule(.action("out"))
            out.origin.test = relaysOnlyLocal ? .local : .any
            out.destination.test = .any
            rules.append(out)
            var virtual = local
            virtual.expansion = .virtual(.named("virtual"))
            let expansion = Expansion(
                ruleset: Ruleset(rules, builtIn: try builtInTables()),
                actions: [
                    ActionDefinition(name: "in", kind: .local(local)),
                    ActionDefinition(name: "virtual", kind: .local(virtual)),
                    ActionDefinition(name: "out", kind: .relay(RelayAction())),
                ], delimiters: delimiters, daemonUsers: ["_martletd"])
            let request = Expansion.Request(
                sender: try #require(ReversePath(sender)), recipient: try mailbox(recipient), origin: try origin(),
                isEncrypted: false)
            return await expansion.expand(request, in: world)
        }

        /// What is accepted, one line each, sorted; or the reply.
        func result(_ recipient: String, sender: String = "al@example.com") async throws -> [String] {
            switch try await expand(recipient, sender: sender) {
            case .refused(let reply): return [reply.description]
            case .accepted(let envelopes):
                return envelopes.map { envelope in
                    switch envelope.dispatch {
                    case .relay(let action): return "\(action) \(envelope.destination)"
                    case .local(let action, let user, let subaddress, let form):
                        let tag = subaddress.map { "+" + $0 } ?? ""
                        return switch form {
                        case .action: "\(action) \(user)\(tag) \(envelope.destination)"
                        case .forward(let line): "\(action) \(user) item \(line)"
                        case .alias(let item): "\(action) \(user) \(item)"
                        }
                    }
                }.sorted()
            }
        }
    }

    private static let unknown = "550 Invalid recipient: <%>"
    private static let listProblem = "524 5.2.4 Mailing list expansion problem: <%>"
    private static let temporaryListProblem = "424 4.2.4 Mailing list expansion problem: <%>"
    private static let temporary = "451 4.3.0 Temporary failure: <%>"
    private static let unfit = "550 5.2.1 No mail is delivered to this system account; alias it to a person: <%>"

    private func expect(
        _ host: Host, _ recipient: String, _ expected: [String],
        location: Testing.SourceLocation = #_sourceLocation
    ) async throws {
        let filled = expected.map { $0.hasSuffix("<%>") ? $0.dropLast(2) + recipient + ">" : $0 }
        #expect(try await host.result(recipient) == filled, sourceLocation: location)
    }

    @Test func `simple recipients`() async throws {
        let host = Host()
        try await expect(host, "bob@example.org", ["in bob bob@example.org"])
        try await expect(host, "BOB+Lists@example.org", ["in bob+lists BOB+Lists@example.org"])
        try await expect(host, "nobody@example.org", [Self.unknown])
        try await expect(host, "flaky@example.org", [Self.temporary])
        try await expect(host, "bob@refused.example.org", [Self.unknown])
        try await expect(host, "x@example.net", ["out x@example.net"])
        try await expect(host, "a/b@example.org", [Self.unknown])
    }

    @Test(
        arguments: [
            ([("team", "alice, bob")], "team", ["in alice %", "in bob %"]),
            ([("alice", "bob")], "alice", ["in bob %"]),
            ([("alice", "alice, bob")], "alice", ["in alice %", "in bob %"]),
            ([("root", "\\root, alice")], "root", [unfit]),
            ([("a", "b"), ("b", "a")], "a", [listProblem]),
            ([("a", "b"), ("b", "a, alice")], "a", ["in alice %"]),
            ([("bob+x", "alice")], "bob+x", ["in alice %"]),
            ([("bob", "alice")], "bob+y", ["in alice %"]),
            ([("x", "y@example.net, alice@example.org")], "x", ["in alice alice@example.org", "out y@example.net"]),
            ([("x", "y@refused.example.org, alice")], "x", [unknown]),
            ([("x", "alice, nobody")], "x", [unknown]),
            ([("x", "|cmd a, /var/log/x")], "x", ["in _martletu /var/log/x", "in _martletu |cmd a"]),
            ([("x", "error:550 5.1.6 moved")], "x", ["550 5.1.6 moved"]),
            ([("x", "alice, :error:450 later")], "x", ["450 later"]),
            ([("x", "alice, alice, ALICE")], "x", ["in alice %"]),
            ([("x", "two words")], "x", [temporary]),
            ([("x", ",")], "x", [listProblem]),
            ([("x", ":include:/l")], "x", ["in alice %", "in carol %", "out y@example.net"]),
            ([("x", ":include:/missing, bob")], "x", ["in bob %"]),
            ([("x", ":include:/missing")], "x", [listProblem]),
            ([("x", ":include:/later")], "x", [temporary]),
            ([("x", ":include:/wrong")], "x", [temporaryListProblem]),
            ([("root", "alice")], "root", ["in alice %"]),
            ([("_martletd", "root"), ("root", "bob")], "_martletd", ["in bob %"]),
        ] as [([(String, String)], String, [String])])
    func `aliases`(aliases: [(String, String)], user: String, expected: [String]) async throws {
        var host = Host(aliases: aliases)
        host.world.includes["/l"] = .bytes(Array("# list\nalice,\n:include:/l\ncarol\ny@example.net\n".utf8))
        host.world.includes["/later"] = .temporary
        host.world.includes["/wrong"] = .bytes(Array("a b".utf8))
        let address = "\(user)@example.org"
        try await expect(host, address, expected.map { $0.hasSuffix(" %") ? $0.dropLast() + address : $0 })
    }

    @Test(arguments: [
        ("bob@virtual.example.org", ["virtual alice bob@virtual.example.org"]),
        ("bob+t@virtual.example.org", ["virtual carol bob+t@virtual.example.org"]),
        ("carol+t@virtual.example.org", ["virtual bob carol+t@virtual.example.org"]),
        ("carol@virtual.example.org", ["virtual dave carol@virtual.example.org"]),
        ("other@virtual.example.org", ["out far@example.net"]),
        ("again@virtual.example.org", ["virtual bob again@virtual.example.org"]),
    ])
    func `a virtual table is asked from the exact to the general`(recipient: String, expected: [String]) async throws {
        let host = Host(virtual: [
            ("bob+t@virtual.example.org", "carol"), ("carol@", "carol"), ("bob@virtual.example.org", "alice"),
            ("carol+t", "bob"), ("carol", "dave"), ("bob", "bob"), ("dave", "dave"),
            ("@virtual.example.org", "far@example.net"),
            ("@", "alice"), ("again@virtual.example.org", "indirect"), ("indirect@", "bob"),
        ])
        try await expect(host, recipient, expected)
    }

    @Test func `a virtual table without an answer`() async throws {
        try await expect(Host(virtual: [("x", "bob")]), "y@virtual.example.org", [Self.listProblem])
        try await expect(Host(virtual: [("@", "bob")]), "y@virtual.example.org", ["virtual bob y@virtual.example.org"])
        // No catch-all for the user that a hit named: that one is real.
        try await expect(
            Host(virtual: [("x", "bob"), ("@", "alice")]), "x@virtual.example.org",
            ["virtual bob x@virtual.example.org"])
        var host = Host(virtual: [("x", "bob")])
        host.world.brokenTables = ["virtual"]
        try await expect(host, "x@virtual.example.org", [Self.temporary])
    }

    @Test(arguments: [
        ("", ["in bob %"]), ("# nothing\n", ["in bob %"]), ("alice", ["in alice %"]),
        ("bob, alice", ["in alice %", "in bob %"]),
        ("\\bob", ["in bob %"]), ("bob+copy", ["in bob+copy %"]),
        ("x@example.net\n\\bob", ["in bob %", "out x@example.net"]),
        ("|procmail", ["in bob item 0"]), ("alice\n/mail/x,\"|y\"", ["in alice %", "in bob item 1", "in bob item 2"]),
        (":include:/l, |x", ["in bob item 1"]), (":include:/l", [listProblem]), ("two words", [temporaryListProblem]),
        ("nobody", [unknown]), ("bob@example.org", [listProblem]), ("team", ["in _martletu |t"]),
        ("|a\n|a", ["in bob item 0"]), (String(repeating: "#", count: 4096), [listProblem]),
        ((0..<101).map { "u\($0)" }.joined(separator: "\n"), [temporaryListProblem]),
    ])
    func `forward files`(text: String, expected: [String]) async throws {
        let host = Host(aliases: [("team", "|t")], forwards: ["bob": text])
        try await expect(
            host, "bob@example.org", expected.map { $0.hasSuffix(" %") ? $0.dropLast() + "bob@example.org" : $0 })
    }

    @Test func `the copy for oneself is kept where a table names the user, too`() async throws {
        var host = Host(
            aliases: [("bob", "bob")], virtual: [("carol@virtual.example.org", "carol"), ("carol", "carol")],
            forwards: ["bob": "\\bob, x@example.net", "carol": "carol\nx@example.net"])
        try await expect(host, "bob@example.org", ["in bob bob@example.org", "out x@example.net"])
        try await expect(
            host, "carol@virtual.example.org", ["out x@example.net", "virtual carol carol@virtual.example.org"])
        host.world.forwards["bob"] = .bytes(Array("bob".utf8))
        try await expect(host, "bob@example.org", ["in bob bob@example.org"])
    }

    @Test func `forward files that cannot be used`() async throws {
        var host = Host(forwards: ["alice": "bob", "bob": "alice"])
        try await expect(host, "alice@example.org", [Self.listProblem])
        host.world.forwards["bob"] = .insecure
        try await expect(host, "bob@example.org", [Self.listProblem])
        host.world.forwards["bob"] = .temporary
        try await expect(host, "bob@example.org", [Self.temporaryListProblem])
    }

    @Test func `root gets no mail, except into a system mailbox`() async throws {
        var host = Host()
        try await expect(host, "root@example.org", [Self.unfit])
        try await expect(host, "_martletd@example.org", [Self.unfit])
        try await expect(host, "_martletu@example.org", [Self.unfit])
        host.world.forwards["root"] = .bytes(Array("alice".utf8))
        try await expect(host, "root@example.org", ["in alice root@example.org"])
        host.world.forwards["root"] = .bytes(Array("|reboot".utf8))
        try await expect(host, "root@example.org", [Self.temporaryListProblem])
        host.world.forwards["root"] = .absent
        host.local.method = .mbox
        try await expect(host, "root@example.org", ["in root root@example.org"])
        try await expect(host, "_martletd@example.org", [Self.unfit])
        host.local.method = .command("x")
        host.local.user = "vmail"
        try await expect(host, "root@example.org", ["in root root@example.org"])
    }

    @Test func `an action with a user of its own reads no forward file but his`() async throws {
        var host = Host(forwards: ["bob": "alice", "carol": "alice"])
        host.local.user = "bob"
        try await expect(host, "carol@example.org", ["in carol carol@example.org"])
        try await expect(host, "bob@example.org", ["in alice bob@example.org"])
    }

    @Test func `forward-only and expand-only deliver to nobody`() async throws {
        var host = Host(
            aliases: [("list", "x@example.net"), ("run", "|cmd"), ("bad", "error:550 no")],
            forwards: ["bob": "y@example.net", "carol": "carol"])
        host.local.method = .forwardOnly
        try await expect(host, "list@example.org", ["out x@example.net"])
        try await expect(host, "bob@example.org", ["out y@example.net"])
        for user in ["run", "bad", "alice", "carol"] {
            try await expect(host, "\(user)@example.org", [Self.temporaryListProblem])
        }
        host.local.method = .expandOnly
        try await expect(host, "run@example.org", ["in _martletu |cmd"])
        try await expect(host, "bob@example.org", ["out y@example.net"])
        try await expect(host, "alice@example.org", [Self.listProblem])
    }

    @Test func `each of several delimiters divides a user from the tag`() async throws {
        var host = Host(
            aliases: [("list-one", "carol"), ("list", "dave")],
            virtual: [("info-x@virtual.example.org", "alice"), ("info@virtual.example.org", "bob")])
        host.delimiters = SubaddressDelimiters("+-")
        try await expect(host, "bob-a+b@example.org", ["in bob+a+b bob-a+b@example.org"])
        try await expect(host, "bob+a-b@example.org", ["in bob+a-b bob+a-b@example.org"])
        try await expect(host, "list-one@example.org", ["in carol list-one@example.org"])
        try await expect(host, "list+two@example.org", ["in dave list+two@example.org"])
        try await expect(host, "info-x@virtual.example.org", ["virtual alice info-x@virtual.example.org"])
        try await expect(host, "info-y@virtual.example.org", ["virtual bob info-y@virtual.example.org"])
        try await expect(host, "-bob@example.org", [Self.unknown])
    }

    @Test func `a userbase table is the only source of users`() async throws {
        var host = Host()
        host.local.userbase = .named("users")
        host.world.tables["users"] = TableContent(mapping: [
            ("vera", "5000:5000:/var/vmail/vera"), ("bad", "5000:/x"), ("zero", "0:0:/root"),
            ("minus", "4294967295:1:/x"),
        ])
        try await expect(host, "vera+t@example.org", ["in vera+t vera+t@example.org"])
        // A user of the system may have the same name, and another file.
        host.world.forwards["vera"] = .bytes(Array("stranger@example.net".utf8))
        try await expect(host, "vera@example.org", ["in vera vera@example.org"])
        host.world.forwards["users/vera"] = .bytes(Array("v@example.net".utf8))
        try await expect(host, "vera@example.org", ["out v@example.net"])
        host.world.forwards["users/vera"] = nil
        try await expect(host, "bob@example.org", [Self.unknown])
        try await expect(host, "bad@example.org", [Self.temporary])
        try await expect(host, "minus@example.org", [Self.temporary])
        try await expect(host, "zero@example.org", [Self.unfit])
        host.world.brokenTables = ["users"]
        try await expect(host, "vera@example.org", [Self.temporary])
    }

    @Test func `a chain may have ten links`() async throws {
        for (count, isAccepted) in [(9, true), (10, false)] {
            let links = (0..<count).map { ("n\($0)", $0 + 1 < count ? "n\($0 + 1)" : "bob") }
            let outcome = try await Host(aliases: links).expand("n0@example.org")
            if case .accepted = outcome { #expect(isAccepted) } else { #expect(!isAccepted) }
        }
    }

    @Test func `mail that arises here counts as local`() async throws {
        var host = Host(aliases: [("x", "y@example.net")])
        host.relaysOnlyLocal = true
        try await expect(host, "y@example.net", [Self.unknown])
        guard case .accepted(let envelopes) = try await host.expand("x@example.org") else {
            Issue.record("refused")
            return
        }
        #expect(envelopes.count == 1)
        #expect(envelopes.first?.origin.isInternal == true)
        #expect(envelopes.first?.recipient == (try mailbox("x@example.org")))
        #expect(envelopes.first?.destination == (try mailbox("y@example.net")))
    }

    @Test func `a bounce to a rewritten sender goes back to that sender`() async throws {
        var host = Host()
        host.relaysOnlyLocal = true
        host.world.rewritten["SRS0=hhhh=tt=example.net=al@example.org"] = "al@example.net"
        let address = "SRS0=hhhh=tt=example.net=al@example.org"
        #expect(try await host.result(address, sender: "") == ["out al@example.net"])
        #expect(try await host.result(address) == ["550 Invalid recipient: <\(address)>"])
        #expect(
            try await host.result("SRS0=x@example.org", sender: "") == ["550 Invalid recipient: <SRS0=x@example.org>"])
    }

    @MainActor @Test func `an object of the loop can be the world`() async throws {
        let world = LoopWorld()
        var rule = MatchRule(.action("out"))
        rule.origin.test = .any
        rule.destination.test = .domain(TablePattern(.named("d")))
        let expansion = Expansion(
            ruleset: Ruleset([rule], builtIn: try builtInTables()),
            actions: [ActionDefinition(name: "out", kind: .relay(RelayAction()))], delimiters: .plus, daemonUsers: [])
        let request = Expansion.Request(
            sender: .null, recipient: try mailbox("a@example.net"), origin: try origin(), isEncrypted: true)
        guard case .accepted = await expansion.expand(request, in: world) else {
            Issue.record("refused")
            return
        }
        #expect(world.questions == ["d example.net"])
    }

    @Test func `a large list is expanded once each`() async throws {
        let members = (0..<3000).map { "u\($0)@example.net" }.joined(separator: "\n")
        var host = Host(aliases: [("all", ":include:/all, :include:/all, :include:/also")])
        host.world.includes["/all"] = .bytes(Array(members.utf8))
        host.world.includes["/also"] = .bytes(Array(members.utf8))
        #expect(try await host.result("all@example.org").count == 3000)
    }

    @Test func `random aliases and forward files always end`() async throws {
        var random = TestRandom(seed: 7)
        let names = ["alice", "bob", "carol", "dave", "root", "list", "bob+x", "nobody"]
        let items =
            names + names.map { $0 + "@example.org" } + [
                "x@example.net", "|c", "/f", "bob@virtual.example.org", ":include:/l",
            ]
        func value() -> String {
            (0..<Int.random(in: 1...4, using: &random)).map { _ in items.randomElement(using: &random) ?? "" }
                .joined(separator: ", ")
        }
        var accepted = 0
        for _ in 0..<400 {
            var host = Host(
                aliases: names.prefix(Int.random(in: 0...8, using: &random)).map { ($0, value()) },
                virtual: [("bob", value()), ("@", value())],
                forwards: ["bob": value(), "carol": value(), "root": value()])
            host.world.includes["/l"] = .bytes(Array(value().utf8))
            guard case .accepted(let envelopes) = try await host.expand("bob@example.org") else { continue }
            accepted += 1
            #expect(!envelopes.isEmpty)
            #expect(Set(envelopes).count == envelopes.count)
            for envelope in envelopes {
                if case .local(_, let user, _, let form) = envelope.dispatch {
                    #expect(user != "root" && user != "_martletd")
                    if case .alias = form { #expect(user == "_martletu") }
                }
            }
        }
        #expect(accepted > 20)
    }
}
