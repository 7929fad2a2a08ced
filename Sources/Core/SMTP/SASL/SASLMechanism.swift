// SPDX-License-Identifier: ISC

import Bytes

/// The ways to prove who one is (RFC 4422), in the order in which they are offered.
///
/// The old ones come first: clients of old that take the first word they know must find what they always found.
public enum SASLMechanism: String, CaseIterable, Hashable, Sendable {
    case plain = "PLAIN"  // RFC 4616
    case login = "LOGIN"
    case scram = "SCRAM-SHA-256"  // RFC 7677
    case scramPlus = "SCRAM-SHA-256-PLUS"
    case external = "EXTERNAL"  // RFC 4422 appendix A

    public init?(_ name: Span<UInt8>) {
        let text = String(displaying: name).asciiLowercased
        guard let mechanism = Self.allCases.first(where: { $0.rawValue.asciiLowercased == text }) else { return nil }
        self = mechanism
    }
}

/// What a client says to prove who it is; to be judged by who holds the credentials.
public enum SASLClaim: Hashable, Sendable, CustomStringConvertible {
    case password(user: String, [UInt8])
    /// The first message of SCRAM; answered by the server's.
    case scramBegin(ScramBeginning)
    /// The proof; `message` is what it is made over (RFC 5802 section 3, AuthMessage).
    case scramProof(user: String, message: [UInt8], proof: [UInt8])
    /// What the certificate of the channel says is enough; whom the client wants to be, when it said so.
    case external(authorization: String?)

    /// Whose proof it is, as far as the client says.
    public var user: String? {
        switch self {
        case .password(let user, _): user
        case .scramBegin(let beginning): beginning.user
        case .scramProof(let user, _, _): user
        case .external(let authorization): authorization
        }
    }

    /// Without what must not be seen.
    public var description: String {
        switch self {
        case .password: "<password>"
        case .scramBegin: "<scram>"
        case .scramProof: "<proof>"
        case .external: "<external>"
        }
    }
}

/// The client's first message of SCRAM, as far as the server's answer needs it.
public struct ScramBeginning: Hashable, Sendable {
    public var user: String
    /// Chosen by the client.
    public var nonce: String

    public init(user: String, nonce: String) {
        self.user = user
        self.nonce = nonce
    }
}

/// What is stored of a password for SCRAM, and what the server's first message tells of it.
public struct ScramChallenge: Hashable, Sendable {
    /// Behind the client's nonce.
    public var nonce: String
    public var salt: [UInt8]
    public var rounds: UInt32

    public init(nonce: String, salt: [UInt8], rounds: UInt32) {
        self.nonce = nonce
        self.salt = salt
        self.rounds = rounds
    }
}
