// SPDX-License-Identifier: ISC

import Bytes
import Mail

/// AUTH (RFC 4954) on the server's side: under TLS only, once in a session, outside of transactions.
extension ServerSession {
    /// AUTH is worth offering, or obeying, now.
    var offersAuthentication: Bool { isSecure && user == nil && !offeredMechanisms.isEmpty }

    /// What needs a name of the channel, or a certificate, is offered where there is one.
    var offeredMechanisms: [SASLMechanism] {
        mechanisms.filter { mechanism in
            switch mechanism {
            case .plain, .login, .scram: return true
            case .scramPlus: return security?.binding.isEmpty == false
            case .external:
                switch security?.clientCertificate {
                case .verified: return true
                case .absent, nil: return false
                }
            }
        }
    }

    /// What is wrong with AUTH at this point; nil when it may be.
    func refusalOfAuthentication(_ open: Transaction?) -> Reply? {
        if greeting == nil || open != nil { return .notHere }
        if user != nil { return .alreadyAuthenticated }
        return offersAuthentication ? nil : .notSupported
    }

    /// Whether the next line is a response of AUTH, which nobody may see.
    public var awaitsSecret: Bool {
        switch state {
        case .authenticating, .confirming: true
        case .initial, .ready, .transaction, .content, .chunk, .skipping, .asking, .handshake, .closed: false
        }
    }

    /// AUTH has begun and has not come to its end.
    public var isAuthenticating: Bool {
        switch state {
        case .authenticating, .confirming, .asking(.auth): true
        case .initial, .ready, .transaction, .content, .chunk, .skipping, .asking, .handshake, .closed: false
        }
    }

    mutating func receive(authentication name: String, _ initial: [UInt8]?) -> Action {
        let bytes = Array(name.utf8)
        let known = SASLMechanism(bytes.span)
        guard let mechanism = known, offeredMechanisms.contains(mechanism) else { return fail(.notOffered(known)) }
        let exchange = SASLExchange(
            mechanism, binding: security?.binding ?? [], offersPlus: offeredMechanisms.contains(.scramPlus))
        guard let initial else {
            state = .authenticating(exchange)
            return .reply(.challenge(exchange.firstChallenge))
        }
        // RFC 4954 section 4: a single equals sign is an empty response.
        if initial == [UInt8(ascii: "=")] { return take([], exchange) }
        return receive(encoded: initial, exchange)
    }

    mutating func receive(response line: Span<UInt8>, _ exchange: SASLExchange) -> Action {
        state = .ready
        if line.array == [UInt8(ascii: "*")] { return fail(.cancelled) }
        return receive(encoded: line.array, exchange)
    }

    private mutating func receive(encoded response: [UInt8], _ exchange: SASLExchange) -> Action {
        guard let decoded = Base64.decode(response.span) else { return fail(.notBase64) }
        return take(decoded, exchange)
    }

    private mutating func take(_ response: [UInt8], _ exchange: SASLExchange) -> Action {
        var exchange = exchange
        return perform(exchange.receive(response.span), exchange)
    }

    private mutating func perform(_ step: SASLExchange.Step, _ exchange: SASLExchange) -> Action {
        switch step {
        case .challenge(let bytes):
            state = .authenticating(exchange)
            return .reply(.challenge(bytes))
        case .claim(let claim):
            return ask(.authenticate(exchange.mechanism, claim), .auth(exchange))
        case .malformed:
            return fail(.noMessageOfMechanism)
        }
    }

    mutating func challenged(_ challenge: ScramChallenge, _ pending: Pending) -> Action {
        guard case .auth(var exchange) = pending else { preconditionFailure("a challenge to no AUTH") }
        state = .ready
        return perform(exchange.challenged(challenge), exchange)
    }

    mutating func authenticated(_ user: String, _ proof: [UInt8], _ pending: Pending) -> Action {
        guard case .auth = pending else { preconditionFailure("a user of no AUTH") }
        guard !proof.isEmpty else { return confirm(user) }
        // RFC 4954 section 4: data with success go as a challenge, which the client answers by nothing.
        state = .confirming(user: user)
        return .reply(.challenge(Array("v=".utf8) + Base64.encode(proof.span)))
    }

    mutating func confirm(_ user: String, _ line: Span<UInt8>) -> Action {
        state = .ready
        if line.array == [UInt8(ascii: "*")] { return fail(.cancelled) }
        guard line.isEmpty else { return fail(.noMessageOfMechanism) }
        return confirm(user)
    }

    private mutating func confirm(_ user: String) -> Action {
        self.user = user
        failures = 0
        state = .ready
        return .reply(.authenticated)
    }
}
