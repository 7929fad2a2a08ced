// SPDX-License-Identifier: ISC

import Chance
import Configuration
import Mail
import Routing
import Testing

/// Rules, tables and subjects that chance makes, few enough that they meet.
enum RandomRules {
    /// `d`, `e`: domains; `m`: addresses; `n`: networks; `s`: words; `r`: expressions.
    static let tables: [String: [String]] = [
        "d": ["example.org", "*.example.net"], "e": ["mx.example.org", "*b.example.net", "a.*"],
        "m": ["@example.org", "bob", "al@*.example.net"],
        "o": ["bob@example.org", "carol@mx.example.org", "@*.example.net"],
        "n": ["192.0.2.0/24", "local", "nonsense"], "k": ["198.51.100.1", "[2001:db8::9]", "2001:db8:9::/48"],
        "s": ["in", "bob"], "r": ["^[a-c]", "net$", "0\\.2\\.", "@.*\\+"],
        "localhost": ["local", "127.0.0.1", "::1", "192.0.2.1", "2001:db8::1"],
        "localnames": ["localhost", "mx.example.org"],
    ]
    /// Those that are in memory: all but the broken `x`.
    static let held = tables.filter { !$0.key.hasPrefix("local") }.mapValues(content)
    static let world = DictionaryWorld(tables: tables.mapValues(content), brokenTables: ["x"])

    private static func content(_ keys: [String]) -> TableContent {
        var content = TableContent(list: keys)
        _ = content.compileRegularExpressions()
        return content
    }

    static let expressions = Dictionary(
        Set(tables.values.joined()).map { ($0, RegularExpression($0)) }, uniquingKeysWith: { first, _ in first })

    static func rules(_ random: inout TestRandom, atMost most: Int) -> [MatchRule] {
        (0..<Int.random(in: 0...most, using: &random)).map { _ in rule(&random) }
    }

    private static func rule(_ random: inout TestRandom) -> MatchRule {
        var rule = MatchRule(Bool.random(using: &random) ? .action("a") : .reject)
        func table(_ names: String...) -> TablePattern {
            switch Int.random(in: 0..<24, using: &random) {
            case 0: TablePattern(.named("x"))
            case 1: TablePattern(.named("r"), .regularExpression)
            case 2: TablePattern(.named(names[0]), .regularExpression)
            default: TablePattern(.named(names[Int.random(in: 0..<names.count, using: &random)]))
            }
        }
        func sense<Test>(_ test: Test) -> MatchRule.Criterion<Test> {
            MatchRule.Criterion(test, Int.random(in: 0..<4, using: &random) == 0 ? .fails : .holds)
        }
        func sometimes() -> Bool { Int.random(in: 0..<5, using: &random) == 0 }
        let origins: [MatchRule.Origin] = [
            .any, .any, .any, .local, .socket, .source(table("n", "k")), .source(table("n", "k")), .reverseName(nil),
            .reverseName(table("d", "e")), .source(TablePattern(.builtIn(.localHost))),
            .source(TablePattern(.builtIn(.users))),
        ]
        rule.origin = sense(origins[Int.random(in: 0..<origins.count, using: &random)])
        let destinations: [MatchRule.Destination] = [
            .any, .any, .local, .domain(table("d", "e")), .domain(table("d", "e")),
            .domain(TablePattern(.builtIn(.localNames))),
        ]
        rule.destination = sense(destinations[Int.random(in: 0..<destinations.count, using: &random)])
        if sometimes() { rule.tag = sense(table("s")) }
        if sometimes() { rule.helo = sense(table("d", "e")) }
        if sometimes() { rule.authentication = sense(Bool.random(using: &random) ? .anyUser : .user(table("s", "m"))) }
        if sometimes() { rule.encryption = sense(.encrypted) }
        if sometimes() { rule.sender = sense(table("m", "o")) }
        if sometimes() { rule.recipient = sense(table("m", "o")) }
        return rule
    }

    static let addresses = [
        "bob@example.org", "al@a.example.net", "carol@mx.example.org", "bob+t@localhost", "al+x@ab.example.net",
    ]

    static func subject(_ random: inout TestRandom) throws -> MatchSubject {
        MatchSubject(
            origin: try origin(&random), isEncrypted: Bool.random(using: &random),
            sender: ReversePath((addresses + [""]).randomElement(using: &random) ?? "") ?? .null,
            destination: try mailbox(addresses.randomElement(using: &random) ?? ""))
    }

    static func origin(_ random: inout TestRandom) throws -> Origin {
        let clients = [nil, "192.0.2.9", "198.51.100.1", "127.0.0.1", "2001:db8::9", "2001:db8:9::7", "203.0.113.1"]
        return try RoutingTests.origin(
            clients.randomElement(using: &random) ?? nil,
            name: ["<unknown>", "a.example.net", "example.com"].randomElement(using: &random) ?? "",
            greeting: ["example.org", "b.a.example.net"].randomElement(using: &random) ?? "",
            tag: [nil, "in", "out"].randomElement(using: &random) ?? nil,
            user: [nil, "bob", "al@a.example.net"].randomElement(using: &random) ?? nil,
            isInternal: Bool.random(using: &random))
    }
}

/// The rules read as the manual has them, nothing indexed; tests are a list of three-valued answers.
struct NaiveRules {
    let tables: [String: [String]]

    func decide(_ rules: [MatchRule], _ subject: MatchSubject) -> Ruleset.Decision {
        for (index, rule) in rules.enumerated() {
            var holds = true
            for test in tests(rule, subject) {
                guard let answer = test() else { return .temporaryFailure }
                guard answer else {
                    holds = false
                    break
                }
            }
            if holds {
                switch rule.decision {
                case .action(let name): return .action(name, rule: index)
                case .reject: return .reject(rule: index)
                }
            }
        }
        return .noMatch
    }

    // nil stands for an error.
    private func tests(_ rule: MatchRule, _ subject: MatchSubject) -> [() -> Bool?] {
        let origin = subject.origin
        let isLocal = origin.isInternal || origin.address == nil
        let client = isLocal ? "local" : origin.address?.hostText ?? ""
        let hasName = origin.hostName != "<unknown>"
        let isAuthenticated = origin.address == nil || origin.user != nil
        func sensed<Test>(_ criterion: MatchRule.Criterion<Test>?, _ body: @escaping (Test) -> Bool?) -> () -> Bool? {
            return {
                guard let criterion else { return true }
                return body(criterion.test).map { $0 == (criterion.sense == .holds) }
            }
        }
        return [
            sensed(rule.tag) { string(origin.tag ?? "", $0) },
            {
                if case .reverseName(.some) = rule.origin.test, !hasName { return false }
                return sensed(rule.origin) { test -> Bool? in
                    switch test {
                    case .any: true
                    case .socket: isLocal
                    case .local: isLocal || client == "127.0.0.1"
                    case .source(let pattern):
                        any(client, pattern) { key in
                            if isLocal { return key == "local" }
                            guard let address = origin.address else { return false }
                            return NetworkPattern(key)?.matches(address) ?? false
                        }
                    case .reverseName(let pattern):
                        if let pattern { domain(origin.hostName, pattern) } else { hasName }
                    }
                }()
            },
            sensed(rule.destination) { test -> Bool? in
                let name = subject.destination.domain.canonical
                return switch test {
                case .any: true
                case .local: name == "localhost" || name == "mx.example.org"
                case .domain(let pattern): domain(name, pattern)
                }
            },
            sensed(rule.helo) { domain(origin.greeting, $0) },
            sensed(rule.authentication) { test -> Bool? in
                guard isAuthenticated else { return false }
                switch test {
                case .anyUser: return true
                case .user(let pattern):
                    guard let user = origin.user else { return false }
                    return user.contains("@") ? address(user, pattern) : string(user, pattern)
                }
            },
            sensed(rule.encryption) { _ in subject.isEncrypted },
            sensed(rule.sender) { address(subject.sender == .null ? "@" : subject.sender.description, $0) },
            sensed(rule.recipient) { address(subject.destination.description, $0) },
        ]
    }

    private func keys(_ pattern: TablePattern) -> [String]? { tables[pattern.table.name] }

    /// Whether any key matches; as an expression where the pattern says so.
    private func any(_ text: String, _ pattern: TablePattern, _ matches: (String) -> Bool) -> Bool? {
        guard let keys = keys(pattern) else { return nil }
        switch pattern.syntax {
        case .ordinary: return keys.contains(where: matches)
        case .regularExpression: return keys.contains { (RandomRules.expressions[$0] ?? nil)?.matches(text) ?? false }
        }
    }

    private func string(_ key: String, _ pattern: TablePattern) -> Bool? { any(key, pattern) { $0 == key } }
    private func domain(_ key: String, _ pattern: TablePattern) -> Bool? {
        any(key, pattern) { DomainPattern($0).matches(key) }
    }
    private func address(_ key: String, _ pattern: TablePattern) -> Bool? {
        any(key, pattern) { MailboxPattern($0).matches(key, delimiters: .plus) }
    }
}
