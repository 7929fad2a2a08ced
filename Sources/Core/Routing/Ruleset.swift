// SPDX-License-Identifier: ISC

public import Configuration
public import Mail

/// What the rules look at: a transaction and one address that its mail shall go to.
public struct MatchSubject: Hashable, Sendable {
    public var origin: Origin
    /// Whether the session was under TLS when the transaction began.
    public var isEncrypted: Bool
    public var sender: ReversePath
    /// The address as expanded so far.
    public var destination: Mailbox

    public init(origin: Origin, isEncrypted: Bool, sender: ReversePath, destination: Mailbox) {
        self.origin = origin
        self.isEncrypted = isEncrypted
        self.sender = sender
        self.destination = destination
    }

    /// A session that gave a password, or came by the socket of this host.
    var isAuthenticated: Bool { origin.user != nil || origin.address == nil }

    /// Where the client is; nil for the socket of this host and for mail that arose here.
    var clientAddress: IPAddress? { origin.isInternal ? nil : origin.address }

    /// The text by which tables know the client.
    var client: String { clientAddress?.hostText ?? BuiltInTables.local }

    /// Whether every key that a rule can make of it is one that tables may be asked for.
    var hasUsualKeys: Bool {
        func isUsual(_ text: String) -> Bool { text.utf8.count <= TableContent.longestKey }
        // A mailbox is much shorter (RFC 5321 section 4.5.3.1).
        return isUsual(origin.greeting) && isUsual(origin.hostName) && isUsual(origin.tag ?? "")
            && isUsual(origin.user ?? "")
    }
}

/// The `match` rules, asked in the order written; the first whose every test holds decides. Those that cannot hold are
/// not even tried, see ``RuleIndex``.
public struct Ruleset: Sendable {
    public enum Decision: Hashable, Sendable {
        /// `rule` counts from 0.
        case action(String, rule: Int)
        case reject(rule: Int)
        case noMatch
        /// A table could not be asked: a later rule must not decide what an earlier one might have.
        case temporaryFailure
    }

    private let rules: [MatchRule]
    private let builtIn: BuiltInTables
    private let index: RuleIndex

    /// `tables` are those of the configuration.
    public init(_ rules: [MatchRule], builtIn: BuiltInTables, tables: [TableDefinition] = []) {
        self.rules = rules
        self.builtIn = builtIn
        index = RuleIndex(rules, tables: tables)
    }

    public func decide(_ subject: MatchSubject, tables: some TableLookups) async -> Decision {
        let evaluation = RuleEvaluation(subject: subject, builtIn: builtIn, tables: tables)
        for index in candidates(for: subject) {
            let rule = rules[index]
            do throws(TableFailure) {
                let unmet = try await evaluation.unmet(by: rule)
                tables.note(.rule(index, unmet: unmet))
                guard unmet == nil else { continue }
            } catch {
                return .temporaryFailure
            }
            switch rule.decision {
            case .action(let name): return .action(name, rule: index)
            case .reject: return .reject(rule: index)
            }
        }
        return .noMatch
    }

    private func candidates(for subject: MatchSubject) -> RuleCandidates {
        // A key that is too long is an error of the first rule that asks for it, which must not be left out.
        guard subject.hasUsualKeys else { return RuleCandidates(Array(rules.indices)) }
        return index.candidates(
            for: subject,
            isOwnClient: { builtIn[.localHost]?.contains(subject.client, for: .networkAddress) ?? false },
            isLocalDestination: {
                builtIn[.localNames]?.contains(subject.destination.domain.canonical, for: .domain) ?? false
            })
    }
}

/// The tests of one rule against one subject, in the order tag, from, for, helo, auth, tls, mail-from, rcpt-to.
private struct RuleEvaluation<Tables: TableLookups> {
    let subject: MatchSubject
    let builtIn: BuiltInTables
    let tables: Tables

    /// The first criterion that is not met; nil when the rule holds.
    func unmet(by rule: MatchRule) async throws(TableFailure) -> RuleCriterion? {
        if let tag = rule.tag {
            let isMatch = try await matches(subject.origin.tag ?? "", tag.test, .text)
            guard isMatch == (tag.sense == .holds) else { return .tag }
        }
        guard try await holdsOrigin(rule.origin) else { return .from }
        guard try await holdsDestination(rule.destination) else { return .destination }
        if let helo = rule.helo {
            let isMatch = try await matches(subject.origin.greeting, helo.test, .domain)
            guard isMatch == (helo.sense == .holds) else { return .helo }
        }
        if let authentication = rule.authentication {
            let isMatch = try await holdsAuthentication(authentication.test)
            guard isMatch == (authentication.sense == .holds) else { return .authentication }
        }
        if let encryption = rule.encryption {
            switch encryption.test {
            case .encrypted: guard subject.isEncrypted == (encryption.sense == .holds) else { return .encryption }
            }
        }
        if let sender = rule.sender {
            let isMatch = try await matches(subject.sender.mailbox?.tableKey ?? "@", sender.test, .mailbox)
            guard isMatch == (sender.sense == .holds) else { return .sender }
        }
        if let recipient = rule.recipient {
            let isMatch = try await matches(subject.destination.tableKey, recipient.test, .mailbox)
            guard isMatch == (recipient.sense == .holds) else { return .recipient }
        }
        return nil
    }

    private func holdsOrigin(_ criterion: MatchRule.Criterion<MatchRule.Origin>) async throws(TableFailure) -> Bool {
        let isMatch: Bool
        switch criterion.test {
        case .socket:
            isMatch = subject.clientAddress == nil
        case .local:
            isMatch = try await matches(subject.client, TablePattern(.builtIn(.localHost)), .networkAddress)
        case .any:
            isMatch = true
        case .source(let pattern):
            isMatch = try await matches(subject.client, pattern, .networkAddress)
        case .reverseName(let pattern):
            let name = subject.origin.hostName
            let isNamed = !name.isEmpty && name != "<unknown>"
            if let pattern {
                // Without a name the question cannot be asked, so not even its negation holds.
                guard isNamed else { return false }
                isMatch = try await matches(name, pattern, .domain)
            } else {
                isMatch = isNamed
            }
        }
        return isMatch == (criterion.sense == .holds)
    }

    private func holdsDestination(
        _ criterion: MatchRule.Criterion<MatchRule.Destination>
    ) async throws(TableFailure) -> Bool {
        let domain = subject.destination.domain.canonical
        let isMatch =
            switch criterion.test {
            case .local: try await matches(domain, TablePattern(.builtIn(.localNames)), .domain)
            case .any: true
            case .domain(let pattern): try await matches(domain, pattern, .domain)
            }
        return isMatch == (criterion.sense == .holds)
    }

    private func holdsAuthentication(_ test: MatchRule.Authentication) async throws(TableFailure) -> Bool {
        guard subject.isAuthenticated else { return false }
        switch test {
        case .anyUser:
            return true
        case .user(let pattern):
            guard let user = subject.origin.user else { return false }
            return try await matches(user, pattern, user.utf8.contains(UInt8(ascii: "@")) ? .mailbox : .text)
        }
    }

    private func matches(
        _ key: String, _ pattern: TablePattern, _ service: TableService
    ) async throws(TableFailure) -> Bool {
        let service: TableService =
            switch pattern.syntax {
            case .ordinary: service
            case .regularExpression: .regularExpression
            }
        guard key.utf8.count <= TableContent.longestKey else { throw TableFailure() }
        if case .builtIn(let table) = pattern.table, let content = builtIn[table] {
            let isThere = content.contains(key, for: service)
            tables.note(.table(pattern.table, key: key, service, isThere ? .present : .absent))
            return isThere
        }
        return try await tables.contains(key, in: pattern.table.name, for: service)
    }
}

extension Mailbox {
    /// As tables know it: without quotes.
    fileprivate var tableKey: String { "\(localPart.text)@\(domain.canonical)" }
}
