// SPDX-License-Identifier: ISC

import Bytes
import IPC
import Mail

/// Who knows the records of the DNS.
protocol RecordSource {
    /// The records of `name` as texts, none when there are none; nil when there was no answer.
    func records(of name: String, _ kind: RecordKind) async -> [String]?
}

/// The networks from which a domain sends, collected from its SPF record and those that it leads to (RFC 7208).
///
/// A list for a firewall or a table can hold only what is always allowed: mechanisms with a qualifier that says no or
/// perhaps are left out, and what depends on the sender or the client (macros, `exists`, `ptr`) is complained about.
final class SPFWalk {
    // RFC 7208 section 4.6.4 allows ten for a check; walks go further, but not on and on.
    private static let mostQuestions = 100
    private static let deepest = 20
    // RFC 7208 section 4.6.4
    private static let mostExchanges = 10

    private let source: any RecordSource
    private let found: (String) -> Void
    private let complain: (String) -> Void
    private var networks: Set<String> = []
    private var walked: Set<String> = []
    private var questions = 0

    init(_ source: any RecordSource, found: @escaping (String) -> Void, complain: @escaping (String) -> Void) {
        self.source = source
        self.found = found
        self.complain = complain
    }

    /// Hands each network of `domain` to `found`, each once in the life of this walk. False when something is missing.
    func walk(_ domain: String) async -> Bool {
        questions = 0
        return await walk(domain.asciiLowercased, depth: 0)
    }

    private func walk(_ domain: String, depth: Int) async -> Bool {
        guard walked.insert(domain).inserted else { return true }
        guard depth < Self.deepest else { return fail("\(domain): too deep") }
        guard let texts = await ask(domain, .text) else { return false }
        let policies = texts.compactMap(Self.terms)
        guard let terms = policies.first else { return fail("\(domain): no SPF record") }
        guard policies.count == 1 else { return fail("\(domain): more than one SPF record") }
        var isComplete = true
        // RFC 7208 section 6.1: a redirect has no effect beside `all`.
        let isClosed = terms.contains { Self.name(of: Self.unqualified($0) ?? String($0.dropFirst())) == "all" }
        for term in terms {
            guard let mechanism = Self.unqualified(term) else { continue }
            if mechanism.asciiLowercased.hasPrefix("redirect="), isClosed { continue }
            if await !follow(mechanism, of: domain, depth: depth) { isComplete = false }
        }
        return isComplete
    }

    // record = "v=spf1" *( 1*SP term )
    private static func terms(_ text: String) -> [String]? {
        let words = text.split(separator: " ").map(String.init)
        guard words.first?.asciiLowercased == "v=spf1" else { return nil }
        return Array(words.dropFirst())
    }

    // Without its `+` or `?`; nil for what is not allowed.
    private static func unqualified(_ term: String) -> String? {
        switch term.utf8.first {
        case UInt8(ascii: "+"), UInt8(ascii: "?"): String(term.dropFirst())
        case UInt8(ascii: "-"), UInt8(ascii: "~"): nil
        default: term
        }
    }

    private static func name(of mechanism: String) -> String {
        String(mechanism.prefix { $0 != ":" && $0 != "/" && $0 != "=" }).asciiLowercased
    }

    private func follow(_ mechanism: String, of domain: String, depth: Int) async -> Bool {
        guard !mechanism.utf8.contains(UInt8(ascii: "%")) else { return fail("\(domain): \(mechanism): has a macro") }
        let name = Self.name(of: mechanism)
        let rest = mechanism.dropFirst(name.count)
        switch name {
        case "ip4", "ip6":
            let network = String(rest.dropFirst())
            guard Self.isNetwork(network, name == "ip4" ? .v4 : .v6) else { return fail("\(domain): \(mechanism)") }
            add(network)
            return true
        case "include", "redirect":
            return await walk(String(rest.dropFirst()).asciiLowercased, depth: depth + 1)
        case "a":
            let target = Self.target(rest, domain)
            return await addAddresses(of: target.name, target.lengths)
        case "mx":
            let target = Self.target(rest, domain)
            guard let exchanges = await ask(target.name, .mailExchange) else { return false }
            var isComplete = exchanges.count <= Self.mostExchanges
            if !isComplete { complain("\(target.name): too many mail exchangers") }
            for exchange in exchanges.prefix(Self.mostExchanges) where exchange != "." {
                if await !addAddresses(of: exchange, target.lengths) { isComplete = false }
            }
            return isComplete
        case "exists", "ptr":
            return fail("\(domain): \(mechanism): depends on the client")
        default:
            // `all` names no network; `exp` is a text; other modifiers mean nothing to us (RFC 7208 section 6).
            return true
        }
    }

    private typealias Lengths = (four: String, six: String)

    // [ ":" domain ] [ "/" length4 ] [ "//" length6 ]
    private static func target(_ rest: Substring, _ domain: String) -> (name: String, lengths: Lengths) {
        let name = rest.hasPrefix(":") ? String(rest.dropFirst().prefix { $0 != "/" }) : domain
        var lengths = rest.drop { $0 != "/" }
        var six = ""
        if let place = lengths.firstRange(of: "//") {
            six = "/" + lengths[place.upperBound...]
            lengths = lengths[..<place.lowerBound]
        }
        return (name.asciiLowercased, (String(lengths), six))
    }

    private func addAddresses(of name: String, _ lengths: Lengths) async -> Bool {
        guard let four = await ask(name, .address), let six = await ask(name, .address6) else { return false }
        var isComplete = true
        for (addresses, length, family) in [(four, lengths.four, IPAddress.Family.v4), (six, lengths.six, .v6)] {
            for address in addresses {
                if Self.isNetwork(address + length, family) {
                    add(address + length)
                } else {
                    isComplete = fail("\(name): \(address)\(length)")
                }
            }
        }
        return isComplete
    }

    private func add(_ network: String) {
        if networks.insert(network).inserted { found(network) }
    }

    private static func isNetwork(_ text: String, _ family: IPAddress.Family) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let address = IPAddress(String(parts[0])), address.family == family else {
            return false
        }
        guard parts.count == 2 else { return true }
        guard parts[1].utf8.allSatisfy(\.isDigit), let length = Int(parts[1]) else { return false }
        return length <= address.bytes.count * 8
    }

    private func ask(_ name: String, _ kind: RecordKind) async -> [String]? {
        questions += 1
        guard questions <= Self.mostQuestions else {
            complain("\(name): too many questions")
            return nil
        }
        guard let records = await source.records(of: name, kind) else {
            complain("\(name): no answer")
            return nil
        }
        return records
    }

    private func fail(_ what: String) -> Bool {
        complain("\(VisibleText(what))")
        return false
    }
}
