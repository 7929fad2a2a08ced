// SPDX-License-Identifier: ISC

import Bytes
import Mail

extension ServerSession {
    /// One command line, without its end. `waiting`: bytes that were received behind it.
    public mutating func receive(_ line: Span<UInt8>, waiting: Int) -> Action {
        let open: Transaction?
        switch state {
        case .ready: open = nil
        case .transaction(let transaction): open = transaction
        case .authenticating(let exchange): return receive(response: line, exchange)
        case .confirming(let user): return confirm(user, line)
        case .closed: return .close(nil)
        case .initial, .content, .chunk, .skipping, .asking, .handshake:
            preconditionFailure("a command line while none was due")
        }

        verdicts = 1
        var arguments = line
        let verb = Verb(taking: &arguments)
        // A person waits for each reply; only the text of a message is pasted.
        if isHandSession, waiting > 0, verb != .data || open.map({ $0.recipients == 0 }) ?? true {
            return close(.pipeliningNotSupported)
        }
        guard let verb else {
            return Verb.isWebRequest(line) ? close(.error(.foreignProtocol)) : fail(.error(.unrecognized))
        }
        guard isSpoken(verb) else { return fail(.error(.unrecognized)) }
        // Where chunks are not offered, what follows would be read as commands.
        if verb == .chunk, !offered.contains(.chunking) { return close(.notSupported) }
        if !verb.advances, isIdleTooOften() { return close(SessionLimit.idleCommands.reply) }
        if let refusal = refusal(of: verb, open) { return fail(refusal) }
        do throws(CommandError) {
            let command = try Command(
                verb, arguments: arguments, serverName: settings.serverName, extensions: offered)
            // Whatever came behind it would be read as if TLS had protected it.
            if case .startTLS = command, waiting > 0 { return close(.dataBehindTLS) }
            return receive(command, open)
        } catch {
            switch error {
            case .chunkSyntax: return close(.error(error))
            case .unrecognized, .foreignProtocol, .unexpectedArgument, .missingArgument, .invalidDomain, .senderSyntax,
                .recipientSyntax, .unsupportedParameter, .invalidParameter, .neverCombined, .originalRecipientSyntax,
                .argumentOfTLS,
                .internationalSender, .internationalRecipient, .claimSyntax:
                return fail(.error(error))
            }
        }
    }

    private mutating func isIdleTooOften() -> Bool {
        idleCommands += 1
        return idleCommands > settings.maximumIdleCommands
    }

    // RFC 2033 section 4.1: LHLO in place of HELO and EHLO. Others than those who may, need not know of the last two.
    private func isSpoken(_ verb: Verb) -> Bool {
        switch verb {
        case .helo, .ehlo: settings.dialect == .smtp
        case .lhlo: settings.dialect == .lmtp
        case .client: settings.extensions.contains(.clientClaims)
        case .forward: settings.extensions.contains(.forwardClaims)
        case .startTLS, .auth, .mail, .recipient, .data, .chunk, .reset, .noop, .quit, .help, .verify, .expand,
            .wizard:
            true
        }
    }

    // What is wrong with a verb at this point, whatever its arguments are.
    private func refusal(of verb: Verb, _ open: Transaction?) -> Reply? {
        switch verb {
        case .helo, .ehlo, .lhlo, .noop, .quit, .help, .verify, .expand, .wizard, .chunk, .forward:
            return nil
        case .client:
            return open == nil ? nil : .notHere
        case .startTLS:
            return refusalOfTLS(open)
        case .auth:
            return refusalOfAuthentication(open)
        case .reset:
            return greeting == nil ? .notHere : nil
        case .mail:
            if greeting == nil || open != nil { return .notHere }
            if needsTLS { return .mustStartTLS }
            if settings.authentication == .required, user == nil { return .mustAuthenticate }
            return messages >= settings.maximumMessages ? SessionLimit.messages.reply : nil
        case .recipient:
            // RFC 3030 section 2: behind BDAT only BDAT goes on.
            guard let open, !open.isChunked else { return .notHere }
            return open.recipients >= settings.maximumRecipients ? SessionLimit.recipients.reply : nil
        case .data:
            guard let open, !open.isChunked else { return .notHere }
            if open.request.body == .binaryMIME { return .needsChunks }
            return open.recipients == 0 ? .noRecipient : nil
        }
    }

    private mutating func receive(_ command: Command, _ open: Transaction?) -> Action {
        switch command {
        case .helo(let name):
            return ask(.greeting(name, .helo), .greeting(name, .helo, open))
        case .ehlo(let name):
            return ask(.greeting(name, .ehlo), .greeting(name, .ehlo, open))
        case .lhlo(let name):
            return ask(.greeting(name, .lhlo), .greeting(name, .lhlo, open))
        case .mail(let sender, let parameters):
            return receive(mail: sender, parameters)
        case .recipient(let path, let parameters):
            guard let open else { return fail(.notHere) }
            let recipient = path.mailbox(at: settings.serverName)
            guard open.request.isInternational || recipient.isASCII else {
                return fail(.error(.internationalRecipient))
            }
            return ask(.recipient(number: open.recipients, recipient, parameters.report), .recipient(open))
        case .chunk(let size, let place):
            return receive(chunk: size, place, open)
        case .client(let claim):
            return ask(.client(claim), .client(claim))
        case .forward(let claim):
            return ask(.forward(claim), .forward(open))
        case .data:
            guard let open else { return fail(.notHere) }
            return ask(.data, .data(open))
        case .reset: return ask(.reset, .reset(open))
        case .noop: return ask(.noop, .noop(open))
        case .quit: return ask(.quit, .quit(open))
        case .help: return .reply(.help)
        case .verify: return .reply(.cannotVerify)
        case .expand: return fail(.notImplemented)
        case .wizard: return fail(.wizard)
        case .startTLS: return ask(.startTLS, .startTLS)
        case .auth(let name, let initial): return receive(authentication: name, initial)
        }
    }

    private mutating func receive(mail sender: ReversePath, _ parameters: MailParameters) -> Action {
        // RFC 1870 section 6.1: better refused now than after the bytes.
        if let size = parameters.size, size > settings.sizeLimit { return fail(.announcedTooBig) }
        var request = parameters.request
        switch parameters.hold {
        case .interval(let interval): request.notBefore = now + interval
        case .until(let time): request.notBefore = time
        case nil: break
        }
        // RFC 4865 section 3.1
        if let time = request.notBefore, time > now + settings.longestHold { return fail(.holdTooLong) }
        if let wanted = parameters.deliverBy {
            request.deadline = MessageRequest.Deadline(
                time: now + wanted.interval, mode: wanted.mode, trace: wanted.trace)
        }
        // RFC 6710 section 4.1: who is known is not yet one who may go before others.
        let isUrgent = request.priority.map { $0.value > 0 } ?? false
        if isUrgent, !settings.takesPriority { request.priority = .normal }
        var transaction = Transaction(sender: sender, request: request, announcedSize: parameters.size)
        transaction.isPriorityChanged = request.priority != parameters.request.priority
        return ask(.mail(sender, request, announcedSize: parameters.size), .mail(transaction))
    }

    // RFC 3030 section 2: the bytes come at once, wanted or not; unwanted ones are read and left.
    private mutating func receive(chunk size: Int, _ place: Command.ChunkPlace, _ open: Transaction?) -> Action {
        // What is far beyond any message that is taken is not worth listening to.
        guard size / 4 <= settings.sizeLimit.value else { return close(.chunkTooLarge) }
        if size == 0, place == .middle, isIdleTooOften() { return close(SessionLimit.idleCommands.reply) }
        guard let open else { return skip(size, .notHere, nil) }
        guard open.recipients > 0 else { return skip(size, .noRecipient, open) }
        if open.isChunked {
            state = .chunk(open, place)
            return .takeChunk(size: size, .later, place)
        }
        return ask(.data, .chunk(open, size: size, place))
    }

    mutating func skip(_ size: Int, _ reply: Reply, _ open: Transaction?) -> Action {
        state = .skipping(reply, open)
        return .skip(size)
    }

    /// An unwanted chunk is over.
    public mutating func skipped() -> Action {
        switch state {
        case .skipping(let reply, let open):
            state = open.map(State.transaction) ?? .ready
            return fail(reply)
        case .closed: return .close(nil)
        case .initial, .ready, .transaction, .content, .chunk, .asking, .handshake, .authenticating, .confirming:
            preconditionFailure("the end of a chunk while none was due")
        }
    }

    /// A chunk is over, the last one with what `finish()` of the decoder made of it.
    public mutating func receive(endOfChunk findings: ContentFindings) -> Action {
        switch state {
        case .chunk(var transaction, let place):
            if let violation = findings.violation {
                failures += 1
                state = .ready
                if place == .last { demandVerdicts(of: transaction) }
                return .rollback(.violation(violation))
            }
            switch place {
            case .middle:
                transaction.isChunked = true
                return settle(transaction, .reply(.received(findings.size.value)))
            case .last:
                return ask(.endOfData(findings), .endOfData(transaction))
            }
        case .closed:
            return .close(nil)
        case .initial, .ready, .transaction, .content, .skipping, .asking, .handshake, .authenticating, .confirming:
            preconditionFailure("the end of a chunk while none was due")
        }
    }

    // RFC 2033 section 4.2
    mutating func demandVerdicts(of transaction: Transaction) {
        verdicts = settings.dialect == .lmtp ? max(1, transaction.recipients) : 1
    }

    /// The decoder reached the end of data. `waiting`: bytes that were received behind it.
    public mutating func receive(endOfData findings: ContentFindings, waiting: Int) -> Action {
        switch state {
        case .content(let transaction):
            if isHandSession, waiting > 0 { return close(.pipeliningNotSupported) }
            if let violation = findings.violation {
                failures += 1
                state = .ready
                demandVerdicts(of: transaction)
                return .rollback(.violation(violation))
            }
            return ask(.endOfData(findings), .endOfData(transaction))
        case .closed:
            return .close(nil)
        case .initial, .ready, .transaction, .chunk, .skipping, .asking, .handshake, .authenticating, .confirming:
            preconditionFailure("an end of data while none was due")
        }
    }
}
