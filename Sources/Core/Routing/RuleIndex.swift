// SPDX-License-Identifier: ISC

import Bytes
import Configuration
import Mail

/// Finds the few rules that can hold for a subject without a look at the thousands that cannot.
///
/// A rule is filed under what one of its criteria spells: the domain of the recipient or the sender, the network of the
/// client. That criterion must not be met for anything else, and those that are tried before it must not be able to
/// fail, so that leaving the rule out changes nothing. A rule that spells nothing of the kind is always a candidate.
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

    private let everywhere: [Int]
    private let filed: [Anchor: [Int]]
    private let prefixLengths: [IPAddress.Family: [Int]]

    /// `tables` are those whose content is known and stays; all others may fail when they are asked.
    init(_ rules: [MatchRule], tables: [TableDefinition]) {
        var spelled: [String: [String]] = [:]
        for table in tables {
            switch table.kind {
            case .list(let elements): spelled[table.name] = elements.map(\.asciiLowercased)
            case .mapping(let entries): spelled[table.name] = entries.map(\.key.asciiLowercased)
            case .file, .backend: break
            }
        }
        let reader = AnchorReader(spelled: spelled)
        var everywhere: [Int] = []
        var filed: [Anchor: [Int]] = [:]
        var lengths: [IPAddress.Family: Set<Int>] = [:]
        for (number, rule) in rules.enumerated() {
            guard let anchors = reader.anchors(of: rule) else {
                everywhere.append(number)
                continue
            }
            for anchor in anchors {
                filed[anchor, default: []].append(number)
                if case .network(let network) = anchor {
                    lengths[network.address.family, default: []].insert(network.prefixLength)
                }
            }
        }
        self.everywhere = everywhere
        self.filed = filed
        prefixLengths = lengths.mapValues { $0.sorted() }
    }

    /// In ascending order; every rule that is left out cannot hold.
    func candidates(
        for subject: MatchSubject, isOwnClient: () -> Bool, isLocalDestination: () -> Bool
    ) -> RuleCandidates {
        var candidates = RuleCandidates(everywhere)
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

    /// Looks for what a rule can be filed under.
    private struct AnchorReader {
        let spelled: [String: [String]]

        /// nil for a rule that must be tried each time; none for one that can never hold.
        func anchors(of rule: MatchRule) -> Set<Anchor>? {
            var best: Set<Anchor>?
            // In the order in which they are tried: behind a criterion that may fail nothing counts.
            for step in steps(of: rule) {
                if let anchors = step.anchors, best == nil || Self.isCommon(best) && !Self.isCommon(anchors) {
                    best = anchors
                }
                if step.mayFail { break }
            }
            return best
        }

        /// Half of all mail has these in common.
        private static func isCommon(_ anchors: Set<Anchor>?) -> Bool {
            anchors?.contains { anchor in
                switch anchor {
                case .localDestination, .ownClient, .localClient: true
                case .destination, .destinationParent, .sender, .senderParent, .network: false
                }
            } ?? false
        }

        private typealias Step = (anchors: Set<Anchor>?, mayFail: Bool)

        private func steps(of rule: MatchRule) -> [Step] {
            var steps: [Step] = []
            func plain(_ pattern: TablePattern?) {
                if let pattern { steps.append((nil, mayFail(pattern))) }
            }
            plain(rule.tag?.test)
            steps.append(origin(rule.origin))
            steps.append(destination(rule.destination))
            plain(rule.helo?.test)
            if case .user(let pattern)? = rule.authentication?.test { plain(pattern) }
            if let sender = rule.sender {
                steps.append(mailboxes(sender, literal: Anchor.sender, parent: Anchor.senderParent))
            }
            if let recipient = rule.recipient {
                steps.append(mailboxes(recipient, literal: Anchor.destination, parent: Anchor.destinationParent))
            }
            return steps
        }

        private func origin(_ criterion: MatchRule.Criterion<MatchRule.Origin>) -> Step {
            let holds = criterion.sense == .holds
            switch criterion.test {
            case .socket: return (holds ? [.localClient] : nil, false)
            case .local: return (holds ? [.ownClient] : nil, false)
            case .any: return (nil, false)
            case .reverseName(nil): return (nil, false)
            case .reverseName(let pattern?): return (nil, mayFail(pattern))
            case .source(let pattern):
                guard holds, let keys = keys(of: pattern) else { return (nil, mayFail(pattern)) }
                var anchors: Set<Anchor> = []
                for key in keys {
                    // What is neither matches no client.
                    if let network = NetworkPattern(key) {
                        anchors.insert(.network(network))
                    } else if key == BuiltInTables.local {
                        anchors.insert(.localClient)
                    }
                }
                return (anchors, false)
            }
        }

        private func destination(_ criterion: MatchRule.Criterion<MatchRule.Destination>) -> Step {
            let holds = criterion.sense == .holds
            switch criterion.test {
            case .local: return (holds ? [.localDestination] : nil, false)
            case .any: return (nil, false)
            case .domain(let pattern):
                guard holds, let keys = keys(of: pattern) else { return (nil, mayFail(pattern)) }
                return (anchors(keys, literal: Anchor.destination, parent: Anchor.destinationParent), false)
            }
        }

        private func mailboxes(
            _ criterion: MatchRule.Criterion<TablePattern>, literal: (String) -> Anchor, parent: (String) -> Anchor
        ) -> Step {
            guard criterion.sense == .holds, let keys = keys(of: criterion.test) else {
                return (nil, mayFail(criterion.test))
            }
            return (anchors(keys.map { MailboxPattern($0).domain }, literal: literal, parent: parent), false)
        }

        /// nil when some pattern may match any name.
        private func anchors(
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

        /// The keys of a table that the configuration spells, when they are no expressions.
        private func keys(of pattern: TablePattern) -> [String]? {
            guard pattern.syntax == .ordinary, case .named(let name) = pattern.table else { return nil }
            return spelled[name]
        }

        private func mayFail(_ pattern: TablePattern) -> Bool {
            switch pattern.table {
            case .builtIn(.users): true
            case .builtIn: false
            case .named(let name): spelled[name] == nil
            }
        }
    }
}

/// The numbers of several ascending lists in ascending order, each once.
struct RuleCandidates: Sequence, IteratorProtocol {
    private var lists: [ArraySlice<Int>] = []

    init(_ list: [Int]) { add(list) }

    mutating func add(_ list: [Int]) {
        if !list.isEmpty { lists.append(list[...]) }
    }

    mutating func next() -> Int? {
        guard var least = lists.first?.first else { return nil }
        for list in lists {
            if let first = list.first, first < least { least = first }
        }
        for index in lists.indices.reversed() where lists[index].first == least {
            _ = lists[index].popFirst()
            if lists[index].isEmpty { lists.remove(at: index) }
        }
        return least
    }
}
