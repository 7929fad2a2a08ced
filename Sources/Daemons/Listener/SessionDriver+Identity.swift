// SPDX-License-Identifier: ISC

import Bytes
import Channel
import Configuration
import IPC
import Mail
import Message
import Posix
import Reactor
import SMTP
import TLS

/// Who somebody is, and who speaks for others.
extension SessionDriver {
    /// What of a line may be shown in the log. A client that reads no replies goes on when AUTH was refused: its user and
    /// password come as lines of their own then.
    func shown(_ line: [UInt8]) -> [UInt8] {
        if session.awaitsSecret { return Array("AUTH (response)".utf8) }
        var rest = line.span
        switch Verb(taking: &rest) {
        case .auth:
            hasTriedToAuthenticate = true
            let mechanism = SASLMechanism(rest.take(while: { $0 != .space }))
            return Array("AUTH \(mechanism?.rawValue ?? "?") (...)".utf8)
        case nil:
            // Such as with a tab behind it.
            if line.span.extracting(first: 4).equalsCaseInsensitively("AUTH") { hasTriedToAuthenticate = true }
            return hasTriedToAuthenticate ? Array("(\(line.count) bytes)".utf8) : line
        case .helo, .ehlo, .lhlo, .startTLS, .mail, .recipient, .data, .chunk, .reset, .noop, .quit, .help, .verify,
            .expand, .wizard, .client, .forward:
            return line
        }
    }

    @inline(never)
    func mechanisms() async -> [SASLMechanism] {
        let hasTable: Bool
        switch listener.authentication {
        case .none: return []
        case .optional(let table), .required(let table): hasTable = table != nil
        }
        var mechanisms: [SASLMechanism] = [.plain, .login]
        if hasTable, let statement,
            case .offer(scram: true)? = try? await owner.lookup.request(.mechanisms(statement: statement))
        {
            mechanisms += [.scram, .scramPlus]
        }
        return mechanisms + [.external]
    }

    @inline(never)
    func authenticate(_ mechanism: SASLMechanism, _ claim: SASLClaim) async -> ServerSession.Answer {
        guard let statement, let address else { return .refuse(.notAuthentic) }
        let request: AuthenticationClaim
        switch claim {
        case .password(let user, let password): request = .password(user: user, password)
        case .scramBegin(let beginning): request = .scram(user: beginning.user)
        case .scramProof(let user, let message, let proof):
            request = .scramProof(user: user, message: message, proof: proof)
        case .external(let wanted):
            guard let user = certifiedUser(wanted) else {
                return await told(.refuse(.notAuthentic), wanted ?? "", mechanism)
            }
            request = .certificate(user: user)
        }
        let answer: LookupToListener
        do {
            let lookup = try await owner.lookup.current()
            authority = lookup
            answer = try await lookup.request(
                .authenticate(
                    AuthenticationRequest(session: number, statement: statement, address: address, claim: request)),
                timeoutMilliseconds: 60_000)
        } catch {
            return await told(.refuse(.authenticationFails), claim.user ?? "", mechanism)
        }
        switch answer {
        case .authenticated(let user, let proof):
            return await told(.authenticated(user: user, proof: proof), user, mechanism)
        case .challenge(let nonce, let salt, let rounds):
            return .challenged(ScramChallenge(nonce: nonce, salt: salt, rounds: rounds))
        case .refused(let reply):
            return await told(.refuse(reply), claim.user ?? "", mechanism)
        case .accepted, .offer, .permitted, .named:
            return .disconnect(.temporaryFailure)
        }
    }

    // Every failure takes up to a second longer than it must, as in the reference.
    static let longestPauseMilliseconds: UInt64 = 1000

    /// Logs how it ended, in the words that fail2ban knows; who has failed waits a little.
    func told(
        _ answer: ServerSession.Answer, _ user: String, _ mechanism: SASLMechanism
    ) async -> ServerSession.Answer {
        let result: String
        switch answer {
        case .authenticated: result = "ok"
        case .refuse(let reply) where reply.isTemporary: result = "tempfail"
        case .refuse, .proceed, .accepted, .challenged, .disconnect: result = "permfail"
        }
        let place = address.map { $0.hostText } ?? "local"
        // Whoever calls himself `x result=permfail address=...` must not have another address banned.
        let name = VisibleText(user).description.split(separator: " ", omittingEmptySubsequences: false)
            .joined(separator: "\\040")
        owner.log.info(
            "\(number) smtp authentication user=\(name) result=\(result) address=\(place) "
                + "mechanism=\(mechanism.rawValue)")
        owner.counters.add("smtp.authentication.\(result)")
        if result != "ok" {
            let pause = Randomness.integer(UInt64.self) % Self.longestPauseMilliseconds
            let timer = Timer()
            await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
                timer.start(afterMilliseconds: pause + 1) { continuation.resume() }
            }
        }
        return answer
    }

    /// The user that the client's certificate names; `wanted` must be one of its names.
    func certifiedUser(_ wanted: String?) -> String? {
        guard case .verified(let certificate)? = session.security?.clientCertificate else { return nil }
        let names = certificate.addresses + (certificate.commonName.map { [$0] } ?? [])
        guard let wanted else { return names.first }
        return names.contains(wanted) ? wanted : nil
    }

    /// What a user may not write as.
    @inline(never)
    func refusal(of sender: ReversePath) async -> ServerSession.Answer? {
        guard listener.senders != nil, let statement else { return nil }
        guard let answer = try? await owner.lookup.request(.sender(number, statement: statement, sender)) else {
            return .disconnect(.temporaryFailure)
        }
        switch answer {
        case .permitted: return nil
        case .refused(let reply): return .refuse(reply)
        case .accepted, .authenticated, .challenge, .offer, .named: return .disconnect(.temporaryFailure)
        }
    }

    var isProxied: Bool {
        guard let address else { return false }
        return listener.expectsProxyHeader || listener.proxiesFrom.contains { $0.matches(address.unmapped) }
    }

    static let headerMilliseconds: UInt64 = 10_000

    /// False when none comes, or none that can be read: then nobody knows whom the session would be with.
    @inline(never)
    func takeProxyHeader() async -> Bool {
        // The client is in nobody's ledger until it is known, so it has no time to lose. The specification asks for a few
        // seconds; proxies send the header with the connection.
        let deadline = Loop.milliseconds + Self.headerMilliseconds
        while true {
            let parsing = stream.withInput { ProxyHeader.parse($0) }
            switch parsing {
            case .incomplete:
                break
            case .header(let header, let consumed):
                stream.consume(consumed)
                guard case .client(let client, _) = header.origin else { return true }
                address = client
                transport = .proxied
                owner.log.info("\(number) smtp event=proxy address=\(client.hostText)")
                return true
            case .invalid:
                owner.log.info("\(number) smtp bad-input result=\"invalid PROXY header\"")
                return false
            }
            let now = Loop.milliseconds
            guard now < deadline, (try? await stream.read(timeoutMilliseconds: deadline - now)) != nil else {
                owner.log.info("\(number) smtp disconnected reason=\"no PROXY header\"")
                return false
            }
        }
    }

    @inline(never)
    func turnAway(_ excess: ClientLedger.Excess) async {
        let reply = count(excess)
        let place = address.map { $0.hostText } ?? "local"
        owner.log.info("\(number) smtp refused address=\(place) result=\"\(VisibleText(reply.description))\"")
        stream.write(reply)
        await stream.finish(.refused)
    }

    func count(_ excess: ClientLedger.Excess) -> Reply {
        owner.counters.add("smtp.limit.\(excess.rawValue)")
        return excess.reply
    }

    // A program of this host has no limits of addresses, unless it speaks for others.
    var isCounted: Bool {
        guard let address else { return false }
        switch session.client.transport {
        case .proxied: return true
        case .direct, .tls: return transport == .proxied || !address.isLoopback
        }
    }

    func isTimely(_ recipient: Mailbox) -> Bool {
        guard isCounted, let address else { return true }
        return owner.ledger.recipient(address, at: Loop.milliseconds) == nil
    }

    func take(_ claim: ClientClaim) {
        switch claim.address {
        case .known(let claimed):
            address = claimed
            hostName = "<unknown>"
            isNamed = false
        case .unknown:
            address = .nowhere
            hostName = "<unknown>"
            isNamed = true
        case nil:
            break
        }
        switch claim.name {
        case .known(let name):
            hostName = name.text
            isNamed = true
        case .unknown:
            hostName = "<unknown>"
            isNamed = true
        case nil:
            break
        }
        owner.log.info("\(number) smtp event=xclient\(Self.text(of: claim))")
    }

    static func text(of claim: ClientClaim) -> String {
        var text = ""
        switch claim.address {
        case .known(let address): text += " address=\(address.hostText)"
        case .unknown: text += " address=unknown"
        case nil: break
        }
        if case .known(let name) = claim.name { text += " host=\(VisibleText(name.text))" }
        if case .known(let greeting) = claim.greeting { text += " helo=\(VisibleText(greeting.text))" }
        if let identifier = claim.identifier { text += " ident=\"\(VisibleText(identifier))\"" }
        return text
    }
}
