// SPDX-License-Identifier: ISC

import Bytes

extension Parser {
    // table = "table" STR STR | "table" STR "{" opt-NL elements "}"
    mutating func parseTable(_ location: SourceLocation) throws(Failure) {
        let name = try string("a table's name")
        let kind: TableDefinition.Kind
        if take("{") {
            kind = try elements()
        } else {
            let specification = try string("a path, a backend or \"{\"")
            guard let external = Self.external(specification.text) else {
                throw Failure(
                    message: "invalid backend parameter for table: \(name.text)", location: specification.location)
            }
            kind = external
        }
        // Only now: what is left of a failed table would be read as statements.
        guard name.text.utf8.count <= TableDefinition.longestName else {
            throw Failure(message: "table name too long", location: name.location)
        }
        let isTaken =
            tableNames[name.text] != nil
            || BuiltInTable(rawValue: name.text).map(referencedBuiltIns.contains) ?? false
        guard !isTaken else {
            throw Failure(message: "table_create: table \"\(name.text)\" already defined", location: name.location)
        }
        define(TableDefinition(name: name.text, kind: kind, location: location))
    }

    /// `/path`, `backend` or `backend:/path`.
    private static func external(_ text: String) -> TableDefinition.Kind? {
        if text.begins(with: "/") { return .file(path: text) }
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let path = parts.count > 1 ? String(parts[1]) : nil
        guard let backend = parts.first, !backend.isEmpty, path?.begins(with: "/") != false else { return nil }
        if backend == "static" || backend == "file" { return path.map { .file(path: $0) } }
        return .backend(name: String(backend), path: path)
    }

    // elements = list | mapping
    // list     = STR opt-NL | STR sep list
    // mapping  = STR ( "=" | "=>" ) STR opt-NL | STR ( "=" | "=>" ) STR sep mapping
    /// What stands behind `{`, and the `}`.
    private mutating func elements() throws(Failure) -> TableDefinition.Kind {
        takeNewlines()
        let first = try string("an element")
        guard isMappingSign(peek().kind) else {
            var list = [first.text]
            while let element = try nextElement() { list.append(element.text) }
            return .list(list)
        }
        var entries: [TableDefinition.Entry] = []
        var key: Word? = first
        while let current = key {
            guard isMappingSign(peek().kind) else { throw unexpected("\"=\"") }
            _ = take()
            let value = try string("a value")
            entries.append(TableDefinition.Entry(key: current.text, value: value.text))
            key = try nextElement()
        }
        return .mapping(entries)
    }

    private func isMappingSign(_ kind: Token.Kind) -> Bool {
        kind == .arrow || kind == .punctuation(UInt8(ascii: "="))
    }

    // sep = "," opt-NL | NL opt-NL | (nothing)
    /// The element behind a separator; nil behind the last one, whose `}` is taken.
    mutating func nextElement() throws(Failure) -> Word? {
        if take(",") {
            takeNewlines()
            return try string("an element")
        }
        takeNewlines()
        if take("}") { return nil }
        return try string("an element, \",\" or \"}\"")
    }

    // tables = "<" STR ">" | STR | "{" opt-NL elements "}"
    mutating func table(for purpose: TablePurpose) throws(Failure) -> TableReference {
        let location = peek().location
        let reference: TableReference
        if take("<") {
            let name = try string("a table's name")
            try expect(">")
            reference = try resolve(name)
        } else if let element = takeString() {
            reference = define(.list([element.text]), at: location)
        } else if take("{") {
            reference = define(try elements(), at: location)
        } else {
            throw unexpected("a table")
        }
        guard accepts(reference, purpose) else {
            throw Failure(message: purpose.refusal(of: reference.name), location: location)
        }
        // The users of the system fit every purpose, and are what a print leaves out where they are the default.
        if reference != .builtIn(.users) {
            configuration.tableUses.append(TableUse(table: reference, purpose: purpose, location: location))
        }
        return reference
    }

    /// Whether a table may stand next.
    mutating func isTableNext() -> Bool {
        switch peek().kind {
        case .string, .punctuation(UInt8(ascii: "<")), .punctuation(UInt8(ascii: "{")): true
        case .punctuation, .keyword, .number, .arrow, .newline, .endOfFile, .failure: false
        }
    }

    // [ "regex" ] tables
    mutating func pattern(for purpose: TablePurpose) throws(Failure) -> TablePattern {
        guard take(.regex) else { return TablePattern(try table(for: purpose)) }
        let location = peek().location
        let reference = try table(for: purpose)
        try checkExpressions(in: reference, location)
        return TablePattern(reference, .regularExpression)
    }

    /// The keys that the configuration itself spells; those of files are checked when they are read.
    private func checkExpressions(in reference: TableReference, _ location: SourceLocation) throws(Failure) {
        guard case .named(let name) = reference, let index = tableNames[name] else { return }
        let keys =
            switch configuration.tables[index].kind {
            case .list(let elements): elements
            case .mapping(let entries): entries.map(\.key)
            case .file, .backend: [String]()
            }
        for key in keys {
            let folded = String(decoding: KeyFolding.expressions.folded(key.utf8.span), as: UTF8.self)
            guard RegularExpression(folded) == nil else { continue }
            let reason = RegularExpression.fault(in: key)
            throw Failure(
                message: "invalid regular expression \(VisibleText(key, limit: 64)): \(reason)", location: location)
        }
    }

    // [ [ "regex" ] tables ]
    mutating func optionalPattern(for purpose: TablePurpose) throws(Failure) -> TablePattern? {
        guard peek().kind == .keyword(.regex) || isTableNext() else { return nil }
        return try pattern(for: purpose)
    }

    /// The elements of a list that is written in the configuration.
    func list(of reference: TableReference) -> [String]? {
        guard case .named(let name) = reference, let index = tableNames[name] else { return nil }
        guard case .list(let elements) = configuration.tables[index].kind else { return nil }
        return elements
    }

    private mutating func resolve(_ name: Word) throws(Failure) -> TableReference {
        if tableNames[name.text] != nil { return .named(name.text) }
        if let table = BuiltInTable(rawValue: name.text) {
            referencedBuiltIns.insert(table)
            return .builtIn(table)
        }
        guard options.completeness == .partial else {
            throw Failure(message: "no such table: \(name.text)", location: name.location)
        }
        return .named(name.text)
    }

    private func accepts(_ reference: TableReference, _ purpose: TablePurpose) -> Bool {
        switch reference {
        case .builtIn(.users): return true
        case .builtIn: return purpose.acceptsList
        case .named(let name):
            guard let index = tableNames[name] else { return true }
            switch configuration.tables[index].kind {
            case .list: return purpose.acceptsList
            case .mapping: return purpose.acceptsMapping
            case .file, .backend: return true
            }
        }
    }

    private mutating func define(_ kind: TableDefinition.Kind, at location: SourceLocation) -> TableReference {
        var name: String
        repeat {
            name = "<dynamic:\(tablesWrittenInPlace)>"
            tablesWrittenInPlace += 1
        } while tableNames[name] != nil
        define(TableDefinition(name: name, kind: kind, location: location))
        return .named(name)
    }

    private mutating func define(_ table: TableDefinition) {
        tableNames[table.name] = configuration.tables.count
        configuration.tables.append(table)
    }
}
