// SPDX-License-Identifier: ISC

import Bytes
import Channel
import Configuration
import Host
import IPC
import Mail
import Posix

/// What Lookup asks of Parent and Parent of Lookup: tables, their programs, and users.
extension House {
    // A program is given 30 s by Lookup, which answers then.
    private static let tablePatience: UInt64 = 40_000
    // A file of a hundred megabytes on a slow disk is read in minutes; a Lookup that hangs is found out otherwise.
    private static let updatePatience: UInt64 = 600_000

    /// Opens the files of all tables and starts the programs behind the others.
    func sendTables(_ channel: Peer<ChildToParent, ParentToChild>, _ owner: Int32, _ era: Era) throws(StartFailure) {
        era.included.find()
        for path in era.tablePaths {
            channel.send(.file(.table, name: path), passing: try Era.open(path, for: "table"))
        }
        for table in era.programTables {
            channel.send(
                .file(.tableProgram, name: table.name),
                passing: try tables.start(table, for: owner, delimiters: Self.delimiters(of: era)))
        }
    }

    private static func delimiters(of era: Era) -> String {
        era.configuration.smtp.delimiters.text
    }

    func lookupEdge(
        _ descriptor: consuming FileDescriptor, _ member: Member, _ place: Place
    ) -> Peer<LookupToParent, ParentToLookup> {
        let pid = member.pid
        return Peer(
            descriptor, greeting: EdgeGreeting(role: .parent, generation: 0), expecting: .lookup,
            handle: { [weak self, weak place] question, correlation, _ in
                guard let self, let edge = lookupEdges[pid] else { return }
                let era = place?.era ?? era
                switch question {
                case .account(.forwardOf):
                    if let place { condemn(place, "names a uid to parent") }
                case .account(let question):
                    ask(question, for: edge, correlation, era)
                case .program(let name):
                    Task { await self.restartProgram(of: name, for: edge, correlation, pid, era) }
                case .user, .updated:
                    // The answer to a request that was given up.
                    break
                }
            },
            ended: { [weak self, weak member, weak place] end in
                self?.edgeEnded(end, member, place)
            })
    }

    private func ask(
        _ question: ToAccount, for edge: Peer<LookupToParent, ParentToLookup>, _ correlation: Correlation, _ era: Era
    ) {
        Task {
            let answer =
                switch question {
                case .forwardInTable(let user, let table): await forward(of: user, in: table)
                case .include(let path): await included(path, era)
                case .user, .forward, .forwardOf, .login, .password, .scramProof:
                    await (question.isSlow ? passwords : accounts).ask(question)
                }
            edge.answer(correlation, .account(answer))
        }
    }

    private func included(_ path: String, _ era: Era) async -> FromAccount {
        guard await era.included.allow(path) else {
            log.warning("included file \(VisibleText(path)) stands in no alias table")
            return .include(.temporaryFailure("not in an alias table"))
        }
        return await accounts.ask(.include(path: path))
    }

    // The table says who that is, in an answer of its own.
    private func forward(of user: String, in table: String) async -> FromAccount {
        switch AgentRules.isName(user) ? await userOfTable(table, user) : .absent {
        case .found(let record):
            // A number of root's in a table is a mistake, and would have the file read as root.
            guard record.uid != 0 else { return .forward(.insecure("root is no user of a table")) }
            return await accounts.ask(.forwardOf(record))
        case .absent: return .forward(.absent)
        case .temporaryFailure: return .forward(.temporaryFailure("the table of users does not answer"))
        }
    }

    private func restartProgram(
        of name: String, for edge: Peer<LookupToParent, ParentToLookup>, _ correlation: Correlation, _ owner: Int32,
        _ era: Era
    ) async {
        guard let table = era.programTables.first(where: { $0.name == name }) else {
            return edge.answer(correlation, .noProgram("no table behind a program"))
        }
        do throws(StartFailure) {
            let stream = try await tables.restart(table, for: owner, delimiters: Self.delimiters(of: era))
            // Lookup may have gone meanwhile, and the program is nobody's then.
            guard edge.isOpen else { return tables.ended(owner: owner) }
            edge.answer(correlation, .program, passing: stream)
        } catch {
            edge.answer(correlation, .noProgram("\(error)"))
        }
    }

    /// A user whom a table knows, as the Lookup of the configuration in force says.
    func userOfTable(_ table: String, _ user: String) async -> UserAnswer {
        guard let edge = lookups.last, !user.utf8.contains(0) else { return .temporaryFailure }
        do {
            let answer = try await edge.request(
                .userOfTable(table, named: user), timeoutMilliseconds: Self.tablePatience)
            guard case .user(let found) = answer else { return .temporaryFailure }
            return found
        } catch {
            return .temporaryFailure
        }
    }

    /// Has the table read again by every Lookup; why it stays as it was, or nil.
    func updateTable(_ name: String) async -> String? {
        guard let table = era.configuration.table(named: name) else { return "no such table" }
        let lookups = lookups
        if lookups.isEmpty { return "lookup is not there" }
        switch table.kind {
        case .list, .mapping: return "the table stands in the configuration: reload that"
        case .backend(BuiltInTable.users.rawValue, _): return nil
        case .file, .backend: break
        }
        let era = era
        do {
            guard case .file(let path) = table.kind else {
                return await update(lookups) { edge in
                    try await edge.request(
                        .updateProgram(table: name), timeoutMilliseconds: Self.tablePatience)
                }
            }
            let included = await era.included.extend(path, try Era.open(path, for: "table"))
            let refusal = await update(lookups) { edge in
                try await edge.request(
                    .updateFile(table: name), passing: try Era.open(path, for: "table"),
                    timeoutMilliseconds: Self.updatePatience)
            }
            if refusal == nil { era.included.settle(path, included) }
            return refusal
        } catch {
            return "\(error)"
        }
    }

    // Each of them is asked, even if one before has refused or ended meanwhile.
    private func update(
        _ lookups: [Peer<LookupToParent, ParentToLookup>],
        _ ask: (Peer<LookupToParent, ParentToLookup>) async throws -> LookupToParent
    ) async -> String? {
        var refusal: String?
        for edge in lookups {
            do {
                guard case .updated(let answer) = try await ask(edge) else { return "lookup does not answer" }
                refusal = answer ?? refusal
            } catch {
                refusal = "\(error)"
            }
        }
        return refusal
    }

    /// The edges to Lookups that serve, that of the configuration in force last.
    private var lookups: [Peer<LookupToParent, ParentToLookup>] {
        places.filter { $0.role == .lookup && $0.member?.isReady == true }
            .sorted { ($0.era?.number == era.number ? 1 : 0) < ($1.era?.number == era.number ? 1 : 0) }
            .compactMap { place in place.member.flatMap { lookupEdges[$0.pid] } }
            .filter(\.isOpen)
    }
}
