// SPDX-License-Identifier: ISC

public import Mail

/// Lookup - Parent, and Parent - account helper: what is asked about the users of the system.
public enum ToAccount: Hashable, Sendable {
    /// Answered by `user`.
    case user(named: String)
    /// The content of the user's ~/.forward. Answered by `forward`.
    case forward(user: String)
    /// The content of a file that an alias includes. Parent asks on only for one that an alias table names. Answered by
    /// `include`.
    case include(path: String)
    /// The same as `forward` for a user whom a table of the configuration knows; Parent looks the user up.
    case forwardInTable(user: String, table: String)
    /// The same for a user whom Parent has looked up. From Parent only: nobody else names a uid.
    case forwardOf(UserRecord)
    /// Whether a password is that of a user of the system, who may log in now. Answered by `verdict`.
    case login(user: String, password: [UInt8])
    /// Whether a password is the one of a stored credential, in the form of tables. Answered by `verdict`.
    case password([UInt8], credential: String)
    /// Whether a proof of SCRAM over `message` is that of a stored credential. Answered by `proof`, or by `verdict`.
    case scramProof([UInt8], message: [UInt8], credential: String)
}

/// Account helper - Parent, and Parent - Lookup.
public enum FromAccount: Hashable, Sendable {
    case user(UserAnswer)
    case forward(ForwardAnswer)
    case include(IncludeAnswer)
    case verdict(PasswordVerdict)
    /// It is; and what the server proves in its turn.
    case proof([UInt8])
}

public enum PasswordVerdict: UInt8, Hashable, Sendable, WireValue {
    case right = 1
    case wrong = 2
    case temporaryFailure = 3
}

/// What the system says of a user name.
public enum UserAnswer: Hashable, Sendable {
    case found(UserRecord)
    case absent
    case temporaryFailure
}

/// What stands in a ~/.forward.
public enum ForwardAnswer: Hashable, Sendable {
    case content([UInt8])
    case absent
    /// Permanently unusable, and why.
    case insecure(String)
    case temporaryFailure(String)
}

/// What stands in an included file.
public enum IncludeAnswer: Hashable, Sendable {
    case content([UInt8])
    case absent
    case temporaryFailure(String)
}

extension UserRecord: WireValue {
    public func encode(to output: inout [UInt8]) {
        name.encode(to: &output)
        uid.encode(to: &output)
        gid.encode(to: &output)
        home.encode(to: &output)
    }

    public init(from reader: inout WireReader) throws(WireError) {
        self.init(name: try reader.value(), uid: try reader.value(), gid: try reader.value(), home: try reader.value())
    }
}

extension UserAnswer: WireValue {
    public func encode(to output: inout [UInt8]) {
        switch self {
        case .found(let value):
            UInt8(1).encode(to: &output)
            value.encode(to: &output)
        case .absent: UInt8(2).encode(to: &output)
        case .temporaryFailure: UInt8(3).encode(to: &output)
        }
    }

    public init(from reader: inout WireReader) throws(WireError) {
        switch try reader.value(UInt8.self) {
        case 1: self = .found(try reader.value())
        case 2: self = .absent
        case 3: self = .temporaryFailure
        default: throw .valueOutOfRange
        }
    }
}

extension ForwardAnswer: WireValue {
    public func encode(to output: inout [UInt8]) {
        switch self {
        case .content(let value):
            UInt8(1).encode(to: &output)
            value.encode(to: &output)
        case .absent: UInt8(2).encode(to: &output)
        case .insecure(let value):
            UInt8(3).encode(to: &output)
            value.encode(to: &output)
        case .temporaryFailure(let value):
            UInt8(4).encode(to: &output)
            value.encode(to: &output)
        }
    }

    public init(from reader: inout WireReader) throws(WireError) {
        switch try reader.value(UInt8.self) {
        case 1: self = .content(try reader.value())
        case 2: self = .absent
        case 3: self = .insecure(try reader.value())
        case 4: self = .temporaryFailure(try reader.value())
        default: throw .valueOutOfRange
        }
    }
}

extension IncludeAnswer: WireValue {
    public func encode(to output: inout [UInt8]) {
        switch self {
        case .content(let value):
            UInt8(1).encode(to: &output)
            value.encode(to: &output)
        case .absent: UInt8(2).encode(to: &output)
        case .temporaryFailure(let value):
            UInt8(3).encode(to: &output)
            value.encode(to: &output)
        }
    }

    public init(from reader: inout WireReader) throws(WireError) {
        switch try reader.value(UInt8.self) {
        case 1: self = .content(try reader.value())
        case 2: self = .absent
        case 3: self = .temporaryFailure(try reader.value())
        default: throw .valueOutOfRange
        }
    }
}

extension ToAccount: EdgeMessage {
    private enum Tag: UInt8 {
        case user = 1
        case forward = 2
        case include = 3
        case forwardInTable = 4
        case forwardOf = 5
        case login = 6
        case password = 7
        case scramProof = 8
    }

    public var tag: UInt8 {
        switch self {
        case .user: Tag.user.rawValue
        case .forward: Tag.forward.rawValue
        case .include: Tag.include.rawValue
        case .forwardInTable: Tag.forwardInTable.rawValue
        case .forwardOf: Tag.forwardOf.rawValue
        case .login: Tag.login.rawValue
        case .password: Tag.password.rawValue
        case .scramProof: Tag.scramProof.rawValue
        }
    }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .login(let user, let password):
            user.encode(to: &output)
            password.encode(to: &output)
        case .password(let password, let credential):
            password.encode(to: &output)
            credential.encode(to: &output)
        case .scramProof(let proof, let message, let credential):
            proof.encode(to: &output)
            message.encode(to: &output)
            credential.encode(to: &output)
        case .user(let named):
            named.encode(to: &output)
        case .forward(let user):
            user.encode(to: &output)
        case .include(let path):
            path.encode(to: &output)
        case .forwardInTable(let user, let table):
            user.encode(to: &output)
            table.encode(to: &output)
        case .forwardOf(let user):
            user.encode(to: &output)
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .user: self = .user(named: try reader.value())
        case .forward: self = .forward(user: try reader.value())
        case .include: self = .include(path: try reader.value())
        case .forwardInTable: self = .forwardInTable(user: try reader.value(), table: try reader.value())
        case .forwardOf: self = .forwardOf(try reader.value())
        case .login: self = .login(user: try reader.value(), password: try reader.value())
        case .password: self = .password(try reader.value(), credential: try reader.value())
        case .scramProof:
            self = .scramProof(try reader.value(), message: try reader.value(), credential: try reader.value())
        }
    }
}

extension FromAccount: EdgeMessage {
    private enum Tag: UInt8 {
        case user = 1
        case forward = 2
        case include = 3
        case verdict = 4
        case proof = 5
    }

    public var tag: UInt8 {
        switch self {
        case .user: Tag.user.rawValue
        case .forward: Tag.forward.rawValue
        case .include: Tag.include.rawValue
        case .verdict: Tag.verdict.rawValue
        case .proof: Tag.proof.rawValue
        }
    }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .user(let value):
            value.encode(to: &output)
        case .forward(let value):
            value.encode(to: &output)
        case .include(let value):
            value.encode(to: &output)
        case .verdict(let value):
            value.encode(to: &output)
        case .proof(let value):
            value.encode(to: &output)
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .user: self = .user(try reader.value())
        case .forward: self = .forward(try reader.value())
        case .include: self = .include(try reader.value())
        case .verdict: self = .verdict(try reader.value())
        case .proof: self = .proof(try reader.value())
        }
    }
}
