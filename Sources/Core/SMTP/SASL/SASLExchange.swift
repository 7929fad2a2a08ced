// SPDX-License-Identifier: ISC

import Bytes

/// One AUTH from the command to the claim, on the server's side (RFC 4954 section 4).
///
/// Fed with decoded responses; each is answered by a challenge, a claim to be judged, or a refusal. What the judge says
/// of SCRAM's first claim comes back as `challenged`.
struct SASLExchange: Sendable {
    // The reference's limits.
    static let longestUser = 255
    static let longestPlain = 1023

    enum Step: Hashable, Sendable {
        case challenge([UInt8])
        case claim(SASLClaim)
        /// What came is no message of the mechanism.
        case malformed
    }

    private enum State: Sendable {
        case plain
        case loginUser
        case loginPassword(user: String)
        case external
        case scram(ScramExchange)
        case finished
    }

    let mechanism: SASLMechanism
    private var state: State

    /// `binding` names the channel (RFC 9266); empty where there is none. `offersPlus`: SCRAM-SHA-256-PLUS was offered.
    init(_ mechanism: SASLMechanism, binding: [UInt8], offersPlus: Bool) {
        self.mechanism = mechanism
        switch mechanism {
        case .plain: state = .plain
        case .login: state = .loginUser
        case .external: state = .external
        case .scram: state = .scram(ScramExchange(.without(isOffered: offersPlus)))
        case .scramPlus: state = .scram(ScramExchange(.with(binding)))
        }
    }

    /// What to say when the command brought no initial response.
    var firstChallenge: [UInt8] {
        switch mechanism {
        case .login: Array("Username:".utf8)
        case .plain, .external, .scram, .scramPlus: []
        }
    }

    mutating func receive(_ response: Span<UInt8>) -> Step {
        switch state {
        case .plain:
            state = .finished
            return Self.plain(response)
        case .loginUser:
            guard let user = Self.user(response) else { return .malformed }
            state = .loginPassword(user: user)
            return .challenge(Array("Password:".utf8))
        case .loginPassword(let user):
            state = .finished
            guard !response.isEmpty, response.count <= Self.longestPlain, response.firstIndex(of: 0) == nil else {
                return .malformed
            }
            return .claim(.password(user: user, response.array))
        case .external:
            state = .finished
            if response.isEmpty { return .claim(.external(authorization: nil)) }
            return Self.user(response).map { .claim(.external(authorization: $0)) } ?? .malformed
        case .scram(var scram):
            let step = scram.receive(response)
            state = .scram(scram)
            return step
        case .finished:
            return .malformed
        }
    }

    /// The server's first message of SCRAM.
    mutating func challenged(_ challenge: ScramChallenge) -> Step {
        guard case .scram(var scram) = state else { return .malformed }
        let step = scram.challenged(challenge)
        state = .scram(scram)
        return step
    }

    // message = [authzid] NUL authcid NUL passwd                                          (RFC 4616 section 2)
    private static func plain(_ response: Span<UInt8>) -> Step {
        guard response.count <= longestPlain else { return .malformed }
        var rest = response
        let authorization = rest.take(while: { $0 != 0 })
        guard rest.take(byte: 0) else { return .malformed }
        let name = rest.take(while: { $0 != 0 })
        guard rest.take(byte: 0), !rest.isEmpty, rest.firstIndex(of: 0) == nil, let user = user(name) else {
            return .malformed
        }
        // Nobody may act for another here.
        guard authorization.isEmpty || authorization.array == name.array else { return .malformed }
        return .claim(.password(user: user, rest.array))
    }

    /// A user's name: printable, and not so long that no table could hold it.
    static func user(_ bytes: Span<UInt8>) -> String? {
        guard !bytes.isEmpty, bytes.count <= longestUser,
            let text = String(validating: bytes.array, as: UTF8.self)
        else { return nil }
        // The protocols of tables are lines, and so is the log.
        let isPlain = text.unicodeScalars.allSatisfy { scalar in
            scalar.value >= 0x20 && !(0x7F...0x9F).contains(scalar.value) && scalar.value != 0x2028
                && scalar.value != 0x2029
        }
        return isPlain ? text : nil
    }
}
