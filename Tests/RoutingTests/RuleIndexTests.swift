// SPDX-License-Identifier: ISC

import Chance
import Configuration
import Mail
import Routing
import Testing

/// Answers as a dictionary does, and counts the rules that were tried and what tables were asked.
private final class CountingWorld: TableLookups {
    private(set) var tried = 0
    private(set) var asked = 0

    func contains(_ key: String, in name: String, for service: TableService) async throws(TableFailure) -> Bool {
        asked += 1
        return try await RandomRules.world.contains(key, in: name, for: service)
    }
    func value(of key: String, in name: String, for service: TableService) async throws(TableFailure) -> String? { nil }
    func next(in name: String, for service: TableService) async throws(TableFailure) -> String? { nil }
    func note(_ event: ExpansionEvent) {
        if case .rule = event { tried += 1 }
        if case .table = event { asked += 1 }
    }
}

@Suite struct RuleIndexTests {
    @Test func `an index and a scan decide as a naive reading does`() async throws {
        var random = TestRandom(seed: 6)
        let builtIn = try builtInTables()
        var outcomes: Set<Ruleset.Decision> = []
        for _ in 0..<1_500 {
            let rules = RandomRules.rules(&random, atMost: 16)
            let scanned = Ruleset(rules, builtIn: builtIn)
            let indexed = Ruleset(rules, builtIn: builtIn, held: RandomRules.held)
            let some = RandomRules.held.filter { _ in Bool.random(using: &random) }
            let mixed = Ruleset(rules, builtIn: builtIn, held: some)
            for _ in 0..<3 {
                let subject = try RandomRules.subject(&random)
                let expected = NaiveRules(tables: RandomRules.tables).decide(rules, subject)
                #expect(await scanned.decide(subject, tables: RandomRules.world) == expected, "\(rules) \(subject)")
                #expect(await indexed.decide(subject, tables: RandomRules.world) == expected, "\(rules) \(subject)")
                #expect(await mixed.decide(subject, tables: RandomRules.world) == expected, "\(rules) \(subject)")
                outcomes.insert(expected)
            }
        }
        #expect(outcomes.count >= 20)
    }

    private struct Rules {
        var rules: [MatchRule] = []
        var tables: [String: TableContent] = [:]
    }

    private func rules(_ count: Int, _ change: (inout MatchRule, TablePattern, Int) -> String) -> Rules {
        var made = Rules()
        for number in 0..<count {
            var rule = MatchRule(.action("a"))
            rule.origin.test = .any
            rule.destination.test = .any
            made.tables["t\(number)"] = TableContent(list: [change(&rule, TablePattern(.named("t\(number)")), number)])
            made.rules.append(rule)
        }
        return made
    }

    private func world(of rules: Rules, _ subject: MatchSubject) async throws -> CountingWorld {
        let world = CountingWorld()
        let ruleset = Ruleset(rules.rules, builtIn: try builtInTables(), held: rules.tables)
        #expect(await ruleset.decide(subject, tables: world) != .temporaryFailure)
        return world
    }

    private static func subject(_ recipient: String = "bob@d42.example.net") throws -> MatchSubject {
        MatchSubject(
            origin: try origin(), isEncrypted: false, sender: .mailbox(try mailbox("al@d42.example.com")),
            destination: try mailbox(recipient))
    }

    @Test func `ten thousand rules cost no scan`() async throws {
        let subject = try Self.subject()
        let domains = rules(10_000) { rule, pattern, number in
            rule.destination.test = .domain(pattern)
            return "*.d\(number).example.net"
        }
        let recipients = rules(10_000) { rule, pattern, number in
            rule.recipient = MatchRule.Criterion(pattern)
            return "carol@d\(number).example.net"
        }
        let senders = rules(10_000) { rule, pattern, number in
            rule.sender = MatchRule.Criterion(pattern)
            return "@d\(number).example.org"
        }
        let networks = rules(10_000) { rule, pattern, number in
            rule.origin.test = .source(pattern)
            return "10.\(number / 250).\(number % 250).0/24"
        }
        for rules in [domains, recipients, senders, networks] {
            let world = try await world(of: rules, subject)
            #expect(world.tried <= 1 && world.asked <= 1)
        }
    }

    @Test(arguments: [TablePattern.Syntax.ordinary, .regularExpression])
    func `a table that ten thousand rules ask is asked once, and not before the first of them has its turn`(
        syntax: TablePattern.Syntax
    ) async throws {
        // Too large, or of a kind, that its keys cannot be spelled out in the index.
        var content = TableContent(list: (0..<2_000).map { "d\($0).example.net" })
        #expect(content.compileRegularExpressions().isEmpty)
        var rules = rules(10_000) { rule, _, number in
            rule.destination.test = .domain(TablePattern(.named("large"), syntax))
            rule.tag = number == 7_000 ? nil : MatchRule.Criterion(TablePattern(.named("tags")))
            return ""
        }
        rules.tables = ["large": content, "tags": TableContent(list: ["in"])]
        // Each rule asks for the tag, too, and the domain is not among those of the table.
        let missed = try await world(of: rules, Self.subject("bob@example.net"))
        #expect(missed.tried == 0 && missed.asked <= 2)
        // Now one of them holds.
        let met = try await world(of: rules, Self.subject("bob@d1999.example.net"))
        #expect(met.tried <= 1 && met.asked <= 2)
        rules.rules.insert(MatchRule(.reject), at: 0)
        rules.rules[0].origin.test = .any
        rules.rules[0].destination.test = .any
        let unasked = try await world(of: rules, Self.subject())
        #expect(unasked.tried == 1 && unasked.asked == 0)
    }

    @Test func `a table behind a program is asked the same only once`() async throws {
        let many = rules(100) { rule, _, _ in
            rule.destination.test = .domain(TablePattern(.named("e")))
            return ""
        }
        let world = CountingWorld()
        let ruleset = Ruleset(many.rules, builtIn: try builtInTables())
        #expect(await ruleset.decide(try Self.subject(), tables: world) == .noMatch)
        #expect(world.tried == 100 && world.asked == 1)
    }

    @Test func `when a table is read again, the rules go by what it has now`() async throws {
        var rule = MatchRule(.action("out"))
        rule.origin.test = .any
        rule.destination.test = .domain(TablePattern(.named("t")))
        let large = (0..<2_000).map { "d\($0).example.com" }
        var expansion = Expansion(
            ruleset: Ruleset([rule], builtIn: try builtInTables()),
            actions: [ActionDefinition(name: "out", kind: .relay(RelayAction()))], delimiters: .plus, daemonUsers: [])
        let request = Expansion.Request(
            sender: .null, recipient: try mailbox("bob@example.org"), origin: try origin(), isEncrypted: false)
        for (keys, isAccepted) in [
            (["example.org"], true), (["*.org"], true), (["example.net"], false), (large, false), ([], false),
            (large + ["example.org"], true),
        ] {
            expansion.use(["t": TableContent(list: keys)])
            switch await expansion.expand(request, in: DictionaryWorld(brokenTables: ["t"])) {
            case .accepted: #expect(isAccepted, "\(keys.count)")
            case .refused(let reply): #expect(!isAccepted && !reply.isTemporary, "\(keys.count) \(reply)")
            }
        }
    }

    @Test func `a key that is too long is an error of the rule that asks, however it is filed`() async throws {
        let subject = MatchSubject(
            origin: try origin(greeting: String(repeating: "a", count: 1024)), isEncrypted: false, sender: .null,
            destination: try mailbox("bob@example.org"))
        var rule = MatchRule(.action("a"))
        rule.origin.test = .any
        rule.destination.test = .any
        rule.helo = MatchRule.Criterion(TablePattern(.named("d")))
        rule.recipient = MatchRule.Criterion(TablePattern(.named("o")))
        let ruleset = Ruleset([rule], builtIn: try builtInTables(), held: RandomRules.held)
        #expect(await ruleset.decide(subject, tables: RandomRules.world) == .temporaryFailure)
    }
}
