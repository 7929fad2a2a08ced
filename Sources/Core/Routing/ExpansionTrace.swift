// SPDX-License-Identifier: ISC

public import Configuration
public import Mail

/// The criteria of a rule by their names, in the order in which they are tried.
public enum RuleCriterion: String, CaseIterable, Hashable, Sendable {
    case tag, from
    case destination = "for"
    case helo
    case authentication = "auth"
    case encryption = "tls"
    case sender = "mail-from"
    case recipient = "rcpt-to"
}

/// One thing that was asked or found on the way from a recipient to its envelopes.
public enum ExpansionEvent: Hashable, Sendable {
    public enum TableFinding: Hashable, Sendable {
        case present
        case value(String)
        case absent
        case failed
    }

    public enum FileFinding: Hashable, Sendable {
        case absent
        /// So many bytes.
        case read(Int)
        case insecure
        case failed
    }

    /// The rules are asked about this address.
    case address(Mailbox, isInternal: Bool)
    /// A rule was tried; the criterion that is not met, nil when all are.
    case rule(Int, unmet: RuleCriterion?)
    /// These were not even tried: each has a criterion that is not met.
    case leftOut(Range<Int>)
    case decision(Ruleset.Decision)
    case table(TableReference, key: String, TableService, TableFinding)
    case user(String, UserLookup)
    case forward(UserRecord, FileFinding)
    case include(String, FileFinding)
    /// The address of a bounce that was found to stand for another.
    case rewritten(Mailbox, original: Mailbox?)
}

/// How a hypothetical recipient would fare, and why.
public struct Explanation: Hashable, Sendable {
    public var events: [ExpansionEvent]
    /// How many more events there were than are kept.
    public var omitted: Int
    public var outcome: Expansion.Outcome
}

extension Expansion {
    /// What ``expand(_:in:)`` answers, with all that was asked on the way: it is the one that is called.
    public func explain(_ request: Request, in world: some ExpansionWorld) async -> Explanation {
        let trace = ExpansionTrace()
        let outcome = await expand(request, in: TracedWorld(world: world, trace: trace))
        return Explanation(events: trace.events, omitted: trace.omitted, outcome: outcome)
    }
}

/// What was asked so far.
final class ExpansionTrace {
    // A list of 100,000 members is explained by its first ones.
    static let mostEvents = 10_000

    private(set) var events: [ExpansionEvent] = []
    private(set) var omitted = 0

    func note(_ event: ExpansionEvent) {
        if events.count < Self.mostEvents { events.append(event) } else { omitted += 1 }
    }
}

/// A world that answers as another does, and keeps what was asked.
struct TracedWorld<World: ExpansionWorld>: ExpansionWorld {
    let world: World
    let trace: ExpansionTrace

    func note(_ event: ExpansionEvent) { trace.note(event) }
    func pause() async { await world.pause() }

    func contains(_ key: String, in name: String, for service: TableService) async throws(TableFailure) -> Bool {
        do throws(TableFailure) {
            let isThere = try await world.contains(key, in: name, for: service)
            note(.table(.named(name), key: key, service, isThere ? .present : .absent))
            return isThere
        } catch {
            note(.table(.named(name), key: key, service, .failed))
            throw error
        }
    }

    func value(of key: String, in name: String, for service: TableService) async throws(TableFailure) -> String? {
        do throws(TableFailure) {
            let value = try await world.value(of: key, in: name, for: service)
            note(.table(.named(name), key: key, service, value.map { .value($0) } ?? .absent))
            return value
        } catch {
            note(.table(.named(name), key: key, service, .failed))
            throw error
        }
    }

    func next(in name: String, for service: TableService) async throws(TableFailure) -> String? {
        try await world.next(in: name, for: service)
    }

    func user(named name: String) async -> UserLookup {
        let lookup = await world.user(named: name)
        note(.user(name, lookup))
        return lookup
    }

    func forward(of user: UserRecord, in userbase: TableReference) async -> ForwardFile {
        let file = await world.forward(of: user, in: userbase)
        let finding: ExpansionEvent.FileFinding =
            switch file {
            case .absent: .absent
            case .bytes(let bytes): .read(bytes.count)
            case .insecure: .insecure
            case .temporary: .failed
            }
        note(.forward(user, finding))
        return file
    }

    func include(_ path: String) async -> IncludedFile {
        let file = await world.include(path)
        let finding: ExpansionEvent.FileFinding =
            switch file {
            case .absent: .absent
            case .bytes(let bytes): .read(bytes.count)
            case .temporary: .failed
            }
        note(.include(path, finding))
        return file
    }

    func original(ofRewritten mailbox: Mailbox) async -> Mailbox? {
        let original = await world.original(ofRewritten: mailbox)
        note(.rewritten(mailbox, original: original))
        return original
    }
}
