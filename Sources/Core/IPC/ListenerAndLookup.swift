// SPDX-License-Identifier: ISC

public import Mail

/// One recipient to be expanded.
public struct ExpansionRequest: Hashable, Sendable {
    public var session: SessionID
    public var message: MessageID
    /// Which accepted recipient of the transaction this would be, from 0; its envelopes carry the number to Queue.
    public var number: UInt32
    public var sender: ReversePath
    public var recipient: Mailbox
    public var report: ReportRequest
    /// The listen statement the client came in by; the submission socket has none.
    public var statement: UInt16?
    public var origin: Origin
    public var isAuthenticated: Bool
    public var isSecure: Bool

    public init(
        session: SessionID = SessionID(0), message: MessageID, number: UInt32, sender: ReversePath, recipient: Mailbox,
        report: ReportRequest,
        statement: UInt16?, origin: Origin, isAuthenticated: Bool, isSecure: Bool
    ) {
        self.session = session
        self.message = message
        self.number = number
        self.sender = sender
        self.recipient = recipient
        self.report = report
        self.statement = statement
        self.origin = origin
        self.isAuthenticated = isAuthenticated
        self.isSecure = isSecure
    }
}

/// What a client says to prove who it is.
public enum AuthenticationClaim: Hashable, Sendable {
    case password(user: String, [UInt8])
    /// Answered by `challenge`.
    case scram(user: String)
    case scramProof(user: String, message: [UInt8], proof: [UInt8])
    /// The listener has verified a certificate that names this user.
    case certificate(user: String)
}

public struct AuthenticationRequest: Hashable, Sendable {
    public var session: SessionID
    public var statement: UInt16
    public var address: IPAddress
    public var claim: AuthenticationClaim

    public init(session: SessionID, statement: UInt16, address: IPAddress, claim: AuthenticationClaim) {
        self.session = session
        self.statement = statement
        self.address = address
        self.claim = claim
    }
}

/// Listener - Lookup.
public enum ListenerToLookup: Hashable, Sendable {
    /// Answered by `authenticated`, `challenge` or `refused`.
    case authenticate(AuthenticationRequest)
    /// Whether SCRAM can be offered by this listen statement. Answered by `offer`.
    case mechanisms(statement: UInt16)
    /// What a listen statement with `hostnames` calls itself at this address of ours. Answered by `named`.
    case name(statement: UInt16, address: IPAddress)
    /// Whether the user of the session may use this sender. Answered by `permitted` or `refused`.
    case sender(SessionID, statement: UInt16, ReversePath)
    /// The session has ended, or has no user anymore: who that was is forgotten.
    case ended(SessionID)
    /// Answered by `accepted` or `refused`.
    case expand(ExpansionRequest)
}

/// Lookup - Listener.
public enum LookupToListener: Hashable, Sendable {
    /// So many envelopes were stored with Queue for this recipient.
    case accepted(envelopes: UInt32)
    case refused(Reply)
    /// It is this user; `proof` is what SCRAM's server proves in its turn.
    case authenticated(user: String, proof: [UInt8])
    /// What SCRAM's first message tells, but for the client's nonce.
    case challenge(nonce: String, salt: [UInt8], rounds: UInt32)
    case offer(scram: Bool)
    case permitted
    /// nil: as without `hostnames`.
    case named(Domain?)
}

extension AuthenticationClaim: WireValue {
    public func encode(to output: inout [UInt8]) {
        switch self {
        case .password(let user, let password):
            UInt8(1).encode(to: &output)
            user.encode(to: &output)
            password.encode(to: &output)
        case .scram(let user):
            UInt8(2).encode(to: &output)
            user.encode(to: &output)
        case .scramProof(let user, let message, let proof):
            UInt8(3).encode(to: &output)
            user.encode(to: &output)
            message.encode(to: &output)
            proof.encode(to: &output)
        case .certificate(let user):
            UInt8(4).encode(to: &output)
            user.encode(to: &output)
        }
    }

    public init(from reader: inout WireReader) throws(WireError) {
        switch try reader.value(UInt8.self) {
        case 1: self = .password(user: try reader.value(), try reader.value())
        case 2: self = .scram(user: try reader.value())
        case 3: self = .scramProof(user: try reader.value(), message: try reader.value(), proof: try reader.value())
        case 4: self = .certificate(user: try reader.value())
        default: throw .valueOutOfRange
        }
    }
}

extension AuthenticationRequest: WireValue {
    public func encode(to output: inout [UInt8]) {
        session.encode(to: &output)
        statement.encode(to: &output)
        address.encode(to: &output)
        claim.encode(to: &output)
    }

    public init(from reader: inout WireReader) throws(WireError) {
        self.init(
            session: try reader.value(), statement: try reader.value(), address: try reader.value(),
            claim: try reader.value())
    }
}

extension ListenerToLookup: EdgeMessage {
    private enum Tag: UInt8 {
        case expand = 1
        case authenticate = 2
        case mechanisms = 3
        case sender = 4
        case ended = 5
        case name = 6
    }

    public var tag: UInt8 {
        switch self {
        case .expand: Tag.expand.rawValue
        case .authenticate: Tag.authenticate.rawValue
        case .mechanisms: Tag.mechanisms.rawValue
        case .sender: Tag.sender.rawValue
        case .ended: Tag.ended.rawValue
        case .name: Tag.name.rawValue
        }
    }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .authenticate(let request): request.encode(to: &output)
        case .mechanisms(let statement): statement.encode(to: &output)
        case .sender(let session, let statement, let sender):
            session.encode(to: &output)
            statement.encode(to: &output)
            sender.encode(to: &output)
        case .ended(let session): session.encode(to: &output)
        case .name(let statement, let address):
            statement.encode(to: &output)
            address.encode(to: &output)
        case .expand(let request):
            request.session.encode(to: &output)
            request.message.encode(to: &output)
            request.number.encode(to: &output)
            request.sender.encode(to: &output)
            request.recipient.encode(to: &output)
            request.report.encode(to: &output)
            request.statement.encode(to: &output)
            request.origin.encode(to: &output)
            request.isAuthenticated.encode(to: &output)
            request.isSecure.encode(to: &output)
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .authenticate: self = .authenticate(try reader.value())
        case .mechanisms: self = .mechanisms(statement: try reader.value())
        case .sender: self = .sender(try reader.value(), statement: try reader.value(), try reader.value())
        case .ended: self = .ended(try reader.value())
        case .name: self = .name(statement: try reader.value(), address: try reader.value())
        case .expand:
            self = .expand(
                ExpansionRequest(
                    session: try reader.value(), message: try reader.value(), number: try reader.value(),
                    sender: try reader.value(),
                    recipient: try reader.value(), report: try reader.value(), statement: try reader.value(),
                    origin: try reader.value(), isAuthenticated: try reader.value(), isSecure: try reader.value()))
        }
    }
}

extension LookupToListener: EdgeMessage {
    private enum Tag: UInt8 {
        case accepted = 1
        case refused = 2
        case authenticated = 3
        case challenge = 4
        case offer = 5
        case permitted = 6
        case named = 7
    }

    public var tag: UInt8 {
        switch self {
        case .accepted: Tag.accepted.rawValue
        case .refused: Tag.refused.rawValue
        case .authenticated: Tag.authenticated.rawValue
        case .challenge: Tag.challenge.rawValue
        case .offer: Tag.offer.rawValue
        case .permitted: Tag.permitted.rawValue
        case .named: Tag.named.rawValue
        }
    }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .accepted(let envelopes): envelopes.encode(to: &output)
        case .refused(let reply): reply.encode(to: &output)
        case .authenticated(let user, let proof):
            user.encode(to: &output)
            proof.encode(to: &output)
        case .challenge(let nonce, let salt, let rounds):
            nonce.encode(to: &output)
            salt.encode(to: &output)
            rounds.encode(to: &output)
        case .offer(let scram): scram.encode(to: &output)
        case .permitted: break
        case .named(let name): name.encode(to: &output)
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .accepted: self = .accepted(envelopes: try reader.value())
        case .refused: self = .refused(try reader.value())
        case .authenticated: self = .authenticated(user: try reader.value(), proof: try reader.value())
        case .challenge:
            self = .challenge(nonce: try reader.value(), salt: try reader.value(), rounds: try reader.value())
        case .offer: self = .offer(scram: try reader.value())
        case .permitted: self = .permitted
        case .named: self = .named(try reader.value())
        }
    }
}
