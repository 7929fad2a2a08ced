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
        case .closed: return .close(nil)
        case .initial, .content, .asking, .handshake: preconditionFailure("a command line while none was due")
        }

        var arguments = line
        let verb = Verb(taking: &arguments)
        // A person waits for each reply; only the text of a message is pasted.
        if isHandSession, waiting > 0, verb != .data || open.map({ $0.recipients == 0 }) ?? true {
            return close(.pipeliningNotSupported)
        }
        guard let verb else {
            return Verb.isWebRequest(line) ? close(.error(.foreignProtocol)) : fail(.error(.unrecognized))
        }
        if let refusal = refusal(of: verb, open) { return fail(refusal) }
        do throws(CommandError) {
            let command = try Command(
                verb, arguments: arguments, serverName: settings.serverName, extensions: settings.extensions)
            // Whatever came behind it would be read as if TLS had protected it.
            if case .startTLS = command, waiting > 0 { return close(.dataBehindTLS) }
            return receive(command, open)
        } catch {
            return fail(.error(error))
        }
    }

    // What is wrong with a verb at this point, whatever its arguments are.
    private func refusal(of verb: Verb, _ open: Transaction?) -> Reply? {
        switch verb {
        case .helo, .ehlo, .noop, .quit, .help, .verify, .expand, .wizard:
            return nil
        case .startTLS:
            return refusalOfTLS(open)
        case .auth:
            return greeting == nil || open != nil ? .notHere : .notSupported
        case .reset:
            return greeting == nil ? .notHere : nil
        case .mail:
            if greeting == nil || open != nil { return .notHere }
            if needsTLS { return .mustStartTLS }
            return messages >= settings.maximumMessages ? .tooManyMessages : nil
        case .recipient:
            guard let open else { return .notHere }
            return open.recipients >= settings.maximumRecipients ? .tooManyRecipients : nil
        case .data:
            guard let open else { return .notHere }
            return open.recipients == 0 ? .noRecipient : nil
        }
    }

    private mutating func receive(_ command: Command, _ open: Transaction?) -> Action {
        switch command {
        case .helo(let name):
            return ask(.greeting(name, .helo), .greeting(name, .helo, open))
        case .ehlo(let name):
            return ask(.greeting(name, .ehlo), .greeting(name, .ehlo, open))
        case .mail(let sender, let parameters):
            // RFC 1870 section 6.1: better refused now than after the bytes.
            if let size = parameters.size, size > settings.sizeLimit { return fail(.announcedTooBig) }
            return ask(
                .mail(sender, parameters.request, announcedSize: parameters.size),
                .mail(Transaction(sender: sender, request: parameters.request, announcedSize: parameters.size)))
        case .recipient(let path, let parameters):
            guard let open else { return fail(.notHere) }
            return ask(
                .recipient(
                    number: open.recipients, path.mailbox(at: settings.serverName), parameters.report),
                .recipient(open))
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
        case .auth: return fail(.notSupported)
        }
    }

    /// The decoder reached the end of data. `waiting`: bytes that were received behind it.
    public mutating func receive(endOfData findings: ContentFindings, waiting: Int) -> Action {
        switch state {
        case .content(let transaction):
            if isHandSession, waiting > 0 { return close(.pipeliningNotSupported) }
            if let violation = findings.violation {
                failures += 1
                state = .ready
                return .rollback(.violation(violation))
            }
            return ask(.endOfData(findings), .endOfData(transaction))
        case .closed:
            return .close(nil)
        case .initial, .ready, .transaction, .asking, .handshake:
            preconditionFailure("an end of data while none was due")
        }
    }
}
