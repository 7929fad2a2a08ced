// SPDX-License-Identifier: ISC

import Bytes
import Configuration
import Mail
import Posix
import Routing

/// Why a table cannot be used.
struct TableFault: Error, Hashable, CustomStringConvertible {
    let description: String
}

/// All tables of the configuration, held in memory; those in files can be read again while they are in use.
final class MemoryTables: TableLookups {
    static let largestFile = 256 << 20

    private let definitions: [TableDefinition]
    private let uses: [TableUse]
    private let expressionTables: Set<String>
    private let delimiters: SubaddressDelimiters
    private var contents: [String: TableContent] = [:]
    private var rotations: [String: TableRotation] = [:]
    private let slice = Slice()

    init(_ configuration: ServerConfiguration, delimiters: SubaddressDelimiters) throws(TableFault) {
        definitions = configuration.tables
        uses = configuration.tableUses
        expressionTables = Self.expressionTables(of: configuration.rules)
        self.delimiters = delimiters
        for table in definitions {
            guard let content = TableContent(table.kind) else { continue }
            try take(content, for: table)
        }
    }

    /// The tables whose content is in a file that was not yet read, or in something that this program cannot read.
    var missing: [TableDefinition] { definitions.filter { contents[$0.name] == nil } }

    /// The tables that a file given under `name` is for: the table's own name, or the path that several may share.
    func tables(inFile name: String) -> [TableDefinition] {
        definitions.filter { table in
            guard case .file(let path) = table.kind else { return false }
            return table.name == name || path == name
        }
    }

    /// Reads the file of `table`; what the table held before stays when anything is wrong.
    func read(_ bytes: [UInt8], for table: TableDefinition) throws(TableFault) {
        guard case .file(let path) = table.kind else { return }
        let holdsAliases = uses.contains { $0.table.name == table.name && $0.purpose == .alias }
        let content: TableContent
        do {
            content = try TableText.content(of: bytes, file: path, dialect: holdsAliases ? .aliases : .plain)
        } catch {
            throw TableFault(description: "\(error)")
        }
        try take(content, for: table)
    }

    private func take(_ content: TableContent, for table: TableDefinition) throws(TableFault) {
        var content = content
        for use in uses where use.table.name == table.name {
            let fits =
                switch content.shape {
                case .list: use.purpose.acceptsList
                // A file without a single entry is no mistake of kind.
                case .mapping: use.purpose.acceptsMapping || content.count == 0
                }
            guard fits else { throw TableFault(description: use.purpose.refusal(of: table.name)) }
        }
        if expressionTables.contains(table.name), let invalid = content.compileRegularExpressions().first {
            throw TableFault(description: "table \"\(table.name)\": invalid regular expression \(VisibleText(invalid))")
        }
        contents[table.name] = content
        rotations[table.name] = nil
    }

    private static func expressionTables(of rules: [MatchRule]) -> Set<String> {
        var names: Set<String> = []
        for rule in rules {
            var patterns = [rule.tag?.test, rule.helo?.test, rule.sender?.test, rule.recipient?.test]
            switch rule.origin.test {
            case .source(let pattern): patterns.append(pattern)
            case .reverseName(let pattern): patterns.append(pattern)
            case .socket, .local, .any: break
            }
            if case .domain(let pattern) = rule.destination.test { patterns.append(pattern) }
            if case .user(let pattern)? = rule.authentication?.test { patterns.append(pattern) }
            for case .some(let pattern) in patterns where pattern.syntax == .regularExpression {
                names.insert(pattern.table.name)
            }
        }
        return names
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
        return rotations[name, default: TableRotation(content)].next()
    }
}
