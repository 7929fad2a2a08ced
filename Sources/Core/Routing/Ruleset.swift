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
///
/// The tables that are in memory are part of it, as they are at one moment: they answer at once and never fail. When
/// one is read again, that makes another ruleset, and who is being decided about is so by the one.
public struct Ruleset: Sendable {
    public enum Decision: Hashable, Sendable {
        /// `rule` counts from 0.
        case action(String, rule: Int)
        case reject(rule: Int)
        case noMatch
        /// A table could not be asked: a later rule must not decide what an earlier one might have.
        case temporaryFailure
    }

    // Some tens of microseconds, except where there are many regular expressions.
    private static let stepsPerTurn = 64

    private let rules: [MatchRule]
    private let builtIn: BuiltInTables
    private let held: [String: TableContent]
    let delimiters: SubaddressDelimiters
    private let index: RuleIndex

    /// `held` are the tables of the configuration that are in memory; the others are asked as each decision needs them.
    public init(
        _ rules: [MatchRule], builtIn: BuiltInTables, held: [String: TableContent] = [:],
        delimiters: SubaddressDelimiters = .plus
    ) {
        self.rules = rules
        self.builtIn = builtIn
        self.held = held
        self.delimiters = delimiters
        index = RuleIndex(rules, tables: held)
    }

    /// The same rules with the tables as they are now.
    func with(_ held: [String: TableContent]) -> Ruleset {
        Ruleset(rules, builtIn: builtIn, held: held, delimiters: delimiters)
    }

    public func decide(_ subject: MatchSubject, tables: some TableLookups) async -> Decision {
        var evaluation = RuleEvaluation(subject, self, tables)
        var candidates = candidates(for: subject)
        var steps = 0
        // The first rule of which nothing was said yet.
        var next = 0
        func leaveOut(before number: Int) {
            if next < number { tables.note(.leftOut(next..<number)) }
            next = max(next, number)
        }
        while let candidate = candidates.next() {
            steps += 1
            if steps.isMultiple(of: Self.stepsPerTurn) { await tables.pause() }
            let number: Int
            switch candidate {
            case .rule(let rule): number = rule
            case .group(let group):
                leaveOut(before: index.groups[group].first)
                if evaluation.mayHold(index.groups[group]) { candidates.add(index.groups[group].rules) }
                continue
            }
            leaveOut(before: number)
            next = number + 1
            let rule = rules[number]
            do throws(TableFailure) {
                let unmet = try await evaluation.unmet(by: rule)
                tables.note(.rule(number, unmet: unmet))
                guard unmet == nil else { continue }
            } catch {
                return .temporaryFailure
            }
            switch rule.decision {
            case .action(let name): return .action(name, rule: number)
            case .reject: return .reject(rule: number)
            }
        }
        leaveOut(before: rules.count)
        return .noMatch
    }

    /// The criterion for which a rule that was not even tried cannot hold; nil for one that is always tried.
    func criterion(ofLeftOut rule: Int) -> RuleCriterion? { index.criteria[rule] }

    func content(of table: TableReference) -> TableContent? {
        switch table {
        case .builtIn(let table): builtIn[table]
        case .named(let name): held[name]
        }
    }

    private func candidates(for subject: MatchSubject) -> RuleCandidates {
        // A key that is too long is an error of the first rule that asks for it, which must not be left out.
        guard subject.hasUsualKeys else { return RuleCandidates(Array(rules.indices), []) }
        return index.candidates(
            for: subject,
            isOwnClient: { builtIn[.localHost]?.contains(subject.client, for: .networkAddress) ?? false },
            isLocalDestination: {
                builtIn[.localNames]?.contains(subject.destination.domain.canonical, for: .domain) ?? false
            })
    }
}
