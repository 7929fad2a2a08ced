// SPDX-License-Identifier: ISC

import Bytes
import Configuration
import Glibc
import IPC
import Mail
import Posix
import Reactor
import SMTP

/// What is said over one connection: a `ClientSession` fed with replies, its commands and the content written out.
final class RelayDialogue {
    private let session: RelaySession
    private let connection: Connection
    private let endpoint: Endpoint
    private let source: String
    private var client: ClientSession
    private var parser = ReplyParser()
    private var task: RelayTask?
    private var isContentSent = false
    /// Why it ended, where that was not our wish.
    private(set) var error: String?

    init(_ session: RelaySession, _ connection: Connection, _ endpoint: Endpoint, name: Domain, source: String) {
        self.session = session
        self.connection = connection
        self.endpoint = endpoint
        self.source = source
        client = ClientSession(name: name, dialect: endpoint.scheme == .lmtp ? .lmtp : .smtp)
    }

    /// Returns when nothing is left to say; the reason in a word.
    func run() async -> String {
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
            case .idle:
                session.establish(endpoint)
                action = await startNext()
            case .startTLS:
                return "error"
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

    private func word(for ending: ClientSession.Ending) -> String {
        switch ending {
        case .quit:
            return "quit"
        case .refused(let reply), .lost(let reply):
            error = "\(reply)"
            return "error"
        }
    }

    // MARK: Replies

    private func reply() async -> ClientSession.Action {
        let timeout = isContentSent ? RelaySession.verdictTimeout : RelaySession.replyTimeout
        while true {
            do {
                if let reply = try nextReply() { return client.receive(reply) }
                try await connection.read(timeoutMilliseconds: timeout)
            } catch ConnectionError.timedOut {
                return client.timedOut()
            } catch {
                return client.closed()
            }
        }
    }

    private func nextReply() throws(ReplyParser.Failure) -> Reply? {
        guard connection.available > 0 else { return nil }
        var result: Result<Reply?, ReplyParser.Failure> = .success(nil)
        let used = connection.withInput { input in
            var rest = input
            do throws(ReplyParser.Failure) {
                result = .success(try parser.next(from: &rest))
            } catch {
                result = .failure(error)
            }
            return input.count - rest.count
        }
        connection.consume(used)
        return try result.get()
    }

    // MARK: Messages

    private func startNext() async -> ClientSession.Action {
        guard let next = await session.nextTask() else { return client.quit() }
        if session.hasMessages, hasEnded {
            // The server went while we waited: no message has to suffer for that.
            session.giveBack(next)
            return client.closed()
        }
        task = next
        isContentSent = false
        let recipients = next.recipients.map { ClientSession.Recipient($0.destination, report: $0.report) }
        return client.start(
            ClientSession.Transaction(
                sender: session.rewritten(next.sender), recipients: recipients, request: next.request,
                size: ByteCount(Int(clamping: next.content.length))))
    }

    private var hasEnded: Bool {
        var byte: UInt8 = 0
        let count = recv(connection.number, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT))
        return count >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK)
    }

    private func sendContent() async -> ClientSession.Action {
        guard let content = task?.content else { return client.contentUnavailable() }
        var encoder = DataEncoder()
        var reader = Content.Reader(content)
        isContentSent = true
        do {
            while let slice = try reader.next() {
                connection.write { encoder.encode(slice.span, into: &$0) }
                try await connection.room(timeoutMilliseconds: RelaySession.replyTimeout)
            }
        } catch let error as SystemError {
            self.error = "content: \(error)"
            return client.contentUnavailable()
        } catch ConnectionError.timedOut {
            return client.timedOut()
        } catch {
            return client.closed()
        }
        connection.write { encoder.finish(into: &$0) }
        return client.contentSent()
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
        for (work, outcome) in zip(done.recipients, outcomes) {
            session.decide(work, outcome, source: source, relay: endpoint.relayName)
        }
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
