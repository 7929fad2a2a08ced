// SPDX-License-Identifier: ISC

import Bytes
import Configuration
import Mail
import Reactor
import Routing

/// Why a table cannot be used.
struct TableFault: Error, Hashable, CustomStringConvertible {
    let description: String
}

/// The tables of the configuration that are held in memory; those in files can be read again while they are in use.
final class MemoryTables: TableLookups {
    // Some milliseconds: others have their turn in between.
    private static let linesPerTurn = 10_000
    private static let bytesPerTurn = 1 << 20
    private static let expressionsPerTurn = 500

    private let definitions: [TableDefinition]
    private let uses: [TableUse]
    private let needs: TableNeeds
    private let delimiters: SubaddressDelimiters
    private(set) var contents: [String: TableContent] = [:]
    private var rotations: [String: TableRotation] = [:]
    /// Of the tables that are asked for credentials.
    private var surveys: [String: CredentialSurvey] = [:]
    private var turns: [String: Int] = [:]
    private let slice = Slice()

    init(
        _ configuration: ServerConfiguration, needs: TableNeeds, delimiters: SubaddressDelimiters
    ) throws(TableFault) {
        definitions = configuration.tables
        uses = configuration.tableUses
        self.needs = needs
        self.delimiters = delimiters
        for table in definitions {
            guard var content = TableContent(table.kind, folding: needs.folding(of: table.name)) else { continue }
            try check(content, of: table)
            if needs.hasExpressions(table.name) {
                try refuse(content.compileRegularExpressions().first, in: table)
            }
            contents[table.name] = content
            if holdsCredentials(table) { surveys[table.name] = CredentialSurvey(content) }
        }
    }

    // Of our clients: what relaying says to others is of another kind.
    private func holdsCredentials(_ table: TableDefinition) -> Bool {
        needs.needs(of: table.name).contains { $0.services.contains(.authentication) }
    }

    /// The tables whose content is in a file that was not yet read.
    var missing: [TableDefinition] {
        definitions.filter { table in
            guard case .file = table.kind else { return false }
            return contents[table.name] == nil
        }
    }

    /// The tables that a file given under `name` is for: the table's own name, or the path that several may share.
    func tables(inFile name: String) -> [TableDefinition] {
        definitions.filter { table in
            guard case .file(let path) = table.kind else { return false }
            return table.name == name || path == name
        }
    }

    /// Reads the file of `table`, in slices; what the table held before stays when anything is wrong.
    func read(_ bytes: [UInt8], for table: TableDefinition) async throws(TableFault) {
        guard case .file(let path) = table.kind else { return }
        var text = needs.text(bytes, file: path, of: table.name)
        let turn = turns[table.name, default: 0] + 1
        turns[table.name] = turn
        do {
            while try text.readLines(atMost: Self.linesPerTurn, bytes: Self.bytesPerTurn) == .unfinished {
                await Loop.pause(milliseconds: 0)
            }
        } catch {
            throw TableFault(description: "\(error)")
        }
        var content = text.finished()
        try check(content, of: table)
        if needs.hasExpressions(table.name) { try await compile(&content, of: table) }
        let survey = holdsCredentials(table) ? await CredentialSurvey(slowly: content) : nil
        // What was read later is newer, whichever takes longer.
        guard turns[table.name] == turn else { throw TableFault(description: "\(path) was read again meanwhile") }
        contents[table.name] = content
        rotations[table.name] = nil
        surveys[table.name] = survey
    }

    /// What the table's credentials are good for; nil when there are none here.
    func survey(of table: String) -> CredentialSurvey? { surveys[table] }
    /// The tables whose credentials are of both kinds.
    var mixed: [String] { surveys.filter { $0.value.isMixed }.map(\.key).sorted() }

    private func check(_ content: TableContent, of table: TableDefinition) throws(TableFault) {
        if let misuse = content.misuse(of: table.name, in: uses) { throw TableFault(description: misuse) }
    }

    private func compile(_ content: inout TableContent, of table: TableDefinition) async throws(TableFault) {
        let keys = content.keys
        for start in stride(from: 0, to: keys.count, by: Self.expressionsPerTurn) {
            let some = keys[start..<min(start + Self.expressionsPerTurn, keys.count)]
            try refuse(content.addRegularExpressions(some).first, in: table)
            await Loop.pause(milliseconds: 0)
        }
    }

    private func refuse(_ invalid: String?, in table: TableDefinition) throws(TableFault) {
        if let invalid { throw TableFault(description: TableContent.refusal(of: invalid, in: table.name)) }
    }

    // MARK: Lookups

    // Said here, since what a protocol asks for is isolated as the protocol has it.
    @MainActor func contains(
        _ key: String, in name: String, for service: TableService
    ) async throws(TableFailure) -> Bool {
        await slice.pause()
        guard let content = contents[name] else { throw TableFailure() }
        return content.contains(key, for: service, delimiters: delimiters)
    }

    @MainActor func value(
        of key: String, in name: String, for service: TableService
    ) async throws(TableFailure) -> String? {
        await slice.pause()
        guard let content = contents[name] else { throw TableFailure() }
        return content.value(of: key, for: service, delimiters: delimiters)
    }

    /// The next key of the table, round and round; nil when it is empty.
    @MainActor func next(in name: String, for service: TableService) async throws(TableFailure) -> String? {
        guard let content = contents[name] else { throw TableFailure() }
        if rotations[name] == nil { rotations[name] = TableRotation(content) }
        return rotations[name]?.next()
    }
}
