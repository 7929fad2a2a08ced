// SPDX-License-Identifier: ISC

import Bytes
import Mail

/// The kinds of statements that a print may hold.
public struct StatementKinds: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }

    public static let listen = StatementKinds(rawValue: 1 << 0)
    /// `smtp limit`, `max-message-size`, `sub-addr-delim` and `ciphers`.
    public static let smtp = StatementKinds(rawValue: 1 << 1)
    public static let tables = StatementKinds(rawValue: 1 << 2)
    /// Tables that relay actions ask for routes and sources; not those of credentials.
    public static let relayTables = StatementKinds(rawValue: 1 << 3)
    public static let localActions = StatementKinds(rawValue: 1 << 4)
    public static let relayActions = StatementKinds(rawValue: 1 << 5)
    /// Local actions without their commands, and without tables and wrappers: what the local role of Delivery needs.
    public static let redactedLocalActions = StatementKinds(rawValue: 1 << 6)
    /// Each action as `mbox` or `relay`, with its ttl: what the queue needs.
    public static let actionLifetimes = StatementKinds(rawValue: 1 << 7)
    public static let match = StatementKinds(rawValue: 1 << 8)
    public static let queue = StatementKinds(rawValue: 1 << 9)
    public static let bounce = StatementKinds(rawValue: 1 << 10)
    public static let scheduler = StatementKinds(rawValue: 1 << 11)
    /// `mda limit`
    public static let localLimits = StatementKinds(rawValue: 1 << 12)
    /// `mta limit` and `mta max-deferred`
    public static let relayLimits = StatementKinds(rawValue: 1 << 13)
    public static let pki = StatementKinds(rawValue: 1 << 14)
    public static let pkiNames = StatementKinds(rawValue: 1 << 15)
    public static let authorities = StatementKinds(rawValue: 1 << 16)
    public static let filters = StatementKinds(rawValue: 1 << 17)
    public static let wrappers = StatementKinds(rawValue: 1 << 18)
    public static let srs = StatementKinds(rawValue: 1 << 19)
    public static let administrator = StatementKinds(rawValue: 1 << 20)
    /// Before each statement, where it stands in the file of the administrator.
    public static let places = StatementKinds(rawValue: 1 << 21)

    public static let all: StatementKinds = [
        .listen, .smtp, .tables, .localActions, .relayActions, .match, .queue, .bounce, .scheduler, .localLimits,
        .relayLimits, .pki, .authorities, .filters, .wrappers, .srs, .administrator,
    ]
}

/// Whom a print is for.
public enum PrintedRole: CaseIterable, Hashable, Sendable {
    case all, listener, lookup, queue, relay, local, keys, resolver

    public var kinds: StatementKinds {
        switch self {
        case .all: .all
        case .listener: [.listen, .smtp, .pkiNames]
        case .lookup: [.listen, .tables, .localActions, .relayActions, .match, .smtp, .srs, .places]
        case .queue: [.queue, .bounce, .actionLifetimes, .scheduler, .localLimits, .relayLimits, .administrator]
        case .relay: [.relayActions, .relayLimits, .relayTables]
        case .local: [.redactedLocalActions, .localLimits]
        case .keys: .pkiNames
        case .resolver: []
        }
    }
}

extension ServerConfiguration {
    /// The configuration as understood, in its own language. The print for `.all` parses to an equal configuration,
    /// locations apart; any other parses with `.partial`.
    public func printed(for role: PrintedRole) -> String { printed(role.kinds) }

    public func printed(_ kinds: StatementKinds) -> String {
        var printer = Printer()
        printer.print(self, kinds)
        return printer.text
    }

    /// The same configuration with each location `.builtIn`, to be compared with another.
    public var withoutLocations: ServerConfiguration {
        var copy = self
        for index in copy.pki.indices { copy.pki[index].location = .builtIn }
        for index in copy.authorities.indices { copy.authorities[index].location = .builtIn }
        for index in copy.tables.indices { copy.tables[index].location = .builtIn }
        for index in copy.processes.indices { copy.processes[index].location = .builtIn }
        for index in copy.filters.indices {
            copy.filters[index].location = .builtIn
            guard case .command(var process) = copy.filters[index].kind else { continue }
            process.location = .builtIn
            copy.filters[index].kind = .command(process)
        }
        for index in copy.wrappers.indices { copy.wrappers[index].location = .builtIn }
        for index in copy.listeners.indices { copy.listeners[index].location = .builtIn }
        for index in copy.actions.indices { copy.actions[index].location = .builtIn }
        for index in copy.rules.indices { copy.rules[index].location = .builtIn }
        for index in copy.tableUses.indices { copy.tableUses[index].location = .builtIn }
        // They stand in the order of the statements of all kinds, which a print changes.
        copy.tableUses.sort { ($0.table.name, $0.purpose.rawValue) < ($1.table.name, $1.purpose.rawValue) }
        return copy
    }
}

/// The word before a place in a print: a contextual keyword, which no file of an administrator can use.
enum PrintedPlace {
    static let word = "at"
}

/// Writes statements in the order in which they may refer to each other.
struct Printer {
    var text = ""
    /// Tables to be written where they are used, by name.
    var inPlace: [String: TableDefinition.Kind] = [:]
    private var words: [String] = []
    private var placeFile = ""
    /// Glued to the next word: `!`.
    private var sign = ""

    mutating func print(_ configuration: ServerConfiguration, _ kinds: StatementKinds) {
        if kinds.contains(.pki) || kinds.contains(.pkiNames) {
            for pki in configuration.pki { printPKI(pki, isWhole: kinds.contains(.pki)) }
        }
        if kinds.contains(.authorities) {
            for ca in configuration.authorities { line("ca", quoted(ca.name), "cert", quoted(ca.certificatePath)) }
        }
        printSettings(configuration, kinds)
        printTables(configuration, kinds)
        if kinds.contains(.filters) {
            for process in configuration.processes { printProcess(process) }
            for filter in configuration.filters { printFilter(filter) }
        }
        if kinds.contains(.wrappers) {
            for wrapper in configuration.wrappers {
                line("mda", "wrapper", quoted(wrapper.name), quoted(wrapper.command))
            }
        }
        for action in configuration.actions {
            printPlace(action.location, kinds)
            printAction(action, kinds)
        }
        if kinds.contains(.match) {
            for rule in configuration.rules {
                printPlace(rule.location, kinds)
                printRule(rule)
            }
        }
        if kinds.contains(.listen) {
            for listener in configuration.listeners {
                printPlace(listener.location, kinds)
                printListener(listener)
            }
        }
    }

    private mutating func printPlace(_ location: SourceLocation, _ kinds: StatementKinds) {
        guard kinds.contains(.places) else { return }
        words = [PrintedPlace.word, "\(location.line):\(location.column)"]
        if location.file != placeFile { words.append(quoted(location.file)) }
        placeFile = location.file
        endLine()
    }

    private mutating func printTables(_ configuration: ServerConfiguration, _ kinds: StatementKinds) {
        var wanted: Set<String> = []
        if kinds.contains(.relayTables) {
            for action in configuration.actions {
                guard case .relay(let relay) = action.kind else { continue }
                var references = [relay.heloSource, relay.source]
                switch relay.destination {
                case .host(let table), .domain(let table): references.append(table)
                case .mailExchangers, .backup: break
                }
                for case .named(let name)? in references { wanted.insert(name) }
            }
        }
        for table in configuration.tables where kinds.contains(.tables) || wanted.contains(table.name) {
            printPlace(table.location, kinds)
            printTable(table)
        }
    }

    private mutating func printTable(_ table: TableDefinition) {
        words = ["table", quoted(table.name)]
        switch table.kind {
        case .list(let elements):
            words.append("{ \(elements.map(quoted).joined(separator: ", ")) }")
        case .mapping(let entries):
            let pairs = entries.map { "\(quoted($0.key)) = \(quoted($0.value))" }
            words.append("{ \(pairs.joined(separator: ", ")) }")
        case .file(let path): words.append(quoted("file:\(path)"))
        case .backend(let name, let path): words.append(quoted(path.map { "\(name):\($0)" } ?? name))
        }
        endLine()
    }

    private mutating func printPKI(_ pki: PKIDefinition, isWhole: Bool) {
        words = ["pki", quoted(pki.name)]
        if isWhole {
            add("cert", pki.certificatePath)
            add("key", pki.keyPath)
        }
        add("dhe", pki.keyExchange?.rawValue)
        endLine()
    }

    mutating func line(_ parts: String...) {
        words = parts
        endLine()
    }

    mutating func begin(_ parts: String...) { words = parts }

    mutating func add(_ part: String) {
        words.append(sign + part)
        sign = ""
    }

    mutating func addSense(_ sense: MatchRule.Sense) {
        switch sense {
        case .holds: sign = ""
        case .fails: sign = "!"
        }
    }

    /// The option `name` when it has a value.
    mutating func add(_ name: String, _ value: String?) {
        if let value { words += [name, quoted(value)] }
    }

    mutating func add(_ name: String, _ table: TableReference?) {
        if let table { words += [name, reference(table)] }
    }

    /// A table of credentials, whose content is shown to nobody.
    func secretReference(_ table: TableReference) -> String {
        inPlace[table.name] == nil ? reference(table) : "{ ... }"
    }

    mutating func endLine() {
        text += words.joined(separator: " ") + "\n"
        words = []
    }

    func reference(_ table: TableReference) -> String {
        switch table {
        case .named(let name): inPlace[name].map(elements) ?? "<\(quoted(name))>"
        case .builtIn(let table): "<\(table.rawValue)>"
        }
    }

    private func elements(_ kind: TableDefinition.Kind) -> String {
        let mostShown = 5
        let elements: [String] =
            switch kind {
            case .list(let elements): elements.map(quoted)
            case .mapping(let entries): entries.map { "\(quoted($0.key)) = \(quoted($0.value))" }
            case .file, .backend: []
            }
        if elements.count == 1, case .list = kind { return elements[0] }
        let rest = elements.count > mostShown ? ", ..." : ""
        return "{ \(elements.prefix(mostShown).joined(separator: ", "))\(rest) }"
    }

    /// In the largest unit that measures it whole.
    func delay(_ interval: Interval) -> String {
        for (unit, size) in [("d", Int64(86400)), ("h", 3600), ("m", 60)]
        where interval.seconds >= size && interval.seconds % size == 0 {
            return "\(interval.seconds / size)\(unit)"
        }
        return "\(interval.seconds)s"
    }

    /// `text` so that the lexer reads it as one string.
    func quoted(_ text: String) -> String {
        let bytes = Array(text.utf8)
        // A keyword, or a number, is not the string that it looks like.
        if let first = bytes.first, first.isLetter, bytes.allSatisfy(isPlain), Keyword(rawValue: text) == nil {
            return text
        }
        // No quotation can end in a backslash, so what does came from a bare word, where each is written twice.
        if bytes.last == UInt8(ascii: "\\") {
            let doubled = bytes.flatMap { $0 == UInt8(ascii: "\\") ? [$0, $0] : [$0] }
            return String(decoding: doubled, as: UTF8.self)
        }
        var output: [UInt8] = [UInt8(ascii: "\"")]
        for (index, byte) in bytes.enumerated() {
            let isBehindBackslash = index > 0 && bytes[index - 1] == UInt8(ascii: "\\")
            if byte == UInt8(ascii: "\"") || byte.isBlank && isBehindBackslash { output.append(UInt8(ascii: "\\")) }
            output.append(byte)
        }
        output.append(UInt8(ascii: "\""))
        return String(decoding: output, as: UTF8.self)
    }

    private func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "\\"), UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "$"): false
        default: Lexer.mayStandInWord(byte)
        }
    }
}
