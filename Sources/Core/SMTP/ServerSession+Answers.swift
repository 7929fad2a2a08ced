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
        case .initial, .ready, .transaction, .content, .handshake: preconditionFailure("an answer without a question")
        }
        switch answer {
        case .proceed: return proceed(pending)
        case .accepted(let id): return accepted(id, pending)
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
            return settle(transaction, .reply(.done))
        case .recipient(var transaction):
            transaction.recipients += 1
            return settle(transaction, .reply(.recipientDone))
        case .data(let transaction):
            state = .content(transaction)
            return .startData(.startContent)
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
        case .endOfData:
            failures = 0
            return settle(nil, .reply(.accepted(id)))
        case .connect, .greeting, .startTLS, .mail, .recipient, .data, .reset, .noop, .quit:
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
        case .endOfData:
            failures += 1
            return settle(nil, .rollback(reply))
        case .startTLS, .mail:
            state = .ready
        case .recipient(let transaction), .data(let transaction):
            state = .transaction(transaction)
        case .greeting(_, _, let open), .reset(let open), .noop(let open), .quit(let open):
            state = open.map(State.transaction) ?? .ready
        }
        return fail(reply)
    }

    private func greetingReply(_ name: String, _ verb: GreetingVerb) -> Reply {
        let hello = "\(settings.serverName) Hello \(name) \(client.literal), pleased to meet you"
        switch verb {
        case .helo:
            return Reply(250, nil, hello)
        case .ehlo:
            var lines = [hello, "8BITMIME", "ENHANCEDSTATUSCODES", "SIZE \(settings.sizeLimit.value)"]
            if settings.extensions.contains(.deliveryStatus) { lines.append("DSN") }
            if offersTLS { lines.append("STARTTLS") }
            // A person waits for each reply.
            if settings.extensions.contains(.pipelining), !isHandSession { lines.append("PIPELINING") }
            lines.append("HELP")
            return Reply(250, lines: lines)
        }
    }
}
