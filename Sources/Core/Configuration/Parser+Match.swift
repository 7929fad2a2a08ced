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

    private mutating func parseCriterion(_ rule: inout MatchRule, _ given: inout Set<String>) throws(Failure) {
        let isNegated = take("!")
        let token = peek()
        guard case .keyword(let keyword) = token.kind else {
            throw unexpected(isNegated ? "a criterion" : "a criterion, reject or action")
        }
        switch keyword {
        case .tag:
            _ = take()
            try once("tag", &given, token)
            rule.tag = MatchRule.Criterion(try pattern(for: .tag), isNegated ? .fails : .holds)
        case .helo:
            _ = take()
            try once("helo", &given, token)
            rule.helo = MatchRule.Criterion(try pattern(for: .helo), isNegated ? .fails : .holds)
        case .tls:
            _ = take()
            try once("tls", &given, token)
            rule.encryption = MatchRule.Criterion(.encrypted, isNegated ? .fails : .holds)
        case .auth, .mailFrom, .rcptTo:
            try parseAddressCriterion(&rule, &given, isNegated)
        case .from:
            _ = take()
            try once("from", &given, token)
            try parseOrigin(&rule, &given, isNegated)
        case .for:
            _ = take()
            try once("for", &given, token)
            try parseDestination(&rule, &given, isNegated)
        default:
            throw unexpected(isNegated ? "a criterion" : "a criterion, reject or action")
        }
    }

    // "auth" [ ["regex"] tables ] | "mail-from" ["regex"] tables | "rcpt-to" ["regex"] tables
    /// Also what may stand behind `from` and `for`, which then hold for any.
    private mutating func parseAddressCriterion(
        _ rule: inout MatchRule, _ given: inout Set<String>, _ isNegated: Bool
    ) throws(Failure) {
        let token = take()
        switch token.kind {
        case .keyword(.auth):
            try once("auth", &given, token)
            let test = try optionalPattern(for: .user).map(MatchRule.Authentication.user) ?? .anyUser
            rule.authentication = MatchRule.Criterion(test, isNegated ? .fails : .holds)
        case .keyword(.mailFrom):
            try once("mail-from", &given, token)
            rule.sender = MatchRule.Criterion(try pattern(for: .sender), isNegated ? .fails : .holds)
        default:
            try once("rcpt-to", &given, token)
            rule.recipient = MatchRule.Criterion(try pattern(for: .recipient), isNegated ? .fails : .holds)
        }
    }

    // "from" ( "socket" | "local" | "any" | "src" ["regex"] tables | "rdns" [ ["regex"] tables ] | "auth" ... )
    private mutating func parseOrigin(
        _ rule: inout MatchRule, _ given: inout Set<String>, _ isNegated: Bool
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
        } else if peek().kind == .keyword(.auth) || peek().kind == .keyword(.mailFrom) {
            rule.origin = MatchRule.Criterion(.any)
            return try parseAddressCriterion(&rule, &given, isNegated)
        } else {
            throw unexpected("socket, local, any, src, rdns, auth or mail-from")
        }
        rule.origin = MatchRule.Criterion(origin, isNegated ? .fails : .holds)
    }

    // "for" ( "local" | "any" | "domain" ["regex"] tables | "rcpt-to" ["regex"] tables )
    private mutating func parseDestination(
        _ rule: inout MatchRule, _ given: inout Set<String>, _ isNegated: Bool
    ) throws(Failure) {
        let destination: MatchRule.Destination
        if take(.local) {
            destination = .local
        } else if take(.any) {
            destination = .any
        } else if take(.domain) {
            destination = .domain(try pattern(for: .destination))
        } else if peek().kind == .keyword(.rcptTo) {
            rule.destination = MatchRule.Criterion(.any)
            return try parseAddressCriterion(&rule, &given, isNegated)
        } else {
            throw unexpected("local, any, domain or rcpt-to")
        }
        rule.destination = MatchRule.Criterion(destination, isNegated ? .fails : .holds)
    }

    private func once(_ name: String, _ given: inout Set<String>, _ token: Token) throws(Failure) {
        guard given.insert(name).inserted else {
            throw Failure(message: "\(name) already specified for this rule", location: token.location)
        }
    }
}
