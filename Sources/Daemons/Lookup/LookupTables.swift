// SPDX-License-Identifier: ISC

import Bytes
import Channel
import Configuration
import IPC
import Mail
import Posix
import Routing

/// All tables of the configuration: those in memory, those behind programs, and the users of the system.
final class LookupTables: TableLookups {
    let memory: MemoryTables
    private let needs: TableNeeds
    private var programs: [String: TableProgram] = [:]
    // Names of tables that are the user database.
    private var userTables: Set<String> = [BuiltInTable.users.rawValue]
    private let users: UserDirectory

    // Those that martlet-table serves.
    private static let ourBackends: Set = ["db", "sqlite"]

    init(
        _ configuration: ServerConfiguration, delimiters: SubaddressDelimiters, users: UserDirectory, log: Log
    ) throws(TableFault) {
        self.users = users
        needs = TableNeeds(of: configuration)
        memory = try MemoryTables(configuration, needs: needs, delimiters: delimiters)
        for table in configuration.tables {
            guard case .backend(let backend, _) = table.kind else { continue }
            if backend == BuiltInTable.users.rawValue {
                userTables.insert(table.name)
            } else {
                programs[table.name] = TableProgram(
                    table.name, Self.ourBackends.contains(backend) ? .ours : .foreign,
                    needs: needs.needs(of: table.name), log: log, parent: users.parent)
            }
        }
        for name in userTables {
            for need in needs.needs(of: name) where !need.services.contains(.user) {
                let purpose = need.purpose == .user ? "auth" : need.purpose.rawValue
                throw TableFault(
                    description: "table \"\(name)\" knows users of the system only, and \(purpose) asks for "
                        + need.services.map(\.rawValue).sorted().joined(separator: " or "))
            }
        }
    }

    /// Speaks with the programs, whose streams Parent has given.
    func begin(_ streams: [(name: String, stream: Held)]) async throws(TableFault) {
        for (name, held) in streams {
            guard let program = programs[name], let stream = held.take() else { continue }
            try await program.begin(stream)
        }
        let given = Set(streams.map(\.name))
        if let name = programs.keys.sorted().first(where: { !given.contains($0) }) {
            throw TableFault(description: "table \"\(name)\": its program was not started")
        }
    }

    /// Lets the program of the table take note of a change; why it does not.
    func updateProgram(of name: String) async -> String? {
        guard let program = programs[name] else { return "no table behind a program: \(VisibleText(name))" }
        do throws(TableFailure) {
            _ = try await program.ask(.update)
            return nil
        } catch {
            return "the program of the table failed"
        }
    }

    /// Whether the table judges passwords itself.
    func checksPasswords(_ name: String) -> Bool { programs[name]?.services.contains(.authentication) ?? false }

    // MARK: Lookups

    // Said here, since what a protocol asks for is isolated as the protocol has it.
    @MainActor func contains(
        _ key: String, in name: String, for service: TableService
    ) async throws(TableFailure) -> Bool {
        if let program = programs[name] {
            return try await program.ask(.check(service, key: Self.key(key, service))) != .absent
        }
        if userTables.contains(name) { return try await userValue(of: key, service) != nil }
        return try await memory.contains(key, in: name, for: service)
    }

    @MainActor func value(
        of key: String, in name: String, for service: TableService
    ) async throws(TableFailure) -> String? {
        if let program = programs[name] {
            return Self.value(try await program.ask(.lookup(service, key: Self.key(key, service))))
        }
        if userTables.contains(name) { return try await userValue(of: key, service) }
        return try await memory.value(of: key, in: name, for: service)
    }

    @MainActor func next(in name: String, for service: TableService) async throws(TableFailure) -> String? {
        if let program = programs[name] { return Self.value(try await program.ask(.fetch(service))) }
        // Nobody goes through all users of a host.
        guard !userTables.contains(name) else { throw TableFailure() }
        return try await memory.next(in: name, for: service)
    }

    private static func value(_ answer: TableDialogue.Answer) -> String? {
        switch answer {
        case .found(let value): value
        case .absent, .failed: nil
        }
    }

    // A password is nobody's to change: of that service the asker has folded what may be folded.
    private static func key(_ key: String, _ service: TableService) -> String {
        service == .authentication ? key : key.asciiLowercased
    }

    private func userValue(of name: String, _ service: TableService) async throws(TableFailure) -> String? {
        guard service == .user else { throw TableFailure() }
        switch await users.user(named: name.asciiLowercased) {
        case .found(let user): return "\(user.uid):\(user.gid):\(user.home)"
        case .absent: return nil
        case .failed: throw TableFailure()
        }
    }
}
