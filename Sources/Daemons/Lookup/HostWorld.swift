// SPDX-License-Identifier: ISC

import Authentication
import Bytes
import Channel
import Configuration
import IPC
import Mail
import Posix
import Reactor
import Routing

/// What an expansion asks, answered from the tables and by Parent.
final class HostWorld: ExpansionWorld {
    private let tables: LookupTables
    private let users: UserDirectory
    private let rewriting: SRS?
    private let log: Log

    /// `rewriting` is nil where no key was given.
    init(tables: LookupTables, users: UserDirectory, rewriting: SRS?, log: Log) {
        self.tables = tables
        self.users = users
        self.rewriting = rewriting
        self.log = log
    }

    // Said here, since what a protocol asks for is isolated as the protocol has it.
    @MainActor func contains(
        _ key: String, in name: String, for service: TableService
    ) async throws(TableFailure) -> Bool {
        try await tables.contains(key, in: name, for: service)
    }

    @MainActor func value(
        of key: String, in name: String, for service: TableService
    ) async throws(TableFailure) -> String? {
        try await tables.value(of: key, in: name, for: service)
    }

    @MainActor func next(in name: String, for service: TableService) async throws(TableFailure) -> String? {
        try await tables.next(in: name, for: service)
    }

    // Not only a yield: other tasks would have their turn, but no descriptor.
    @MainActor func pause() async { await Loop.pause(milliseconds: 0) }

    @MainActor func user(named name: String) async -> UserLookup { await users.user(named: name) }

    @MainActor func forward(of user: UserRecord, in userbase: TableReference) async -> ForwardFile {
        let file = await users.forward(of: user, in: userbase)
        if file == .insecure { log.warning("~/.forward of \(VisibleText(user.name)) cannot be trusted") }
        return file
    }

    @MainActor func include(_ path: String) async -> IncludedFile {
        let answer = await users.include(path)
        switch answer {
        case .content(let bytes):
            return .bytes(bytes)
        case .absent:
            log.warning("included file \(VisibleText(path)) is not there")
            return .absent
        case .temporaryFailure(let reason):
            log.warning("included file \(VisibleText(path)): \(VisibleText(reason))")
            return .temporary
        }
    }
    @MainActor func original(ofRewritten mailbox: Mailbox) async -> Mailbox? {
        guard let rewriting else { return nil }
        do throws(SRS.Refusal) {
            return try rewriting.original(of: mailbox, on: SystemClock.now())
        } catch {
            log.info("SRS address <\(VisibleText("\(mailbox)"))>: \(error)")
            return nil
        }
    }
}

nonisolated extension SRS {
    /// nil where no key was given.
    init?(_ settings: SRSSettings) {
        guard let key = settings.key else { return nil }
        self.init(key: key, backupKey: settings.backupKey, days: settings.days)
    }
}
