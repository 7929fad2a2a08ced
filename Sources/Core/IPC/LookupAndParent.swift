// SPDX-License-Identifier: ISC

/// Lookup - Parent. Names tables of the configuration, users, and files that alias tables include; never a program.
public enum LookupToParent: Hashable, Sendable {
    /// For an account helper. Answered by `account`.
    case account(ToAccount)
    /// Wants the program of a table started again, the old one having failed. Answered by `program` or `noProgram`.
    case program(table: String)
    /// Answers `userOfTable`.
    case user(UserAnswer)
    /// Answers `updateFile` and `updateProgram`: nil, or why the table stays as it was.
    case updated(refusal: String?)
}

/// Parent - Lookup.
public enum ParentToLookup: Hashable, Sendable {
    case account(FromAccount)
    /// With the stream to the program.
    case program
    case noProgram(String)
    /// A user whom a table knows, to be delivered to. Answered by `user`.
    case userOfTable(String, named: String)
    /// With the file of a table that an administrator wants read again. Answered by `updated`.
    case updateFile(table: String)
    /// The same for a table behind a program.
    case updateProgram(table: String)
}

extension LookupToParent: EdgeMessage {
    private enum Tag: UInt8 {
        case account = 1
        case program = 2
        case user = 3
        case updated = 4
    }

    public var tag: UInt8 {
        switch self {
        case .account: Tag.account.rawValue
        case .program: Tag.program.rawValue
        case .user: Tag.user.rawValue
        case .updated: Tag.updated.rawValue
        }
    }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .account(let question):
            question.tag.encode(to: &output)
            question.writePayload(to: &output)
        case .program(let table):
            table.encode(to: &output)
        case .user(let answer):
            answer.encode(to: &output)
        case .updated(let refusal):
            refusal.encode(to: &output)
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .account: self = .account(try ToAccount(tag: try reader.value(), from: &reader))
        case .program: self = .program(table: try reader.value())
        case .user: self = .user(try reader.value())
        case .updated: self = .updated(refusal: try reader.value())
        }
    }
}

extension ParentToLookup: EdgeMessage {
    private enum Tag: UInt8 {
        case account = 1
        case program = 2
        case noProgram = 3
        case userOfTable = 4
        case updateFile = 5
        case updateProgram = 6
    }

    public var tag: UInt8 {
        switch self {
        case .account: Tag.account.rawValue
        case .program: Tag.program.rawValue
        case .noProgram: Tag.noProgram.rawValue
        case .userOfTable: Tag.userOfTable.rawValue
        case .updateFile: Tag.updateFile.rawValue
        case .updateProgram: Tag.updateProgram.rawValue
        }
    }

    public var carriesDescriptor: Bool {
        switch self {
        case .program, .updateFile: true
        case .account, .noProgram, .userOfTable, .updateProgram: false
        }
    }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .account(let answer):
            answer.tag.encode(to: &output)
            answer.writePayload(to: &output)
        case .program:
            break
        case .noProgram(let reason):
            reason.encode(to: &output)
        case .userOfTable(let table, let name):
            table.encode(to: &output)
            name.encode(to: &output)
        case .updateFile(let table), .updateProgram(let table):
            table.encode(to: &output)
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .account: self = .account(try FromAccount(tag: try reader.value(), from: &reader))
        case .program: self = .program
        case .noProgram: self = .noProgram(try reader.value())
        case .userOfTable: self = .userOfTable(try reader.value(), named: try reader.value())
        case .updateFile: self = .updateFile(table: try reader.value())
        case .updateProgram: self = .updateProgram(table: try reader.value())
        }
    }
}
