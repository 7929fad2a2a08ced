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
    private var contents: [String: TableContent] = [:]
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
            let isOfExpressions = needs.expressionTables.contains(table.name)
            guard var content = TableContent(table.kind, folding: isOfExpressions ? .expressions : .whole) else {
                continue
            }
            try check(content, of: table)
            if isOfExpressions { try refuse(content.compileRegularExpressions().first, in: table) }
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
        let isOfExpressions = needs.expressionTables.contains(table.name)
        var text = TableText(
            bytes, file: path, dialect: needs.dialect(of: table.name),
            folding: isOfExpressions ? .expressions : .whole)
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
        if isOfExpressions { try await compile(&content, of: table) }
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
        for use in uses where use.table.name == table.name {
            let fits =
                switch content.shape {
                case .list: use.purpose.acceptsList
                // A file without a single entry is no mistake of kind.
                case .mapping: use.purpose.acceptsMapping || content.count == 0
                }
            guard fits else { throw TableFault(description: use.purpose.refusal(of: table.name)) }
        }
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
        guard let invalid else { return }
        let reason = RegularExpression.fault(in: invalid)
        throw TableFault(
            description: "table \"\(table.name)\": invalid regular expression \(VisibleText(invalid)): \(reason)")
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
