// SPDX-License-Identifier: ISC

import Chance
import Configuration
import Mail
import Routing
import Testing

/// Answers as a dictionary does, and counts the rules that were tried.
private final class CountingWorld: TableLookups {
    private(set) var tried = 0

    func contains(_ key: String, in name: String, for service: TableService) async throws(TableFailure) -> Bool {
        try await RandomRules.world.contains(key, in: name, for: service)
    }
    func value(of key: String, in name: String, for service: TableService) async throws(TableFailure) -> String? { nil }
    func next(in name: String, for service: TableService) async throws(TableFailure) -> String? { nil }
    func note(_ event: ExpansionEvent) {
        if case .rule = event { tried += 1 }
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
            let indexed = Ruleset(rules, builtIn: builtIn, tables: RandomRules.definitions)
            for _ in 0..<3 {
                let subject = try RandomRules.subject(&random)
                let expected = NaiveRules(tables: RandomRules.tables).decide(rules, subject)
                #expect(await scanned.decide(subject, tables: RandomRules.world) == expected, "\(rules) \(subject)")
                #expect(await indexed.decide(subject, tables: RandomRules.world) == expected, "\(rules) \(subject)")
                outcomes.insert(expected)
            }
        }
        #expect(outcomes.count >= 20)
    }

    private func rules(_ count: Int, _ change: (inout MatchRule, Int) -> TableDefinition) -> (
        [MatchRule], [TableDefinition]
    ) {
        var tables: [TableDefinition] = []
        let rules = (0..<count).map { number in
            var rule = MatchRule(.action("a"))
            rule.origin.test = .any
            rule.destination.test = .any
            tables.append(change(&rule, number))
            return rule
        }
        return (rules, tables)
    }

    private func tried(_ rules: ([MatchRule], [TableDefinition]), _ subject: MatchSubject) async throws -> Int {
        let world = CountingWorld()
        let ruleset = Ruleset(rules.0, builtIn: try builtInTables(), tables: rules.1)
        _ = await ruleset.decide(subject, tables: world)
        return world.tried
    }

    @Test func `ten thousand rules cost no scan`() async throws {
        let subject = MatchSubject(
            origin: try origin(), isEncrypted: false, sender: .mailbox(try mailbox("al@d42.example.com")),
            destination: try mailbox("bob@d42.example.net"))
        let pattern = { (number: Int) in TablePattern(.named("t\(number)")) }
        let list = { (number: Int, key: String) in TableDefinition(name: "t\(number)", kind: .list([key])) }
        let domains = rules(10_000) { rule, number in
            rule.destination.test = .domain(pattern(number))
            return list(number, "*.d\(number).example.net")
        }
        let recipients = rules(10_000) { rule, number in
            rule.recipient = MatchRule.Criterion(pattern(number))
            return list(number, "carol@d\(number).example.net")
        }
        let senders = rules(10_000) { rule, number in
            rule.sender = MatchRule.Criterion(pattern(number))
            return list(number, "@d\(number).example.org")
        }
        let networks = rules(10_000) { rule, number in
            rule.origin.test = .source(pattern(number))
            return list(number, "10.\(number / 250).\(number % 250).0/24")
        }
        #expect(try await tried(domains, subject) <= 1)
        #expect(try await tried(recipients, subject) <= 1)
        #expect(try await tried(senders, subject) <= 1)
        #expect(try await tried(networks, subject) <= 1)
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
        let ruleset = Ruleset([rule], builtIn: try builtInTables(), tables: RandomRules.definitions)
        #expect(await ruleset.decide(subject, tables: RandomRules.world) == .temporaryFailure)
    }
}
