// SPDX-License-Identifier: ISC

import Bytes

extension Parser {
    // match = "match" { [ "!" ] criterion } ( "reject" | "action" STR )
    mutating func parseMatch(_ location: SourceLocation) throws(Failure) {
        var rule = MatchRule(.reject, location: location)
        var given: Set<String> = []
        while true {
            if take(.reject) { break }
            if take(.action) {
                let name = try string("an action's name")
                guard options.completeness == .partial || configuration.action(named: name.text) != nil else {
                    throw Failure(message: "no such dispatcher: \(name.text)", location: name.location)
                }
                rule.decision = .action(name.text)
                break
            }
            try parseCriterion(&rule, &given)
        }
        configuration.rules.append(rule)
    }

    private enum Subject: String {
        case tag, helo, tls, auth, from
        case destination = "for"
        case sender = "mail-from"
        case recipient = "rcpt-to"
    }

    /// Also what may stand behind `from` and `for`, which then hold for any.
    private mutating func parseCriterion(_ rule: inout MatchRule, _ given: inout Set<String>) throws(Failure) {
        let sense: MatchRule.Sense = take("!") ? .fails : .holds
        guard let subject = next(as: Subject.self) else {
            throw unexpected(sense == .fails ? "a criterion" : "a criterion, reject or action")
        }
        try parseCriterion(subject, &rule, &given, sense)
    }

    private mutating func parseCriterion(
        _ subject: Subject, _ rule: inout MatchRule, _ given: inout Set<String>, _ sense: MatchRule.Sense
    ) throws(Failure) {
        let location = take().location
        guard given.insert(subject.rawValue).inserted else {
            throw Failure(message: "\(subject.rawValue) already specified for this rule", location: location)
        }
        switch subject {
        case .tag: rule.tag = MatchRule.Criterion(try pattern(for: .tag), sense)
        case .helo: rule.helo = MatchRule.Criterion(try pattern(for: .helo), sense)
        case .tls: rule.encryption = MatchRule.Criterion(.encrypted, sense)
        case .auth:
            let test = try optionalPattern(for: .user).map(MatchRule.Authentication.user) ?? .anyUser
            rule.authentication = MatchRule.Criterion(test, sense)
        case .sender: rule.sender = MatchRule.Criterion(try pattern(for: .sender), sense)
        case .recipient:
            rule.recipient = MatchRule.Criterion(try pattern(for: .recipient), sense)
        case .from: try parseOrigin(&rule, &given, sense)
        case .destination: try parseDestination(&rule, &given, sense)
        }
    }

    // "from" ( "socket" | "local" | "any" | "src" ["regex"] tables | "rdns" [ ["regex"] tables ] | "auth" ... )
    private mutating func parseOrigin(
        _ rule: inout MatchRule, _ given: inout Set<String>, _ sense: MatchRule.Sense
    ) throws(Failure) {
        let origin: MatchRule.Origin
        if take(.socket) {
            origin = .socket
        } else if take(.local) {
            origin = .local
        } else if take(.any) {
            origin = .any
        } else if take(.src) {
            origin = .source(try pattern(for: .from))
        } else if take(.rdns) {
            origin = .reverseName(try optionalPattern(for: .from))
        } else if let subject = next(as: Subject.self), subject == .auth || subject == .sender {
            rule.origin = MatchRule.Criterion(.any)
            return try parseCriterion(subject, &rule, &given, sense)
        } else {
            throw unexpected("socket, local, any, src, rdns, auth or mail-from")
        }
        rule.origin = MatchRule.Criterion(origin, sense)
    }

    // "for" ( "local" | "any" | "domain" ["regex"] tables | "rcpt-to" ["regex"] tables )
    private mutating func parseDestination(
        _ rule: inout MatchRule, _ given: inout Set<String>, _ sense: MatchRule.Sense
    ) throws(Failure) {
        let destination: MatchRule.Destination
        if take(.local) {
            destination = .local
        } else if take(.any) {
            destination = .any
        } else if take(.domain) {
            destination = .domain(try pattern(for: .destination))
        } else if next(as: Subject.self) == .recipient {
            rule.destination = MatchRule.Criterion(.any)
            return try parseCriterion(.recipient, &rule, &given, sense)
        } else {
            throw unexpected("local, any, domain or rcpt-to")
        }
        rule.destination = MatchRule.Criterion(destination, sense)
    }
}
