// SPDX-License-Identifier: ISC

import Configuration
import Mail

/// The tests of rules against one subject, in the order tag, from, for, helo, auth, tls, mail-from, rcpt-to.
struct RuleEvaluation<Tables: TableLookups> {
    private let subject: MatchSubject
    private let ruleset: Ruleset
    private let tables: Tables
    // Of tables that many rules ask, or that take long to answer.
    private var answers: [TableQuestion: Bool] = [:]

    init(_ subject: MatchSubject, _ ruleset: Ruleset, _ tables: Tables) {
        self.subject = subject
        self.ruleset = ruleset
        self.tables = tables
    }

    /// Whether the rules of `group` are worth a try.
    mutating func mayHold(_ group: RuleIndex.Group) -> Bool {
        let question = group.question
        guard let (key, service) = question.sought(in: subject) else { return false }
        let isThere = group.content.contains(key, for: service, delimiters: ruleset.delimiters)
        note(question, key, service, isThere)
        answers[question] = isThere
        return isThere
    }

    /// The first criterion that is not met; nil when the rule holds.
    mutating func unmet(by rule: MatchRule) async throws(TableFailure) -> RuleCriterion? {
        if let tag = rule.tag {
            let isMatch = try await matches(.tag, tag.test)
            guard isMatch == (tag.sense == .holds) else { return .tag }
        }
        guard try await holdsOrigin(rule.origin) else { return .from }
        guard try await holdsDestination(rule.destination) else { return .destination }
        if let helo = rule.helo {
            let isMatch = try await matches(.greeting, helo.test)
            guard isMatch == (helo.sense == .holds) else { return .helo }
        }
        if let authentication = rule.authentication {
            let isMatch =
                switch authentication.test {
                case .anyUser: subject.isAuthenticated
                case .user(let pattern): try await matches(.user, pattern)
                }
            guard isMatch == (authentication.sense == .holds) else { return .authentication }
        }
        if let encryption = rule.encryption {
            switch encryption.test {
            case .encrypted: guard subject.isEncrypted == (encryption.sense == .holds) else { return .encryption }
            }
        }
        if let sender = rule.sender {
            let isMatch = try await matches(.sender, sender.test)
            guard isMatch == (sender.sense == .holds) else { return .sender }
        }
        if let recipient = rule.recipient {
            let isMatch = try await matches(.recipient, recipient.test)
            guard isMatch == (recipient.sense == .holds) else { return .recipient }
        }
        return nil
    }

    private mutating func holdsOrigin(
        _ criterion: MatchRule.Criterion<MatchRule.Origin>
    ) async throws(TableFailure) -> Bool {
        let isMatch: Bool
        switch criterion.test {
        case .socket:
            isMatch = subject.clientAddress == nil
        case .local:
            isMatch = try await matches(.client, TablePattern(.builtIn(.localHost)))
        case .any:
            isMatch = true
        case .source(let pattern):
            isMatch = try await matches(.client, pattern)
        case .reverseName(let pattern):
            let isNamed = MatchAspect.clientName.sought(in: subject) != nil
            if let pattern {
                // Without a name the question cannot be asked, so not even its negation holds.
                guard isNamed else { return false }
                isMatch = try await matches(.clientName, pattern)
            } else {
                isMatch = isNamed
            }
        }
        return isMatch == (criterion.sense == .holds)
    }

    private mutating func holdsDestination(
        _ criterion: MatchRule.Criterion<MatchRule.Destination>
    ) async throws(TableFailure) -> Bool {
        let isMatch =
            switch criterion.test {
            case .local: try await matches(.destinationDomain, TablePattern(.builtIn(.localNames)))
            case .any: true
            case .domain(let pattern): try await matches(.destinationDomain, pattern)
            }
        return isMatch == (criterion.sense == .holds)
    }

    private mutating func matches(
        _ aspect: MatchAspect, _ pattern: TablePattern
    ) async throws(TableFailure) -> Bool {
        let question = TableQuestion(aspect, pattern)
        guard let (key, service) = question.sought(in: subject) else { return false }
        guard key.utf8.count <= TableContent.longestKey else { throw TableFailure() }
        if !answers.isEmpty, let answer = answers[question] { return answer }
        if let content = ruleset.content(of: pattern.table) {
            let isThere = content.contains(key, for: service, delimiters: ruleset.delimiters)
            note(question, key, service, isThere)
            return isThere
        }
        let isThere = try await tables.contains(key, in: pattern.table.name, for: service)
        answers[question] = isThere
        return isThere
    }

    private func note(_ question: TableQuestion, _ key: String, _ service: TableService, _ isThere: Bool) {
        tables.note(.table(question.pattern.table, key: key, service, isThere ? .present : .absent))
    }
}
