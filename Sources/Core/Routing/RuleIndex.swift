// SPDX-License-Identifier: ISC

import Bytes
import Configuration
import Mail

/// Finds the few rules that can hold for a subject without a look at the thousands that cannot.
///
/// A rule is filed under what one of its criteria spells: the domain of the recipient or the sender, the network of the
/// client. Where its table is too large for that, or its keys spell nothing of the kind, the rules that ask the same of
/// it are a group, which is asked about once, when the first of them has its turn. That criterion must not be met for
/// anything else, and those that are tried before it must not be able to fail, so that leaving the rule out changes
/// nothing. A rule that has no such criterion is always a candidate.
struct RuleIndex: Sendable {
    /// What must be so for a rule to hold.
    private enum Anchor: Hashable, Sendable {
        case destination(String)
        /// Any name with one label more.
        case destinationParent(String)
        case sender(String)
        case senderParent(String)
        case network(NetworkPattern)
        /// The recipient is in a domain of this host.
        case localDestination
        /// The client is this host, by whatever address.
        case ownClient
        /// The client is the socket of this host, or mail that arose here.
        case localClient
    }

    /// The rules that hold only if the answer to a question is yes.
    struct Group: Sendable {
        let question: TableQuestion
        let content: TableContent
        let first: Int
        /// In ascending order.
        fileprivate(set) var rules: [Int]
    }

    // Where a rule is filed.
    private enum Place {
        case anchors(Set<Anchor>)
        case group(TableQuestion, TableContent)
    }

    // A larger table is asked: spelling it out would cost more memory than it takes itself.
    private static let mostKeys = 1000
    // All together: this is made anew in one go whenever a table is read again, in less than 100 ms.
    private static let mostAnchors = 100_000

    private var everywhere: [Int] = []
    private var filed: [Anchor: [Int]] = [:]
    /// By the first of their rules.
    private(set) var groups: [Group] = []
    private var prefixLengths: [IPAddress.Family: [Int]] = [:]
    /// The criterion by which each rule is filed.
    private(set) var criteria: [RuleCriterion?] = []

    /// `tables` are those whose content is known and stays; all others may fail when they are asked.
    init(_ rules: [MatchRule], tables: [String: TableContent]) {
        var lengths: [IPAddress.Family: Set<Int>] = [:]
        var numbers: [TableQuestion: Int] = [:]
        var count = 0
        criteria.reserveCapacity(rules.count)
        for (number, rule) in rules.enumerated() {
            let reader = PlaceReader(tables: tables, mostKeys: min(Self.mostKeys, Self.mostAnchors - count))
            let best = reader.best(of: rule)
            criteria.append(best?.criterion)
            switch best?.place {
            case nil: everywhere.append(number)
            case .anchors(let anchors)?:
                count += anchors.count
                for anchor in anchors {
                    filed[anchor, default: []].append(number)
                    if case .network(let network) = anchor {
                        lengths[network.address.family, default: []].insert(network.prefixLength)
                    }
                }
            case .group(let question, let content)?:
                if let group = numbers[question] {
                    groups[group].rules.append(number)
                } else {
                    numbers[question] = groups.count
                    groups.append(Group(question: question, content: content, first: number, rules: [number]))
                }
            }
        }
        prefixLengths = lengths.mapValues { $0.sorted() }
    }

    /// In ascending order; every rule that is left out cannot hold.
    func candidates(
        for subject: MatchSubject, isOwnClient: () -> Bool, isLocalDestination: () -> Bool
    ) -> RuleCandidates {
        var candidates = RuleCandidates(everywhere, groups)
        func add(_ anchor: Anchor) { filed[anchor].map { candidates.add($0) } }
        if filed.isEmpty { return candidates }
        let domain = subject.destination.domain.canonical
        add(.destination(domain))
        if let parent = Self.parent(of: domain) { add(.destinationParent(parent)) }
        if let sender = subject.sender.mailbox?.domain.canonical {
            add(.sender(sender))
            if let parent = Self.parent(of: sender) { add(.senderParent(parent)) }
        }
        if filed[.localDestination] != nil, isLocalDestination() { add(.localDestination) }
        if filed[.ownClient] != nil, isOwnClient() { add(.ownClient) }
        guard let address = subject.clientAddress else {
            add(.localClient)
            return candidates
        }
        for length in prefixLengths[address.family] ?? [] {
            add(.network(NetworkPattern(address, prefixLength: length)))
        }
        return candidates
    }

    fileprivate static func parent(of domain: String) -> String? {
        domain.utf8.firstIndex(of: .dot).map { String(domain[domain.utf8.index(after: $0)...]) }
    }

    /// Looks for where a rule can be filed.
    private struct PlaceReader {
        typealias Step = (criterion: RuleCriterion, place: Place?, mayFail: Bool)

        let tables: [String: TableContent]
        let mostKeys: Int

        /// nil for a rule that must be tried each time.
        func best(of rule: MatchRule) -> (criterion: RuleCriterion, place: Place)? {
            var best: (criterion: RuleCriterion, place: Place)?
            // In the order in which they are tried: behind a criterion that may fail nothing counts.
            for step in steps(of: rule) {
                if let place = step.place, best.map({ Self.rank(place) < Self.rank($0.place) }) ?? true {
                    best = (step.criterion, place)
                }
                if step.mayFail { break }
            }
            return best
        }

        /// The less, the less is done in vain.
        private static func rank(_ place: Place) -> Int {
            switch place {
            case .anchors(let anchors): anchors.contains(where: isCommon) ? 2 : 0
            case .group(let question, _):
                switch question.pattern.syntax {
                case .ordinary: 1
                case .regularExpression: 3
                }
            }
        }

        /// Half of all mail has these in common.
        private static func isCommon(_ anchor: Anchor) -> Bool {
            switch anchor {
            case .localDestination, .ownClient, .localClient: true
            case .destination, .destinationParent, .sender, .senderParent, .network: false
            }
        }

        private func steps(of rule: MatchRule) -> [Step] {
            var steps: [Step] = []
            func add(
                _ criterion: RuleCriterion, _ aspect: MatchAspect, _ test: MatchRule.Criterion<TablePattern>?,
                spelling: ([String]) -> Set<Anchor>? = { _ in nil }
            ) {
                guard let test else { return }
                let place = test.sense == .holds ? place(TableQuestion(aspect, test.test), spelling) : nil
                steps.append((criterion, place, mayFail(test.test)))
            }
            add(.tag, .tag, rule.tag)
            let origin = rule.origin
            switch origin.test {
            case .any, .reverseName(nil): break
            case .socket where origin.sense == .holds: steps.append((.from, .anchors([.localClient]), false))
            case .local where origin.sense == .holds: steps.append((.from, .anchors([.ownClient]), false))
            case .socket, .local: break
            case .source(let pattern):
                add(.from, .client, MatchRule.Criterion(pattern, origin.sense), spelling: Self.networks)
            case .reverseName(let pattern?): add(.from, .clientName, MatchRule.Criterion(pattern, origin.sense))
            }
            let destination = rule.destination
            switch destination.test {
            case .any: break
            case .local where destination.sense == .holds:
                steps.append((.destination, .anchors([.localDestination]), false))
            case .local: break
            case .domain(let pattern):
                add(.destination, .destinationDomain, MatchRule.Criterion(pattern, destination.sense)) {
                    Self.domains($0, literal: Anchor.destination, parent: Anchor.destinationParent)
                }
            }
            add(.helo, .greeting, rule.helo)
            if let authentication = rule.authentication, case .user(let pattern) = authentication.test {
                add(.authentication, .user, MatchRule.Criterion(pattern, authentication.sense))
            }
            add(.sender, .sender, rule.sender) { keys in
                Self.domains(
                    keys.map { MailboxPattern($0).domain }, literal: Anchor.sender, parent: Anchor.senderParent)
            }
            add(.recipient, .recipient, rule.recipient) { keys in
                Self.domains(
                    keys.map { MailboxPattern($0).domain }, literal: Anchor.destination,
                    parent: Anchor.destinationParent)
            }
            return steps
        }

        /// Where a rule may be filed that holds only if the answer is yes.
        private func place(_ question: TableQuestion, _ spelling: ([String]) -> Set<Anchor>?) -> Place? {
            guard case .named(let name) = question.pattern.table, let content = tables[name] else { return nil }
            if question.pattern.syntax == .ordinary, content.count <= mostKeys,
                let anchors = spelling(content.keys.map(\.asciiLowercased))
            {
                return .anchors(anchors)
            }
            return .group(question, content)
        }

        private static func networks(_ keys: [String]) -> Set<Anchor> {
            var anchors: Set<Anchor> = []
            for key in keys {
                // What is neither matches no client.
                if let network = NetworkPattern(key) {
                    anchors.insert(.network(network))
                } else if key == BuiltInTables.local {
                    anchors.insert(.localClient)
                }
            }
            return anchors
        }

        /// nil when some pattern may match any name.
        private static func domains(
            _ domains: [String], literal: (String) -> Anchor, parent: (String) -> Anchor
        ) -> Set<Anchor>? {
            var anchors: Set<Anchor> = []
            let wildcard = UInt8(ascii: "*")
            for domain in domains {
                if domain.isEmpty { return nil }
                if !domain.utf8.contains(wildcard) {
                    anchors.insert(literal(domain))
                } else if domain.hasPrefix("*."), !domain.utf8.dropFirst().contains(wildcard) {
                    anchors.insert(parent(String(domain.dropFirst(2))))
                } else {
                    return nil
                }
            }
            return anchors
        }

        private func mayFail(_ pattern: TablePattern) -> Bool {
            switch pattern.table {
            case .builtIn(.users): true
            case .builtIn: false
            case .named(let name): tables[name] == nil
            }
        }
    }
}

/// The rules of several ascending lists in ascending order, each once, and each group where its first rule stands.
struct RuleCandidates {
    enum Candidate {
        case rule(Int)
        /// The number of a group, whose rules are to be added if its question is answered with yes.
        case group(Int)
    }

    private var lists: [ArraySlice<Int>] = []
    private let groups: [RuleIndex.Group]
    private var nextGroup = 0

    init(_ list: [Int], _ groups: [RuleIndex.Group]) {
        self.groups = groups
        add(list)
    }

    mutating func add(_ list: [Int]) {
        if !list.isEmpty { lists.append(list[...]) }
    }

    mutating func next() -> Candidate? {
        var least = Int.max
        for list in lists {
            if let first = list.first, first < least { least = first }
        }
        if nextGroup < groups.count, groups[nextGroup].first < least {
            nextGroup += 1
            return .group(nextGroup - 1)
        }
        guard least != .max else { return nil }
        for index in lists.indices.reversed() where lists[index].first == least {
            _ = lists[index].popFirst()
            if lists[index].isEmpty { lists.remove(at: index) }
        }
        return .rule(least)
    }
}
