// SPDX-License-Identifier: ISC

import Configuration
import Mail
import Routing
import Testing

@Suite struct RulesetTests {
    typealias Criterion = MatchRule.Criterion

    private static let pattern = TablePattern(.named("t"))

    private func rule(_ change: (inout MatchRule) -> Void) -> MatchRule {
        var rule = MatchRule(.action("in"))
        rule.origin.test = .any
        rule.destination.test = .any
        change(&rule)
        return rule
    }

    private func holds(
        _ rule: MatchRule, table: [String] = [], _ origin: Origin, sender: String = "al@example.com",
        destination: String = "bob@example.org", isEncrypted: Bool = false
    ) async throws -> Bool {
        let subject = MatchSubject(
            origin: origin, isEncrypted: isEncrypted, sender: try #require(ReversePath(sender)),
            destination: try mailbox(destination))
        let world = DictionaryWorld(tables: ["t": TableContent(list: table)])
        switch await Ruleset([rule], builtIn: try builtInTables()).decide(subject, tables: world) {
        case .action: return true
        case .noMatch: return false
        case .reject, .temporaryFailure: throw TableFailure()
        }
    }

    @Test(
        arguments: [
            (MatchRule.Origin.local, "127.0.0.1", false, true), (.local, "::1", false, true),
            (.local, "192.0.2.1", false, true),
            (.local, "2001:db8::1", false, true), (.local, "192.0.2.2", false, false), (.local, nil, false, true),
            (.local, "192.0.2.2", true, true), (.socket, nil, false, true), (.socket, "127.0.0.1", false, false),
            (.socket, "192.0.2.2", true, true), (.any, nil, false, true), (.any, "2001:db8:9::", false, true),
            (.source(pattern), "198.51.100.7", false, true), (.source(pattern), "198.51.101.7", false, false),
            (.source(pattern), nil, false, false), (.source(pattern), "198.51.100.7", true, false),
        ] as [(MatchRule.Origin, String?, Bool, Bool)])
    func `from looks at the client`(test: MatchRule.Origin, address: String?, isInternal: Bool, expected: Bool)
        async throws
    {
        let origin = try origin(address, isInternal: isInternal)
        #expect(try await holds(rule { $0.origin.test = test }, table: ["198.51.100.0/24"], origin) == expected)
        #expect(
            try await holds(rule { $0.origin = Criterion(test, .fails) }, table: ["198.51.100.0/24"], origin)
                != expected)
    }

    @Test func `from rdns needs a name`() async throws {
        let named = try origin(name: "dyn-1.example.net")
        let unnamed = try origin(name: "<unknown>")
        let any = rule { $0.origin.test = .reverseName(nil) }
        let notAny = rule { $0.origin = Criterion(.reverseName(nil), .fails) }
        let matching = rule { $0.origin.test = .reverseName(Self.pattern) }
        let notMatching = rule { $0.origin = Criterion(.reverseName(Self.pattern), .fails) }
        let expression = rule { $0.origin.test = .reverseName(TablePattern(.named("t"), .regularExpression)) }
        #expect(try await holds(any, named))
        #expect(try await !holds(any, unnamed))
        #expect(try await holds(notAny, unnamed))
        #expect(try await holds(matching, table: ["*.example.net"], named))
        #expect(try await !holds(notMatching, table: ["*.example.net"], named))
        #expect(try await holds(notMatching, table: ["*.example.com"], named))
        #expect(try await !holds(matching, table: ["*"], unnamed))
        #expect(try await !holds(notMatching, table: ["*.example.com"], unnamed))
        #expect(try await holds(expression, table: ["^dyn-[0-9]+"], named))
    }

    @Test(arguments: [
        (MatchRule.Destination.local, "bob@mx.example.org", true), (.local, "bob@MX.example.ORG", true),
        (.local, "bob@localhost", true), (.local, "bob@[192.0.2.1]", true), (.local, "bob@[IPv6:2001:db8::1]", true),
        (.local, "bob@example.org", false), (.local, "bob@[192.0.2.2]", false), (.any, "bob@example.net", true),
        (.domain(pattern), "bob@a.example.org", true), (.domain(pattern), "bob@example.com", false),
    ])
    func `for looks at the domain`(test: MatchRule.Destination, address: String, expected: Bool) async throws {
        let table = ["*.example.org"]
        #expect(
            try await holds(rule { $0.destination.test = test }, table: table, origin(), destination: address)
                == expected)
        #expect(
            try await holds(
                rule { $0.destination = Criterion(test, .fails) }, table: table, origin(), destination: address)
                != expected)
    }

    @Test func `the other criteria`() async throws {
        let tagged = rule { $0.tag = Criterion(Self.pattern) }
        #expect(try await holds(tagged, table: ["in"], origin(tag: "IN")))
        #expect(try await !holds(tagged, table: ["in"], origin()))
        let helo = rule { $0.helo = Criterion(Self.pattern) }
        #expect(try await holds(helo, table: ["*.example.net"], origin(greeting: "x.example.net")))
        let encrypted = rule { $0.encryption = Criterion(.encrypted) }
        #expect(try await holds(encrypted, origin(), isEncrypted: true))
        #expect(try await !holds(encrypted, origin()))
        let plain = rule { $0.encryption = Criterion(.encrypted, .fails) }
        #expect(try await holds(plain, origin()))
        let sender = rule { $0.sender = Criterion(Self.pattern) }
        #expect(try await holds(sender, table: ["@example.com"], origin()))
        #expect(try await !holds(sender, table: ["@example.com"], origin(), sender: ""))
        #expect(try await holds(sender, table: ["@"], origin(), sender: ""))
        let recipient = rule { $0.recipient = Criterion(Self.pattern) }
        #expect(try await holds(recipient, table: ["bob@example.org"], origin(), destination: "bob+x@example.org"))
        let long = rule { $0.helo = Criterion(Self.pattern) }
        await #expect(throws: TableFailure.self) {
            try await holds(long, origin(greeting: String(repeating: "a", count: 1024)))
        }
    }

    @Test func `auth asks for a user`() async throws {
        let any = rule { $0.authentication = Criterion(.anyUser) }
        #expect(try await holds(any, origin(user: "bob")))
        #expect(try await holds(any, origin(nil)))
        #expect(try await !holds(any, origin()))
        let user = rule { $0.authentication = Criterion(.user(Self.pattern)) }
        #expect(try await holds(user, table: ["bob"], origin(user: "Bob")))
        #expect(try await !holds(user, table: ["bob"], origin(user: "bob@example.org")) == false)
        #expect(try await holds(user, table: ["@example.org"], origin(user: "bob@example.org")))
        #expect(try await !holds(user, table: ["carol"], origin(user: "bob")))
        #expect(try await !holds(user, table: ["bob"], origin(nil)))
    }

    @Test func `an error stops the search, but only where it is met`() async throws {
        var broken = MatchRule(.action("first"))
        broken.origin.test = .any
        broken.destination = Criterion(.domain(TablePattern(.named("broken"))), .fails)
        let later = rule { $0.decision = .action("later") }
        let world = DictionaryWorld(tables: ["t": TableContent(list: [])], brokenTables: ["broken"])
        let subject = MatchSubject(
            origin: try origin(), isEncrypted: false, sender: .null, destination: try mailbox("bob@example.org"))
        let builtIn = try builtInTables()
        #expect(await Ruleset([broken, later], builtIn: builtIn).decide(subject, tables: world) == .temporaryFailure)
        #expect(
            await Ruleset([later, broken], builtIn: builtIn).decide(subject, tables: world) == .action("later", rule: 0)
        )
        // The tag is asked first, so the broken table is never reached.
        broken.tag = Criterion(Self.pattern)
        #expect(
            await Ruleset([broken, later], builtIn: builtIn).decide(subject, tables: world) == .action("later", rule: 1)
        )
        let reject = rule { $0.decision = .reject }
        #expect(await Ruleset([reject], builtIn: builtIn).decide(subject, tables: world) == .reject(rule: 0))
        #expect(await Ruleset([], builtIn: builtIn).decide(subject, tables: world) == .noMatch)
    }
}
