// SPDX-License-Identifier: ISC

import Configuration
import Mail
import Routing
import Testing

/// A world made of dictionaries.
struct DictionaryWorld: ExpansionWorld {
    var tables: [String: TableContent] = [:]
    /// Tables that fail when asked.
    var brokenTables: Set<String> = []
    var users: [String: UserLookup] = [:]
    var forwards: [String: ForwardFile] = [:]
    var includes: [String: IncludedFile] = [:]
    var rewritten: [String: String] = [:]

    func contains(_ key: String, in name: String, for service: TableService) async throws(TableFailure) -> Bool {
        guard !brokenTables.contains(name), let table = tables[name] else { throw TableFailure() }
        return table.contains(key, for: service)
    }

    func value(of key: String, in name: String, for service: TableService) async throws(TableFailure) -> String? {
        guard !brokenTables.contains(name), let table = tables[name] else { throw TableFailure() }
        return table.value(of: key, for: service)
    }

    func next(in name: String, for service: TableService) async throws(TableFailure) -> String? {
        guard !brokenTables.contains(name), let table = tables[name] else { throw TableFailure() }
        return table.keys.first
    }

    func user(named name: String) async -> UserLookup { users[name] ?? .absent }
    /// Those of users whom a table knows are at `table/name`.
    func forward(of user: UserRecord, in userbase: TableReference) async -> ForwardFile {
        switch userbase {
        case .builtIn: forwards[user.name] ?? .absent
        case .named(let table): forwards["\(table)/\(user.name)"] ?? .absent
        }
    }
    func include(_ path: String) async -> IncludedFile { includes[path] ?? .absent }
    func original(ofRewritten mailbox: Mailbox) async -> Mailbox? {
        rewritten["\(mailbox)"].flatMap { Mailbox($0) }
    }
}

func mailbox(_ text: String, location: Testing.SourceLocation = #_sourceLocation) throws -> Mailbox {
    try #require(Mailbox(text), sourceLocation: location)
}

func origin(
    _ address: String? = "192.0.2.7", name: String = "client.example.org", greeting: String = "mail.example.org",
    tag: String? = nil, user: String? = nil, isInternal: Bool = false
) throws -> Origin {
    Origin(
        serverName: try #require(Domain("mx.example.org")), greeting: greeting, hostName: name,
        address: try address.map { try #require(IPAddress($0)) }, tag: tag, user: user, isInternal: isInternal)
}

func builtInTables() throws -> BuiltInTables {
    BuiltInTables(
        serverName: try #require(Domain("mx.example.org")),
        addresses: ["127.0.0.1", "::1", "192.0.2.1", "2001:db8::1"].compactMap { IPAddress($0) })
}
