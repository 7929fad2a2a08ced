// SPDX-License-Identifier: ISC

import Bytes
public import Mail

/// STARTTLS (RFC 3207) and AUTH (RFC 4954); both from idle and, when they succeed, back to idle.
extension ClientSession {
    /// What AUTH LOGIN still has to say, in Base64. Printed without the password.
    struct Login: Sendable, CustomStringConvertible, CustomReflectable {
        let user: [UInt8]
        let password: [UInt8]
        var isUserSent = false

        var description: String { "<secret>" }
        var customMirror: Mirror { Mirror(self, children: EmptyCollection<Mirror.Child>()) }
    }

    /// Asks for TLS; only when idle and when `offer` has it.
    public mutating func startTLS() -> Action {
        guard case .idle = state else { preconditionFailure("STARTTLS inside a dialogue") }
        state = .startTLS
        return .send(Array("STARTTLS\r\n".utf8))
    }

    /// The handshake is done: all that the server said before it is forgotten (RFC 3207 section 4.2).
    public mutating func tlsStarted() -> Action {
        guard case .handshake = state else { preconditionFailure("a handshake that was not asked for") }
        channel = .tls
        return sayExtendedHello()
    }

    /// What SCRAM still has to say and to hear.
    struct Challenge: Sendable {
        enum Step: Sendable {
            case first
            /// The driver makes the key.
            case key
            case final
            /// The server has proven itself, and its last word is awaited.
            case end
        }

        var client: SCRAMClient
        var step = Step.first
    }

    /// Proves who we are, by SCRAM-SHA-256 where it is offered, else by PLAIN, else by LOGIN; never over a plain channel.
    /// Only when idle. `nonce` is visible ASCII without a comma, never the same twice.
    public mutating func authenticate(user: String, password: Secret, nonce: String) -> Action {
        guard case .idle = state else { preconditionFailure("AUTH inside a dialogue") }
        guard channel == .tls else { return close(.refused(.insecureChannel)) }
        guard offer.extensions.contains(.authentication) else { return close(.refused(.noAuthentication)) }
        let userBytes = Array(user.utf8)
        let passwordBytes = password.withBytes { $0.array }
        // RFC 4616 section 2: a NUL separates the parts and stands in none.
        guard !userBytes.contains(0), !passwordBytes.contains(0) else { return close(.refused(.noMechanism)) }
        if offer.mechanisms.contains(SCRAMClient.name) {
            let client = SCRAMClient(user: user, password: passwordBytes, nonce: nonce)
            let first = client.first
            state = .challenge(Challenge(client: client))
            return .send(
                Array("AUTH \(SCRAMClient.name) ".utf8) + Base64.encode(first.span) + Array("\r\n".utf8))
        }
        if offer.mechanisms.contains("PLAIN") {
            state = .authentication
            let message = [0] + userBytes + [0] + passwordBytes
            return .send(Array("AUTH PLAIN ".utf8) + Base64.encode(message.span) + Array("\r\n".utf8))
        }
        guard offer.mechanisms.contains("LOGIN") else { return close(.refused(.noMechanism)) }
        let login = Login(user: Base64.encode(userBytes.span), password: Base64.encode(passwordBytes.span))
        state = .login(login)
        return .send(Array("AUTH LOGIN\r\n".utf8))
    }

    /// The key that `.makeKey` asked for.
    public mutating func keyMade(_ key: [UInt8]) -> Action {
        guard case .challenge(var challenge) = state, challenge.step == .key else {
            preconditionFailure("a key that was not asked for")
        }
        let message = challenge.client.final(key)
        challenge.step = .final
        state = .challenge(challenge)
        return .send(Base64.encode(message.span) + Array("\r\n".utf8))
    }

    private mutating func receive(_ reply: Reply, _ challenge: Challenge) -> Action {
        var challenge = challenge
        // RFC 4954 section 4: what a server has to say with success may come with it, too.
        let isSuccess = reply.code == 235
        guard reply.code == 334 || isSuccess else { return refused(reply) }
        let text = Array((reply.lines.first ?? "").utf8)
        let message = Base64.decode(text.span) ?? []
        do throws(SCRAMClient.Failure) {
            switch challenge.step {
            case .first:
                guard !isSuccess else { throw .notProven }
                let key = try challenge.client.receive(first: message)
                challenge.step = .key
                state = .challenge(challenge)
                return .makeKey(key)
            case .key:
                throw .malformed
            case .final:
                try challenge.client.receive(final: message)
                if isSuccess {
                    state = .idle
                    return .idle
                }
                challenge.step = .end
                state = .challenge(challenge)
                return .send(Array("\r\n".utf8))
            case .end:
                guard isSuccess else { throw .malformed }
                state = .idle
                return .idle
            }
        } catch {
            return close(.refused(.unprovenServer))
        }
    }

    // Some servers repeat the line that they refuse, and what they say goes into the log, the queue and notices, where
    // no password may stand: their words go no further than here.
    private mutating func refused(_ reply: Reply) -> Action {
        var bare = Reply(reply.code, reply.enhancedStatus, "Authentication refused")
        bare.host = reply.host
        return close(.refused(bare))
    }

    mutating func receive(secure reply: Reply) -> Action {
        switch state {
        case .startTLS:
            // RFC 3207 section 4: 220, or the channel stays as it is, which is not what the caller wanted.
            guard reply.code == 220 else { return close(.refused(reply)) }
            state = .handshake
            return .startTLS
        case .login(var login):
            // RFC 4954 section 4: 334 asks; the text of the question is not looked at, its order is the same
            // everywhere.
            guard reply.code == 334 else { return refused(reply) }
            if login.isUserSent {
                state = .authentication
                return .send(login.password + Array("\r\n".utf8))
            }
            login.isUserSent = true
            state = .login(login)
            return .send(login.user + Array("\r\n".utf8))
        case .authentication:
            guard reply.code == 235 else { return refused(reply) }
            state = .idle
            return .idle
        case .challenge(let challenge):
            return receive(reply, challenge)
        case .new, .greeting, .extendedHello, .hello, .idle, .handshake, .transaction, .discarding, .quitting, .closed:
            return close(.lost(.unexpectedReply))
        }
    }
}

extension Reply {
    fileprivate static let insecureChannel = Reply(451, EnhancedStatus(4, 7, 4), "Refuse to AUTH over insecure channel")
    fileprivate static let noAuthentication = Reply(451, EnhancedStatus(4, 7, 4), "AUTH not advertised")
    fileprivate static let unprovenServer = Reply(
        451, EnhancedStatus(4, 7, 0), "The server did not prove that it knows the password")
    fileprivate static let noMechanism = Reply(451, EnhancedStatus(4, 7, 4), "no supported AUTH method")
}
