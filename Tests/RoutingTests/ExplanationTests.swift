// SPDX-License-Identifier: ISC

import Chance
import Configuration
import Mail
import Routing
import Testing

@Suite struct ExplanationTests {
    private static func expansion(
        _ rules: [MatchRule], _ method: LocalAction.Expansion, _ builtIn: BuiltInTables
    ) -> Expansion {
        var local = LocalAction(.maildir(path: nil, .unused))
        local.expansion = method
        return Expansion(
            ruleset: Ruleset(rules, builtIn: builtIn, held: RandomRules.held),
            actions: [ActionDefinition(name: "a", kind: .local(local))], delimiters: .plus, daemonUsers: [])
    }

    private static func world(_ random: inout TestRandom) -> DictionaryWorld {
        var world = RandomRules.world
        let values = [
            "bob", "al", "carol@mx.example.org", "al@a.example.net, bob", "error:550 gone", "/file", "|command",
            ":include:/list", "\"open",
        ]
        var aliases: [(String, String)] = []
        for key in ["bob", "al", "carol", "@", "al@a.example.net"] where Bool.random(using: &random) {
            aliases.append((key, values.randomElement(using: &random) ?? ""))
        }
        world.tables["aliases"] = TableContent(mapping: aliases)
        if Int.random(in: 0..<10, using: &random) == 0 { world.brokenTables.insert("aliases") }
        for (number, name) in ["bob", "al", "carol"].enumerated() {
            let user = UserRecord(name: name, uid: UInt32(1000 + number), gid: 1000, home: "/home/\(name)")
            let lookups: [UserLookup] = [.found(user), .found(user), .absent, .failed]
            world.users[name] = lookups.randomElement(using: &random) ?? .absent
            let files: [ForwardFile] = [
                .absent, .absent, .insecure, .temporary, .bytes(Array("al@ab.example.net\n".utf8)),
                .bytes(Array("\\bob\n/dev/null\n".utf8)),
            ]
            world.forwards[name] = files.randomElement(using: &random) ?? .absent
        }
        world.includes["/list"] = .bytes(Array("bob\ncarol\n".utf8))
        return world
    }

    @Test func `for ten thousand rule sets and envelopes, an explanation and a delivery decide the same`() async throws
    {
        var random = TestRandom(seed: 3)
        var counts: [String: Int] = [:]
        let builtIn = try builtInTables()
        let mailboxes = RandomRules.addresses.compactMap { Mailbox($0) }
        let senders = mailboxes.map(ReversePath.mailbox) + [.null]
        for _ in 0..<10_000 {
            let rules = RandomRules.rules(&random, atMost: 6)
            let method: LocalAction.Expansion =
                Bool.random(using: &random) ? .aliases(.named("aliases")) : .virtual(.named("aliases"))
            let expansion = Self.expansion(rules, method, builtIn)
            let world = Self.world(&random)
            let request = Expansion.Request(
                sender: senders.randomElement(using: &random) ?? .null,
                recipient: try #require(mailboxes.randomElement(using: &random)),
                origin: try RandomRules.origin(&random), isEncrypted: Bool.random(using: &random))
            let live = await expansion.expand(request, in: world)
            let explanation = await expansion.explain(request, in: world)
            #expect(explanation.outcome == live, "\(rules) \(request)")
            #expect(explanation.omitted == 0)
            // What the explanation says of the first address is what the rules say when they are read naively.
            let subject = MatchSubject(
                origin: request.origin, isEncrypted: request.isEncrypted, sender: request.sender,
                destination: request.recipient)
            let decision = NaiveRules(tables: RandomRules.tables).decide(rules, subject)
            let told = explanation.events.first { if case .decision = $0 { true } else { false } }
            #expect(told == .decision(decision), "\(rules) \(request)")
            switch live {
            case .accepted: counts["accepted", default: 0] += 1
            case .refused(let reply): counts[reply.isTemporary ? "temporary" : "rejected", default: 0] += 1
            }
        }
        #expect(counts.count == 3 && counts.values.allSatisfy { $0 > 300 }, "\(counts)")
    }

    @Test func `every question and every rule that was tried is told in its order`() async throws {
        var refused = MatchRule(.reject)
        refused.origin.test = .any
        refused.sender = MatchRule.Criterion(TablePattern(.named("r"), .regularExpression))
        var accepted = MatchRule(.action("a"))
        accepted.origin.test = .any
        accepted.destination.test = .domain(TablePattern(.named("d")))
        var world = RandomRules.world
        let bob = UserRecord(name: "bob", uid: 1000, gid: 1000, home: "/home/bob")
        world.users["bob"] = .found(bob)
        world.forwards["bob"] = .bytes(Array("\\bob\n".utf8))
        world.tables["aliases"] = TableContent(mapping: [("root", "bob")])
        let explanation = try await Self.expansion([refused, accepted], .aliases(.named("aliases")), builtInTables())
            .explain(
                Expansion.Request(
                    sender: .null, recipient: try mailbox("root@example.org"), origin: try origin(), isEncrypted: false),
                in: world)
        // The first rule is for local names, so for this domain it was not even tried.
        #expect(
            explanation.events == [
                .address(try mailbox("root@example.org"), isInternal: false),
                .leftOut(0..<1),
                .table(.named("d"), key: "example.org", .domain, .present),
                .rule(1, unmet: nil),
                .decision(.action("a", rule: 1)),
                .table(.named("aliases"), key: "root", .alias, .value("bob")),
                .table(.named("aliases"), key: "bob", .alias, .absent),
                .user("bob", .found(bob)),
                .forward(bob, .read(5)),
                .user("bob", .found(bob)),
            ])
        guard case .accepted(let envelopes) = explanation.outcome else {
            Issue.record("\(explanation.outcome)")
            return
        }
        #expect(envelopes.count == 1)
    }

    @Test func `a list without end is explained by its beginning`() async throws {
        var rule = MatchRule(.action("a"))
        rule.origin.test = .any
        rule.destination.test = .any
        var world = RandomRules.world
        world.tables["aliases"] = TableContent(mapping: [("bob", ":include:/many")])
        let names = (0..<9_000).map { "u\($0)@example.org" }
        world.includes["/many"] = .bytes(Array(names.joined(separator: "\n").utf8))
        let explanation = try await Self.expansion([rule], .aliases(.named("aliases")), builtInTables()).explain(
            Expansion.Request(
                sender: .null, recipient: try mailbox("bob@example.org"), origin: try origin(), isEncrypted: false),
            in: world)
        #expect(explanation.events.count == 10_000)
        #expect(explanation.omitted > 1_000)
    }
}
