// SPDX-License-Identifier: ISC

import Bytes
import Configuration
import IPC
import Mail
import Message
import Posix
import Reactor
import SMTP

/// What is said over one connection: a `ClientSession` fed with replies, its commands and the content written out.
final class RelayDialogue {
    // A few milliseconds, behind which others have their turn.
    private static let iterationsAtOnce = 1000

    private let session: RelaySession
    private let connection: Connection
    private let endpoint: Endpoint
    private let source: String
    private var client: ClientSession
    private var parser = ReplyParser()
    private var task: RelayTask?
    private var isContentSent = false
    private var hasDecidedOnTLS = false
    private var isProvingItself = false
    /// What the content has to be converted by, for a server that takes seven bits only.
    private var conversion: EightBitFindings?
    /// Why it ended, where that was not our wish.
    private(set) var error: String?
    /// What to prove ourselves with before the first message.
    var credentials: RelayCredentials?

    init(_ session: RelaySession, _ connection: Connection, _ endpoint: Endpoint, name: Domain, source: String) {
        self.session = session
        self.connection = connection
        self.endpoint = endpoint
        self.source = source
        let isSecure = if case .immediate = endpoint.security { true } else { false }
        client = ClientSession(
            name: name, dialect: endpoint.scheme == .lmtp ? .lmtp : .smtp, channel: isSecure ? .tls : .plain)
        switch endpoint.security {
        case .required(.full), .immediate(.full): client.isVerified = true
        case .none, .opportunistic, .required(.none), .immediate(.none): break
        }
        client.mostRefusedRecipients = session.refusalLimit
    }

    var rejectsAllMessages: Bool { client.rejectsAllMessages }

    /// Returns when nothing is left to say; the reason in a word.
    func run() async -> String {
        if client.channel == .tls, let fault = await session.startTLS(connection, endpoint) {
            error = fault
            return "error"
        }
        var action = client.begin()
        while true {
            switch action {
            case .wait:
                action = await reply()
            case .send(let bytes):
                connection.write(bytes)
                action = await reply()
            case .sendContent:
                action = await sendContent()
            case .sendChunk:
                action = await sendChunk()
            case .idle:
                action = await idle()
            case .makeKey(var key):
                var made = key.advance(Self.iterationsAtOnce)
                while made == nil {
                    await Task.yield()
                    made = key.advance(Self.iterationsAtOnce)
                }
                action = client.keyMade(made ?? [])
            case .startTLS:
                guard let next = await startTLS() else { return "error" }
                action = next
            case .finished(let outcomes, let then):
                finish(outcomes, then)
                switch then {
                case .idle: action = .idle
                case .send(let bytes): action = .send(bytes)
                case .close(let ending): action = .close(ending)
                }
            case .close(let ending):
                return word(for: ending)
            }
        }
    }

    // MARK: TLS

    private func idle() async -> ClientSession.Action {
        if client.channel == .plain, !hasDecidedOnTLS {
            hasDecidedOnTLS = true
            switch session.step(toward: endpoint, offersTLS: client.offer.extensions.contains(.startTLS)) {
            case .startTLS: return client.startTLS()
            case .goOn: break
            case .stop(let reason):
                error = reason
                return client.quit()
            }
        }
        guard error == nil else { return client.quit() }
        if let credentials {
            self.credentials = nil
            isProvingItself = true
            let nonce =
                Hexadecimal.text(Randomness.integer(UInt64.self), width: 16)
                + Hexadecimal.text(Randomness.integer(UInt64.self), width: 16)
            return client.authenticate(
                user: credentials.user, password: Secret(credentials.password), nonce: nonce)
        }
        isProvingItself = false
        session.establish(endpoint)
        return await startNext()
    }

    private func startTLS() async -> ClientSession.Action? {
        // What the server, or somebody in its place, put behind its 220 in plain text is not taken for an answer that
        // came under TLS (RFC 3207 section 6).
        guard connection.available == 0 else {
            error = "plain text behind the reply to STARTTLS"
            return nil
        }
        if let fault = await session.startTLS(connection, endpoint) {
            error = fault
            return nil
        }
        parser = ReplyParser()
        return client.tlsStarted()
    }

    private func word(for ending: ClientSession.Ending) -> String {
        switch ending {
        case .quit:
            return "quit"
        case .refused(let reply), .lost(let reply):
            if client.channel == .plain, hasDecidedOnTLS, !session.isEstablished { session.refusedTLS(endpoint) }
            error = isProvingItself ? "AUTH: \(reply)" : "\(reply)"
            session.lost(reply)
            return "error"
        }
    }

    // MARK: Replies

    private func reply() async -> ClientSession.Action {
        let timeout = isContentSent ? RelaySession.verdictTimeout : RelaySession.replyTimeout
        while true {
            do {
                if var reply = try parser.next(in: connection) {
                    reply.host = endpoint.name
                    return client.receive(reply)
                }
                try await connection.read(timeoutMilliseconds: timeout)
            } catch ConnectionError.timedOut {
                return client.timedOut()
            } catch {
                return client.closed()
            }
        }
    }

    // MARK: Messages

    private func startNext() async -> ClientSession.Action {
        guard let next = await session.nextTask() else { return client.quit() }
        if session.hasMessages, connection.hasSpokenOrEnded {
            // The server went while we waited: no message has to suffer for that.
            session.giveBack(next)
            return client.closed()
        }
        task = next
        isContentSent = false
        conversion = nil
        var length = next.content.length
        var request = next.request
        if !client.offer.extensions.contains(.eightBitMIME) {
            do {
                switch try await SevenBitContent.examine(next.content) {
                case .plain: break
                case .inconvertible: return refuse(next, .needsEightBit)
                case .converted(let findings, let size):
                    conversion = findings
                    length = size
                    request.body = .sevenBit
                }
            } catch {
                return refuse(next, .unreadable(error))
            }
        }
        let recipients = next.recipients.map { ClientSession.Recipient($0.destination, report: $0.report) }
        var transaction = ClientSession.Transaction(
            sender: session.rewritten(next.sender), recipients: recipients, request: request,
            size: ByteCount(Int(clamping: length)))
        transaction.timeLeft = next.request.deadline.map { $0.time - SystemClock.now() }
        return client.start(transaction)
    }

    // The server is not even asked.
    private func refuse(_ task: RelayTask, _ reply: Reply) -> ClientSession.Action {
        let outcome = reply.isPermanent ? DeliveryOutcome.failed(reply) : .deferred(reply)
        return .finished(Array(repeating: outcome, count: task.recipients.count), then: .idle)
    }

    private func sendContent() async -> ClientSession.Action {
        guard let content = task?.content else { return client.contentUnavailable() }
        var encoder = DataEncoder()
        var reader = Content.Reader(content)
        var form = conversion.map { SevenBitForm($0) }
        isContentSent = true
        do {
            while let slice = try reader.next() {
                connection.write { encoder.encode(form.converted(slice).span, into: &$0) }
                try await connection.room(timeoutMilliseconds: RelaySession.replyTimeout)
            }
            if form != nil {
                var rest: [UInt8] = []
                form?.finish(into: &rest)
                connection.write { encoder.encode(rest.span, into: &$0) }
            }
        } catch let error as SystemError {
            self.error = "content: \(error)"
            return client.contentUnavailable()
        } catch {
            return interrupted(error)
        }
        connection.write { encoder.finish(into: &$0) }
        return client.contentSent()
    }

    private func sendChunk() async -> ClientSession.Action {
        guard let content = task?.content else { return client.contentUnavailable() }
        var reader = Content.Reader(content)
        isContentSent = true
        connection.write { $0.append("BDAT \(content.length) LAST\r\n") }
        do {
            while let slice = try reader.next() {
                connection.write(slice)
                try await connection.room(timeoutMilliseconds: RelaySession.replyTimeout)
            }
        } catch let error as SystemError {
            self.error = "content: \(error)"
            return client.contentUnavailable()
        } catch {
            return interrupted(error)
        }
        return client.contentSent()
    }

    // A server that takes no more of the content may have said why before it went.
    private func interrupted(_ error: any Error) -> ClientSession.Action {
        if connection.hasSpokenOrEnded, var reply = try? parser.next(in: connection) {
            reply.host = endpoint.name
            return client.receive(reply)
        }
        if case ConnectionError.timedOut = error { return client.timedOut() }
        return client.closed()
    }

    private func finish(_ outcomes: [DeliveryOutcome], _ then: ClientSession.Continuation) {
        guard let done = task else { return }
        task = nil
        // A kept session that dies before the content is no failure of the message: it gets a fresh one, once.
        if then.breaksOff, session.hasMessages, !isContentSent, !done.isSecondAttempt {
            session.giveBack(done)
            return
        }
        session.messageDone()
        let surplus = client.takeSurplus()
        for (index, (work, outcome)) in zip(done.recipients, outcomes).enumerated() where !surplus.contains(index) {
            session.decide(work, outcome, source: source, relay: endpoint.relayName)
        }
        if !surplus.isEmpty { session.goOn(with: done.rest(surplus)) }
        isContentSent = false
    }
}

extension ClientSession.Continuation {
    /// The server went, or said with 421 that it goes, as it does to those who stay too long.
    fileprivate var breaksOff: Bool {
        switch self {
        case .close(.lost), .close(.refused): true
        case .close(.quit), .idle, .send: false
        }
    }
}

extension Optional<SevenBitForm> {
    /// The bytes as they leave: as they are where there is nothing to convert.
    fileprivate mutating func converted(_ slice: [UInt8]) -> [UInt8] {
        guard self != nil else { return slice }
        var output: [UInt8] = []
        self?.take(slice.span, into: &output)
        return output
    }
}

extension Reply {
    // RFC 6152 section 3, RFC 3463 section 3.7
    fileprivate static let needsEightBit = Reply(
        554, EnhancedStatus(5, 6, 3), "Eight-bit content, which the next host does not take and nothing converts")

    fileprivate static func unreadable(_ error: any Error) -> Reply {
        Reply(451, EnhancedStatus(4, 3, 0), "Message content not available: \(error)")
    }
}
