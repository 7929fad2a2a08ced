// SPDX-License-Identifier: ISC

import Bytes

/// How a configuration is read.
public struct ParseOptions: Sendable {
    public enum Completeness: Hashable, Sendable {
        /// What an administrator wrote: every name that is used must be there.
        case whole
        /// What was printed for one daemon: names may stand for what only others know.
        case partial
    }

    public var completeness: Completeness
    public var definitions: [MacroDefinition]
    public var unsupported: Set<Feature>

    public init(
        _ completeness: Completeness = .whole, definitions: [MacroDefinition] = [],
        unsupported: Set<Feature> = Feature.notSupportedYet
    ) {
        self.completeness = completeness
        self.definitions = definitions
        self.unsupported = unsupported
    }
}

/// What reading a configuration came to.
public struct ParsedConfiguration: Sendable {
    /// nil when there is any error.
    public var configuration: ServerConfiguration?
    /// Every mistake found, in the order of reading.
    public var errors: [Diagnostic]
    /// Names of macros that were defined and not used.
    public var unusedMacros: [String]

    public init(configuration: ServerConfiguration?, errors: [Diagnostic], unusedMacros: [String]) {
        self.configuration = configuration
        self.errors = errors
        self.unusedMacros = unusedMacros
    }
}

/// What became of opening a file of the configuration.
public enum SourceText: Hashable, Sendable {
    case bytes([UInt8])
    /// Why not.
    case unreadable(String)
}

extension ServerConfiguration {
    /// Reads `file` and what it includes by `sourceReader`.
    public static func parse(
        file: String, options: ParseOptions = ParseOptions(), sourceReader: @escaping (String) -> SourceText
    ) -> ParsedConfiguration {
        switch sourceReader(file) {
        case .bytes(let text):
            return parse(text, named: file, options: options, sourceReader: sourceReader)
        case .unreadable(let reason):
            // Of the whole file.
            let location = SourceLocation(file: file, line: 0, column: 0)
            let error = Diagnostic(location: location, message: reason, sourceLine: "")
            return ParsedConfiguration(configuration: nil, errors: [error], unusedMacros: [])
        }
    }

    /// Reads `text`, whose errors are reported as those of the file `name`.
    public static func parse(
        _ text: [UInt8], named name: String, options: ParseOptions = ParseOptions(),
        sourceReader: @escaping (String) -> SourceText = { _ in .unreadable("nothing can be included here") }
    ) -> ParsedConfiguration {
        var parser = Parser(text, named: name, options: options, sourceReader: sourceReader)
        return parser.parse()
    }
}

/// Reads statement by statement, from the front; a mistake ends its statement, and reading goes on with the next line.
struct Parser {
    /// A file that includes itself would never end.
    static let deepestInclude = 16
    /// Files that include each other twice would be read two to the power of their depth times.
    static let mostIncludes = 1_000
    /// Nobody reads more, and each error quotes its line.
    static let mostErrors = 1_000

    struct Failure: Error {
        var message: String
        var location: SourceLocation
    }

    /// A string and where it stood.
    struct Word {
        var text: String
        var location: SourceLocation
    }

    let options: ParseOptions
    var configuration = ServerConfiguration()
    var macros: Macros
    var tableNames: [String: Int] = [:]
    var referencedBuiltIns: Set<BuiltInTable> = []
    var tablesWrittenInPlace = 0
    var chainsWrittenInPlace = 0
    /// Where the next statement of a print once stood.
    var place: SourceLocation?
    /// Features that the current statement uses; reported when it has no other mistake.
    var unsupportedUses: [Failure] = []

    private var placeFile = ""
    private let sourceReader: (String) -> SourceText
    private var lexer: Lexer
    private var lookahead: Token?
    private var depth = 0
    private var includes = 0
    private var sources: [String: [UInt8]]
    private var errors: [Diagnostic] = []

    init(_ text: [UInt8], named name: String, options: ParseOptions, sourceReader: @escaping (String) -> SourceText) {
        self.options = options
        self.sourceReader = sourceReader
        macros = Macros(options.definitions)
        lexer = Lexer(file: name, bytes: text)
        sources = [name: text]
    }

    mutating func parse() -> ParsedConfiguration {
        let end = parseFile()
        finish(at: end)
        return ParsedConfiguration(
            configuration: errors.isEmpty ? configuration : nil, errors: errors, unusedMacros: macros.unused)
    }

    // file = { [ statement ] NL }
    /// Reads the current file to its end and returns where that is.
    private mutating func parseFile() -> SourceLocation {
        while errors.count < Self.mostErrors {
            switch peek().kind {
            case .endOfFile: return take().location
            case .newline: _ = take()
            case .string, .keyword, .number, .punctuation, .arrow, .failure: parseLine()
            }
        }
        return peek().location
    }

    private mutating func parseLine() {
        unsupportedUses = []
        do throws(Failure) {
            try parseStatement()
            guard peek().kind == .newline else { throw unexpected("end of line") }
            _ = take()
            for use in unsupportedUses { report(use) }
        } catch {
            report(error)
            resume()
        }
    }

    private enum Statement: String {
        case include, admd, bounce, ca, filter, listen, match, action, mda, mta, pki, proc, queue, scheduler, smtp, srs
        case table
    }

    private mutating func parseStatement() throws(Failure) {
        let first = peek()
        if case .string(let name) = first.kind {
            if options.completeness == .partial, name == PrintedPlace.word { return try parsePlace() }
            return try parseMacro(name)
        }
        guard let statement = next(as: Statement.self) else { throw unexpected("a statement") }
        _ = take()
        let location = place ?? first.location
        place = nil
        switch statement {
        case .include: try parseInclude()
        case .admd: try parseAdministrator(location)
        case .bounce: try parseBounce()
        case .ca: try parseCA(location)
        case .filter: try parseFilter(location)
        case .listen: try parseListen(location)
        case .match: try parseMatch(location)
        case .action: try parseAction(location)
        case .mda: try parseMDA(location)
        case .mta: try parseMTA()
        case .pki: try parsePKI(location)
        case .proc: try parseProcess(location)
        case .queue: try parseQueue()
        case .scheduler: try parseScheduler()
        case .smtp: try parseSMTP()
        case .srs: try parseSRS()
        case .table: try parseTable(location)
        }
    }

    // include = "include" STR
    private mutating func parseInclude() throws(Failure) {
        let path = try string("a file name")
        guard depth < Self.deepestInclude, includes < Self.mostIncludes else {
            throw Failure(message: "failed to include file \(path.text): too many includes", location: path.location)
        }
        let text: [UInt8]
        switch sourceReader(path.text) {
        case .bytes(let bytes): text = bytes
        case .unreadable(let reason):
            throw Failure(message: "failed to include file \(path.text): \(reason)", location: path.location)
        }
        let outer = lexer
        let outerLookahead = lookahead
        lexer = Lexer(file: path.text, bytes: text)
        lookahead = nil
        sources[path.text] = text
        depth += 1
        includes += 1
        _ = parseFile()
        depth -= 1
        lexer = outer
        lookahead = outerLookahead
        unsupportedUses = []
    }

    // macro = STR "=" STR
    private mutating func parseMacro(_ name: String) throws(Failure) {
        let first = take()
        guard peek().kind == .punctuation(UInt8(ascii: "=")) else {
            throw Failure(message: "syntax error: expected a statement, found \(first.name)", location: first.location)
        }
        _ = take()
        let value = try string("a macro's value")
        guard !name.utf8.contains(where: { $0.isBlank }) else {
            throw Failure(message: "macro name cannot contain whitespace", location: first.location)
        }
        macros.define(name, value.text, at: first.location)
    }

    // place = "at" LINE ":" COLUMN [ STR ], only in a print
    /// Where the statement that follows stood; without a file it is the one of the place before.
    private mutating func parsePlace() throws(Failure) {
        _ = take()
        let word = try string("a line and a column")
        let numbers = word.text.split(separator: ":").map { Int($0) }
        guard numbers.count == 2, let line = numbers[0], let column = numbers[1] else { throw unexpected("a place") }
        if let file = takeString() { placeFile = file.text }
        place = SourceLocation(file: placeFile, line: line, column: column)
    }

    /// The checks that need the whole file.
    private mutating func finish(at end: SourceLocation) {
        guard options.completeness == .whole, errors.count < Self.mostErrors else { return }
        for pki in configuration.pki {
            if pki.certificatePath == nil {
                report(Failure(message: "missing certificate file for pki \(pki.name)", location: pki.location))
            }
            if pki.keyPath == nil {
                report(Failure(message: "missing key file for pki \(pki.name)", location: pki.location))
            }
        }
        for failure in missingRelayKeys() { report(failure) }
        if !configuration.listeners.contains(where: { $0.endpoint == .socket }) {
            configuration.listeners.append(ListenStatement(.socket))
        }
        if configuration.rules.isEmpty {
            report(Failure(message: "no rules, nothing to do", location: end))
        }
    }
}

// Errors.
extension Parser {
    /// What stands next is not what the grammar has there.
    mutating func unexpected(_ expected: String) -> Failure {
        let token = peek()
        switch token.kind {
        case .failure(let message):
            return Failure(message: message, location: token.location)
        case .string, .keyword, .number, .punctuation, .arrow, .newline, .endOfFile:
            return Failure(message: "syntax error: expected \(expected), found \(token.name)", location: token.location)
        }
    }

    /// Remembers that the statement uses `feature`, for an error if the server lacks it.
    mutating func use(_ feature: Feature, at location: SourceLocation) {
        guard options.unsupported.contains(feature) else { return }
        unsupportedUses.append(Failure(message: "\(feature.rawValue): not supported yet", location: location))
    }

    private mutating func report(_ failure: Failure) {
        guard errors.count < Self.mostErrors else { return }
        errors.append(
            Diagnostic(
                location: failure.location, message: failure.message, sourceLine: sourceLine(at: failure.location)))
    }

    private func sourceLine(at location: SourceLocation) -> String {
        guard let text = sources[location.file] else { return "" }
        var line = 1
        var start = 0
        for index in text.indices where text[index] == .lineFeed {
            if line == location.line { return String(decoding: text[start..<index], as: UTF8.self) }
            line += 1
            start = index + 1
        }
        return line == location.line ? String(decoding: text[start...], as: UTF8.self) : ""
    }

    /// Drops what is left of the line with the mistake.
    private mutating func resume() {
        let next = lookahead
        lookahead = nil
        switch next?.kind {
        case .newline: break
        case .endOfFile: lookahead = next
        case .string, .keyword, .number, .punctuation, .arrow, .failure, nil: lexer.skipLine()
        }
    }
}

// Tokens.
extension Parser {
    mutating func peek() -> Token {
        if let lookahead { return lookahead }
        let token = lexer.next(&macros)
        lookahead = token
        return token
    }

    mutating func take() -> Token {
        let token = peek()
        lookahead = nil
        return token
    }

    mutating func take(_ keyword: Keyword) -> Bool {
        guard peek().kind == .keyword(keyword) else { return false }
        _ = take()
        return true
    }

    mutating func take(_ punctuation: Unicode.Scalar) -> Bool {
        guard peek().kind == .punctuation(UInt8(ascii: punctuation)) else { return false }
        _ = take()
        return true
    }

    /// The keyword that stands next, when it is one of `Words`.
    mutating func next<Words: RawRepresentable<String>>(as words: Words.Type) -> Words? {
        guard case .keyword(let keyword) = peek().kind else { return nil }
        return Words(rawValue: keyword.rawValue)
    }

    mutating func takeNewlines() {
        while peek().kind == .newline { _ = take() }
    }

    mutating func expect(_ keyword: Keyword) throws(Failure) {
        guard take(keyword) else { throw unexpected(keyword.rawValue) }
    }

    mutating func expect(_ punctuation: Unicode.Scalar) throws(Failure) {
        guard take(punctuation) else { throw unexpected("\"\(punctuation)\"") }
    }

    mutating func takeString() -> Word? {
        guard case .string(let text) = peek().kind else { return nil }
        return Word(text: text, location: take().location)
    }

    mutating func string(_ what: String) throws(Failure) -> Word {
        if let word = takeString() { return word }
        var failure = unexpected(what)
        switch peek().kind {
        case .keyword, .number: failure.message += " (a string must be quoted here)"
        case .string, .punctuation, .arrow, .newline, .endOfFile, .failure: break
        }
        throw failure
    }

    mutating func number(_ what: String) throws(Failure) -> (value: Int64, location: SourceLocation) {
        guard case .number(let value) = peek().kind else { throw unexpected(what) }
        return (value, take().location)
    }
}
