// SPDX-License-Identifier: ISC

import Bytes

/// The external table protocol 0.1 with the program behind one table, from the server's side: lines that end with LF,
/// fields between `|`, the last of which is free.
///
/// The server names itself and the table, the program registers its services, then questions go out and answers come
/// back in any order, told apart by an id. Nothing else may come: a program that says anything else is not trusted with a
/// decision about mail.
///
///     > config|protocol|0.1            < register|alias
///     > config|tablename|NAME          < register|ready
///     > config|ready
///     > table|0.1|SEC.USEC|NAME|lookup|alias|ID|KEY
///                                      < lookup-result|ID|found|VALUE
public struct TableDialogue: Sendable {
    /// What a table is asked for.
    public enum Question: Hashable, Sendable {
        /// Take note that the content has changed.
        case update
        case check(TableService, key: String)
        case lookup(TableService, key: String)
        case fetch(TableService)
    }

    public enum Answer: Hashable, Sendable {
        /// With the value; an empty one where only the presence was asked for, or where an update was done.
        case found(String)
        case absent
        /// The program cannot say; its words.
        case failed(String)
    }

    public enum Event: Hashable, Sendable {
        case nothing
        /// The handshake is over; these services are there.
        case registered(Set<TableService>)
        case answered(UInt32, Answer)
    }

    /// What the program may not say. What it has said is not repeated: it may be somebody's password.
    public enum Violation: Error, Hashable, Sendable, CustomStringConvertible {
        case unexpectedLine
        case unknownService
        case noService
        case unknownQuestion
        case emptyValue
        case notText
        case longLine
        case tooManyUnanswered

        public var description: String {
            switch self {
            case .unexpectedLine: "said what is not of the protocol 0.1"
            case .unknownService: "registers an unknown service"
            case .noService: "registers no service"
            case .unknownQuestion: "answers what was not asked"
            case .emptyValue: "answers without a value"
            case .notText: "said what is not UTF-8, or has NUL or CR in it"
            case .longLine: "said a line that is too long"
            case .tooManyUnanswered: "left too many questions unanswered"
            }
        }
    }

    /// A question that cannot be put into a line.
    public enum KeyError: Error, Hashable, Sendable {
        case controlCharacter
        case tooLong
    }

    fileprivate enum Verb {
        case update
        case check
        case lookup
        case fetch
    }

    private enum State {
        case registering(Set<TableService>)
        case serving
    }

    /// A value as long as a list of aliases may be, and what stands before it.
    public static let longestLine = TableText.longestValue + 64
    // An answer that nobody waits for any more may still come.
    private static let mostUnanswered = 10_000

    private let name: String
    private var state = State.registering([])
    private var unanswered: [UInt32: Verb] = [:]
    private var lastID: UInt32 = 0

    public init(tableName: String) { name = tableName }

    /// What is said first.
    public func greeting(version: String) -> String {
        "config|smtpd-version|\(version)\nconfig|protocol|0.1\nconfig|tablename|\(name)\nconfig|ready\n"
    }

    /// The line of a question, and the id under which its answer comes. `time` is in microseconds of the wall clock.
    public mutating func ask(
        _ question: Question, at time: Int64, writingTo output: inout [UInt8]
    ) throws(KeyError) -> UInt32 {
        // A key ends with its line: one with a line end in it would ask a second question.
        if let key = question.key {
            guard key.utf8.count <= TableContent.longestKey else { throw .tooLong }
            guard !key.utf8.contains(where: { $0 == .lineFeed || $0 == .carriageReturn || $0 == 0 }) else {
                throw .controlCharacter
            }
        }
        repeat { lastID &+= 1 } while unanswered[lastID] != nil
        let fraction = String(time % 1_000_000)
        let padding = String(repeating: "0", count: max(0, 6 - fraction.utf8.count))
        output.append("table|0.1|\(time / 1_000_000).\(padding)\(fraction)|\(name)|")
        let id = Hexadecimal.text(UInt64(lastID), width: 8)
        switch question {
        case .update: output.append("update|\(id)\n")
        case .check(let service, let key): output.append("check|\(service.rawValue)|\(id)|\(key)\n")
        case .lookup(let service, let key): output.append("lookup|\(service.rawValue)|\(id)|\(key)\n")
        case .fetch(let service): output.append("fetch|\(service.rawValue)|\(id)\n")
        }
        unanswered[lastID] = question.verb
        return lastID
    }

    /// Takes one line, without its end.
    public mutating func receive(_ line: Span<UInt8>) throws(Violation) -> Event {
        guard line.count <= Self.longestLine else { throw .longLine }
        guard line.firstIndex(of: 0) == nil, line.firstIndex(of: .carriageReturn) == nil,
            let text = line.withUnsafeBufferPointer({ String(validating: $0, as: UTF8.self) })
        else { throw .notText }
        switch state {
        case .registering(let services): return try register(text, services)
        case .serving: return try answer(text)
        }
    }

    private mutating func register(_ line: String, _ services: Set<TableService>) throws(Violation) -> Event {
        let fields = line.split(separator: "|", maxSplits: 1, omittingEmptySubsequences: false)
        guard fields.count == 2, fields[0] == "register" else { throw .unexpectedLine }
        if fields[1] == "ready" {
            guard !services.isEmpty else { throw .noService }
            state = .serving
            return .registered(services)
        }
        guard let service = TableService(rawValue: String(fields[1])) else { throw .unknownService }
        state = .registering(services.union([service]))
        return .nothing
    }

    // answer = verb "-result" "|" id "|" ( "ok" / "not-found" / "found" [ "|" value ] / "error" [ "|" message ] )
    private mutating func answer(_ line: String) throws(Violation) -> Event {
        let fields = line.split(separator: "|", maxSplits: 3, omittingEmptySubsequences: false)
        guard fields.count >= 3, let verbs = Self.verbs(String(fields[0])) else { throw .unexpectedLine }
        guard fields[1].utf8.count <= 15, let id = UInt32(fields[1], radix: 16), let verb = unanswered[id],
            verbs.contains(verb)
        else { throw .unknownQuestion }
        unanswered[id] = nil
        let rest = fields.count == 4 ? String(fields[3]) : nil
        switch (String(fields[2]), verb) {
        case ("ok", .update) where rest == nil, ("found", .check) where rest == nil:
            return .answered(id, .found(""))
        case ("found", .lookup), ("found", .fetch):
            guard let rest, !rest.isEmpty else { throw .emptyValue }
            return .answered(id, .found(rest))
        case ("not-found", .check) where rest == nil, ("not-found", .lookup) where rest == nil,
            ("not-found", .fetch) where rest == nil:
            return .answered(id, .absent)
        case ("error", _):
            return .answered(id, .failed(rest ?? ""))
        default:
            throw .unexpectedLine
        }
    }

    // The manual of the reference shows a fetch that is answered by `lookup-result`.
    private static func verbs(_ word: String) -> [Verb]? {
        switch word {
        case "update-result": [.update]
        case "check-result": [.check]
        case "lookup-result": [.lookup, .fetch]
        case "fetch-result": [.fetch]
        default: nil
        }
    }

    /// Whether so many questions were never answered that the program must be taken for lost.
    public var hasTooManyUnanswered: Bool { unanswered.count > Self.mostUnanswered }
}

extension TableDialogue.Question {
    fileprivate var key: String? {
        switch self {
        case .check(_, let key), .lookup(_, let key): key
        case .update, .fetch: nil
        }
    }

    fileprivate var verb: TableDialogue.Verb {
        switch self {
        case .update: .update
        case .check: .check
        case .lookup: .lookup
        case .fetch: .fetch
        }
    }
}
