// SPDX-License-Identifier: ISC

import Bytes
import Mail

extension ServerSession {
    /// The answer to the question that is open. One that comes after the end is forgotten.
    public mutating func answer(_ answer: Answer) -> Action {
        let pending: Pending
        switch state {
        case .asking(let open): pending = open
        case .closed: return .close(nil)
        case .initial, .ready, .transaction, .content, .chunk, .skipping, .handshake, .authenticating, .confirming:
            preconditionFailure("an answer without a question")
        }
        switch answer {
        case .proceed: return proceed(pending)
        case .accepted(let id): return accepted(id, pending)
        case .authenticated(let user, let proof): return authenticated(user, proof, pending)
        case .challenged(let challenge): return challenged(challenge, pending)
        case .refuse(let reply): return refuse(reply, pending)
        case .disconnect(let reply): return close(reply)
        }
    }

    private mutating func proceed(_ pending: Pending) -> Action {
        switch pending {
        case .connect:
            return settle(nil, .reply(Reply(220, nil, "\(settings.serverName) ESMTP Martlet")))
        case .greeting(let name, let verb, let open):
            greeting = name
            greetingVerb = verb
            let reply = greetingReply(name, verb)
            // RFC 5321 section 4.1.4: a later EHLO resets the session as RSET does.
            return settle(nil, open == nil ? .reply(reply) : .rollback(reply))
        case .startTLS:
            state = .handshake
            return .startTLS(.startTLS)
        case .mail(let transaction):
            messages += 1
            return settle(transaction, .reply(transaction.isPriorityChanged ? .priorityChanged : .done))
        case .recipient(var transaction):
            transaction.recipients += 1
            return settle(transaction, .reply(.recipientDone))
        case .data(let transaction):
            state = .content(transaction)
            return .startData(.startContent)
        case .chunk(let transaction, let size, let place):
            state = .chunk(transaction, place)
            return .takeChunk(size: size, .first, place)
        case .client(let claim):
            take(claim)
            // The session begins anew, with whom the client speaks for.
            return ask(.connect, .connect)
        case .forward(let open):
            return settle(open, .reply(.done))
        case .auth:
            preconditionFailure("a claim was answered without a user")
        case .endOfData:
            preconditionFailure("an end of data was answered without a message id")
        case .reset(let open):
            return settle(nil, open == nil ? .reply(.wasReset) : .rollback(.wasReset))
        case .noop(let open):
            return settle(open, .reply(.done))
        case .quit:
            return close(.bye)
        }
    }

    private mutating func accepted(_ id: MessageID, _ pending: Pending) -> Action {
        switch pending {
        case .endOfData(let transaction):
            failures = 0
            idleCommands = 0
            demandVerdicts(of: transaction)
            return settle(nil, .reply(.accepted(id)))
        case .connect, .greeting, .startTLS, .mail, .recipient, .data, .chunk, .reset, .noop, .quit, .client, .forward,
            .auth:
            preconditionFailure("a message was accepted that is not complete")
        }
    }

    private mutating func refuse(_ reply: Reply, _ pending: Pending) -> Action {
        // A filter that refuses with a yes would put us out of step with the client.
        guard reply.isTemporary || reply.isPermanent else { return close(.internalError) }
        // RFC 5321 section 3.8: 421 announces that the server closes.
        if reply.code == 421 { return close(reply) }
        switch pending {
        case .connect:
            return close(reply)
        case .endOfData(let transaction):
            failures += 1
            demandVerdicts(of: transaction)
            return settle(nil, .rollback(reply))
        case .chunk(let transaction, let size, _):
            return skip(size, reply, transaction)
        case .startTLS, .mail, .client, .auth:
            state = .ready
        case .recipient(let transaction), .data(let transaction):
            state = .transaction(transaction)
        case .greeting(_, _, let open), .reset(let open), .noop(let open), .quit(let open), .forward(let open):
            state = open.map(State.transaction) ?? .ready
        }
        return fail(reply)
    }

    private func greetingReply(_ name: String, _ verb: GreetingVerb) -> Reply {
        let hello = "\(settings.serverName) Hello \(name) \(client.literal), pleased to meet you"
        switch verb {
        case .helo:
            return Reply(250, nil, hello)
        case .ehlo, .lhlo:
            var lines = [hello, "8BITMIME", "ENHANCEDSTATUSCODES", "SIZE \(settings.sizeLimit.value)"]
            let offered = offered
            if offered.contains(.deliveryStatus) { lines.append("DSN") }
            if offersTLS { lines.append("STARTTLS") }
            if offersAuthentication {
                lines.append("AUTH " + offeredMechanisms.map(\.rawValue).joined(separator: " "))
            }
            if offered.contains(.pipelining) { lines.append("PIPELINING") }
            if offered.contains(.chunking) { lines += ["CHUNKING", "BINARYMIME"] }
            if offered.contains(.internationalMail) { lines.append("SMTPUTF8") }
            // RFC 9422 section 4
            lines.append("LIMITS RCPTMAX=\(settings.maximumRecipients) MAILMAX=\(settings.maximumMessages)")
            if offered.contains(.requireTLS) { lines.append("REQUIRETLS") }
            if offered.contains(.futureRelease) {
                let latest = (now + settings.longestHold).internetText
                lines.append("FUTURERELEASE \(settings.longestHold.seconds) \(latest)")
            }
            if offered.contains(.deliverBy) { lines.append("DELIVERBY") }
            if offered.contains(.priority) { lines.append("MT-PRIORITY") }
            if offered.contains(.clientClaims) { lines.append("XCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT") }
            if offered.contains(.forwardClaims) { lines.append("XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE") }
            lines.append("HELP")
            return Reply(250, lines: lines)
        }
    }

    private mutating func take(_ claim: ClientClaim) {
        client.transport = .proxied
        client.trust = .none
        switch claim.address {
        case .known(let address):
            client.address = address
            client.hostName = "<unknown>"
        case .unknown:
            // Whoever speaks for others has rights that those have not.
            client.address = .nowhere
            client.hostName = "<unknown>"
        case nil: break
        }
        switch claim.name {
        case .known(let name): client.hostName = name.text
        case .unknown: client.hostName = "<unknown>"
        case nil: break
        }
        greeting = nil
        user = nil
        if case .known(let name) = claim.greeting { greeting = name.text }
        messages = 0
    }
}
