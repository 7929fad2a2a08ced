// SPDX-License-Identifier: ISC

import Bytes
import Channel
import Configuration
import IPC
import Mail
import Posix
import Reactor
import Routing
import SMTP

/// Who the clients of the Listeners have proven to be.
///
/// Credentials stay here and in the account helpers: a Listener passes on what a client says and hears a verdict. What it
/// later claims of a session is compared with what is remembered here, so one that was taken over can make nobody known.
final class Authenticator {
    // A worker has fewer descriptors than this.
    private static let mostSessions = 200_000
    struct SessionKey: Hashable {
        let listener: PeerGrant
        let session: SessionID
    }

    private struct Session {
        var user: String?
        /// What the proof of SCRAM is measured by, and whether it stands for a user.
        var scram: (user: String, credential: String, isKnown: Bool)?
        var permittedSender: ReversePath?
    }

    private let listeners: [ListenStatement]
    private let tables: LookupTables
    private let delimiters: SubaddressDelimiters
    private let users: UserDirectory
    private var sessions: [SessionKey: Session] = [:]
    private var failures = FailureLedger()
    /// Of each table that is not in memory, the credential that was found last.
    private var lastFound: [String: String] = [:]

    init(
        _ listeners: [ListenStatement], tables: LookupTables, users: UserDirectory, delimiters: SubaddressDelimiters
    ) {
        self.listeners = listeners
        self.tables = tables
        self.users = users
        self.delimiters = delimiters
    }

    func user(of key: SessionKey) -> String? { sessions[key]?.user }

    func forget(_ key: SessionKey) { sessions[key] = nil }

    func forget(_ listener: PeerGrant) { sessions = sessions.filter { $0.key.listener != listener } }

    // MARK: Who somebody is

    /// The table to ask, or none for users of the system; nil where nobody can prove anything.
    private func table(_ statement: UInt16) -> TableReference?? {
        guard Int(statement) < listeners.count else { return nil }
        switch listeners[Int(statement)].authentication {
        case .none: return nil
        case .optional(let table), .required(let table): return .some(table)
        }
    }

    // Names of the system have a case, those of tables have none.
    private static func known(_ user: String, in table: TableReference?) -> String {
        table == nil ? user : user.asciiLowercased
    }

    /// What a client that proves to be `user` is called at the listen statement.
    func known(_ user: String, at statement: UInt16) -> String {
        guard let table = table(statement) else { return user }
        return Self.known(user, in: table)
    }

    /// SCRAM is of use where everybody can prove himself by it, as far as is known.
    func offersScram(_ statement: UInt16) -> Bool {
        guard case .some(.some(let table)) = table(statement) else { return false }
        return tables.memory.survey(of: table.name)?.isFitForScram ?? false
    }

    func authenticate(_ request: AuthenticationRequest, from listener: PeerGrant) async -> LookupToListener {
        let key = SessionKey(listener: listener, session: request.session)
        guard let table = table(request.statement), sessions[key]?.user == nil, sessions.count < Self.mostSessions
        else { return .refused(.notNow) }
        let now = Loop.milliseconds
        let name = request.claim.user
        let user = Self.known(name, in: table)
        guard failures.mayTry(user, from: request.address, at: now) else { return .refused(.tooManyGuesses) }
        // What is found out for a session that has ended by then makes nobody known.
        if sessions[key] == nil { sessions[key] = Session() }
        let outcome: FromAccount
        switch request.claim {
        case .password(_, let password):
            outcome = await check(password, of: user, in: table)
        case .scram:
            return await beginScram(user, in: table, key)
        case .scramProof(_, let message, let proof):
            guard let scram = sessions[key]?.scram, scram.user == user else { return .refused(.notAuthentic) }
            sessions[key]?.scram = nil
            let answer = await ask(.scramProof(proof, message: message, credential: scram.credential))
            outcome = scram.isKnown ? answer : .verdict(.wrong)
        case .certificate:
            outcome = .verdict(await knows(user, in: table, request.statement))
        }
        return conclude(outcome, user, request.address, key)
    }

    private func conclude(
        _ outcome: FromAccount, _ user: String, _ address: IPAddress, _ key: SessionKey
    ) -> LookupToListener {
        var proof: [UInt8] = []
        switch outcome {
        case .proof(let bytes): proof = bytes
        case .verdict(.right): break
        case .verdict(.wrong):
            failures.failed(user, from: address, at: Loop.milliseconds)
            return .refused(.notAuthentic)
        case .verdict(.temporaryFailure), .user, .forward, .include:
            return .refused(.notNow)
        }
        failures.succeeded(user, from: address, at: Loop.milliseconds)
        guard sessions[key] != nil else { return .refused(.notNow) }
        sessions[key]?.user = user
        return .authenticated(user: user, proof: proof)
    }

    private func check(_ password: [UInt8], of user: String, in table: TableReference?) async -> FromAccount {
        guard let table else { return await ask(.login(user: user, password: password)) }
        do {
            if tables.checksPasswords(table.name) {
                // The key is a line for the program, which refuses one that would be two. A colon ends the user there: with
                // one in it, what is the password of one would be that of another too.
                guard !user.utf8.contains(UInt8(ascii: ":")), let text = String(validating: password, as: UTF8.self)
                else { return .verdict(.wrong) }
                let isRight = try await tables.contains("\(user):\(text)", in: table.name, for: .authentication)
                return .verdict(isRight ? .right : .wrong)
            }
            if let found = try await tables.value(of: user, in: table.name, for: .credentials),
                StoredCredential(found) != nil
            {
                if tables.memory.survey(of: table.name) == nil { lastFound[table.name] = found }
                return await ask(.password(password, credential: found))
            }
        } catch {
            return .verdict(.temporaryFailure)
        }
        // Who does not exist, or is locked, takes as long as who is there.
        let other =
            tables.memory.survey(of: table.name)?.standIn(for: user) ?? lastFound[table.name] ?? Self.anyCredential
        guard case .verdict(.temporaryFailure) = await ask(.password(password, credential: other)) else {
            return .verdict(.wrong)
        }
        return .verdict(.temporaryFailure)
    }

    // Of a password that nobody knows.
    private static let anyCredential =
        "$6$v7mF0cU2oXqkZt9d$0gk4WZ0nT0m2Jc1l0y9kq7o2c8m3v1x5b6n7q8w9e0r1t2y3u4i5o6p7a8s9d0f1g2h3j4k5l6z7x8c9v0b1n."

    private func knows(_ user: String, in table: TableReference?, _ statement: UInt16) async -> PasswordVerdict {
        // Where no certificate is asked for, none can have been verified.
        switch listeners[Int(statement)].encryption {
        case .immediate(.required), .required(.required): break
        case .none, .offered, .immediate(.ignored), .required(.ignored): return .wrong
        }
        guard let table else {
            switch await users.user(named: user) {
            case .found: return .right
            case .absent: return .wrong
            case .failed: return .temporaryFailure
            }
        }
        do {
            return try await tables.value(of: user, in: table.name, for: .credentials) == nil ? .wrong : .right
        } catch {
            return .temporaryFailure
        }
    }

    private func ask(_ question: ToAccount) async -> FromAccount {
        await users.judge(question)
    }

    private func beginScram(_ user: String, in table: TableReference?, _ key: SessionKey) async -> LookupToListener {
        guard let table else { return .refused(.notAuthentic) }
        // Not offered otherwise; but the table may have changed since.
        guard var verifier = tables.memory.survey(of: table.name)?.inventedVerifier(of: user) else {
            return .refused(.notNow)
        }
        var isKnown = false
        do {
            if let text = try await tables.value(of: user, in: table.name, for: .credentials),
                case .scram(let stored)? = StoredCredential(text)
            {
                verifier = stored
                isKnown = true
            }
        } catch {
            return .refused(.notNow)
        }
        guard sessions[key] != nil else { return .refused(.notNow) }
        sessions[key]?.scram = (user, verifier.text, isKnown)
        let nonce =
            Hexadecimal.text(Randomness.integer(UInt64.self), width: 16)
            + Hexadecimal.text(Randomness.integer(UInt64.self), width: 16)
        return .challenge(nonce: nonce, salt: verifier.salt, rounds: verifier.rounds)
    }

    // MARK: Whom they may write as

    /// Whether the user of the session may use the sender; remembered for the transaction.
    func permits(_ sender: ReversePath, _ statement: UInt16, _ key: SessionKey) async -> LookupToListener {
        guard let user = sessions[key]?.user else { return .permitted }
        let answer = await permission(of: user, for: sender, statement)
        if case .permitted = answer { sessions[key]?.permittedSender = sender }
        return answer
    }

    /// Whether `user` may use the sender where the table `senders` of the listen statement decides that.
    func permission(of user: String, for sender: ReversePath, _ statement: UInt16) async -> LookupToListener {
        guard Int(statement) < listeners.count, let senders = listeners[Int(statement)].senders else {
            return .permitted
        }
        do {
            guard let list = try await tables.value(of: user, in: senders.table.name, for: .senders) else {
                return .refused(.senderRejected)
            }
            let address = sender.mailbox.map { "\($0.localPart.text)@\($0.domain.canonical)" } ?? "@"
            let isPermitted = list.split(separator: ",").contains { part in
                let pattern = part.drop { $0 == " " || $0 == "\t" }
                return MailboxPattern(String(pattern)).matches(address, delimiters: delimiters)
            }
            return isPermitted ? .permitted : .refused(.senderRejected)
        } catch {
            return .refused(.notNow)
        }
    }

    /// Whether `permits` was asked of the sender first, as it must be.
    func mayExpand(_ sender: ReversePath, _ statement: UInt16?, _ key: SessionKey) -> Bool {
        guard let session = sessions[key], session.user != nil, let statement, Int(statement) < listeners.count,
            listeners[Int(statement)].senders != nil
        else { return true }
        return session.permittedSender == sender
    }
}

extension AuthenticationClaim {
    fileprivate var user: String {
        switch self {
        case .password(let user, _), .scram(let user), .scramProof(let user, _, _), .certificate(let user): user
        }
    }
}

extension Reply {
    fileprivate static let notAuthentic = Reply(535, EnhancedStatus(5, 7, 8), "Authentication failed")
    fileprivate static let notNow = Reply(454, EnhancedStatus(4, 7, 0), "Temporary authentication failure")
    fileprivate static let tooManyGuesses = Reply(
        454, EnhancedStatus(4, 7, 0), "Too many authentication failures, try again later")
    fileprivate static let senderRejected = Reply(530, EnhancedStatus(5, 7, 1), "Sender rejected")
}
