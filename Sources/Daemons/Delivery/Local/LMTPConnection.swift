// SPDX-License-Identifier: ISC

import Bytes
import Channel
import Configuration
import IPC
import Mail
import Posix
import Reactor
import SMTP

/// One connection to an LMTP server, from Parent's socket to the last message: a `ClientSession` fed with replies, its
/// commands and the content written out.
final class LMTPConnection {
    private static let connectMilliseconds: UInt64 = 30_000
    // The reference's limit.
    private static let replyMilliseconds: UInt64 = 300_000
    // A name has few addresses.
    private static let mostAddresses: UInt8 = 8

    private unowned let line: LMTPLine
    private let id = SessionID(Randomness.integer())
    private var client: ClientSession
    private var parser = ReplyParser()
    private var task: LMTPTask?
    private var isContentSent = false
    private var messages = 0
    private var waiter: UnsafeContinuation<Void, Never>?
    private let idleTimer = Timer()
    /// The server has greeted us and taken our greeting.
    private(set) var isEstablished = false

    init(_ line: LMTPLine) {
        self.line = line
        client = ClientSession(name: line.process.serverName, dialect: .lmtp)
    }

    /// Returns when nothing is left to say; why not even the greeting was had, if so.
    func run() async -> DeliveryOutcome? {
        var failure = DeliveryOutcome.deferred(.noServer)
        for skipping in 0..<Self.mostAddresses {
            switch await connect(skipping: skipping) {
            case .connected(let descriptor):
                let connection = Connection(FileDescriptor(owning: descriptor))
                defer { connection.close() }
                let ending = await converse(over: connection)
                return isEstablished ? nil : .deferred(ending ?? .noServer)
            case .failed(let outcome):
                failure = outcome
            case .refused(let outcome):
                // The last address has told the last reason.
                return skipping == 0 ? outcome : failure
            }
        }
        return failure
    }

    private enum Attempt {
        /// The number of a descriptor that is the caller's now.
        case connected(Int32)
        /// This address does not answer.
        case failed(DeliveryOutcome)
        case refused(DeliveryOutcome)
    }

    private func connect(skipping: UInt8) async -> Attempt {
        do {
            let wanted = LocalToParent.connection(action: line.key.action, user: line.user, skipping: skipping)
            let answer = try await line.process.parent.current().requestDescriptor(wanted)
            let message = answer.message
            guard let descriptor = answer.takeDescriptor() else {
                if case .refused(let outcome) = message { return .refused(outcome) }
                return .refused(.deferred(.noServer))
            }
            do throws(SystemError) {
                try await Dialing.finish(descriptor, timeoutMilliseconds: Self.connectMilliseconds)
            } catch {
                return .failed(.deferred(Reply(451, EnhancedStatus(4, 4, 1), "LMTP server: \(error)")))
            }
            return .connected(descriptor.release())
        } catch {
            return .refused(.deferred(.noServer))
        }
    }

    // MARK: The dialogue

    /// The server's last word, where it has ended the dialogue.
    private func converse(over connection: Connection) async -> Reply? {
        var action = client.begin()
        while true {
            switch action {
            case .wait:
                action = await reply(from: connection)
            case .send(let bytes):
                connection.write(bytes)
                action = await reply(from: connection)
            case .sendContent:
                action = await sendContent(over: connection)
            case .sendChunk:
                action = await sendChunk(over: connection)
            case .idle:
                establish()
                action = await startNext(over: connection)
            case .finished(let outcomes, let then):
                finish(outcomes, then)
                switch then {
                case .idle: action = .idle
                case .send(let bytes): action = .send(bytes)
                case .close(let ending): action = .close(ending)
                }
            case .close(.refused(let reply)), .close(.lost(let reply)):
                return reply
            case .close(.quit), .startTLS, .makeKey:
                return nil
            }
        }
    }

    private func establish() {
        guard !isEstablished else { return }
        isEstablished = true
        line.established()
    }

    private func reply(from connection: Connection) async -> ClientSession.Action {
        while true {
            do {
                if let reply = try parser.next(in: connection) { return client.receive(reply) }
                try await connection.read(timeoutMilliseconds: Self.replyMilliseconds)
            } catch ConnectionError.timedOut {
                return client.timedOut()
            } catch {
                return client.closed()
            }
        }
    }

    private func startNext(over connection: Connection) async -> ClientSession.Action {
        guard let next = await nextTask() else { return client.quit() }
        guard messages == 0 || !connection.hasSpokenOrEnded else {
            // The server went while we waited: no message has to suffer for that.
            line.giveBack(next)
            return client.closed()
        }
        task = next
        isContentSent = false
        let first = next.jobs[0]
        return client.start(
            ClientSession.Transaction(
                sender: first.work.sender, recipients: next.jobs.map(recipient), request: first.request,
                size: ByteCount(Int(clamping: first.content.length + UInt64(Self.fields(above: next).count)))))
    }

    private func recipient(of job: LocalJob) -> ClientSession.Recipient {
        switch line.recipient {
        case .address:
            return ClientSession.Recipient(job.work.destination, report: job.work.report)
        case .user:
            // A user's name that is none of an address is left to the server's judgement of the address.
            guard let name = LocalPart(job.user) else {
                return ClientSession.Recipient(job.work.destination, report: job.work.report)
            }
            return ClientSession.Recipient(
                Mail.Mailbox(name, at: job.work.destination.domain), form: .localPart, report: job.work.report)
        }
    }

    /// The next message; nil when the connection should end. Waits a while for one.
    private func nextTask() async -> LMTPTask? {
        if let task = line.take() { return task }
        guard line.mayKeep, messages > 0 else { return nil }
        await withUnsafeContinuation { continuation in
            waiter = continuation
            line.park(self)
            idleTimer.start(afterMilliseconds: LMTPLine.keptTime) { [weak self] in
                guard let self else { return }
                line.unpark(self)
                wake()
            }
        }
        return line.take()
    }

    /// Ends the wait for a message.
    func wake() {
        idleTimer.stop()
        let waiting = waiter
        waiter = nil
        waiting?.resume()
    }

    private func sendContent(over connection: Connection) async -> ClientSession.Action {
        guard let task, let content = task.jobs.first?.content else { return client.contentUnavailable() }
        var encoder = DataEncoder()
        var reader = Content.Reader(content)
        isContentSent = true
        do {
            let fields = Self.fields(above: task)
            connection.write { encoder.encode(fields.span, into: &$0) }
            while let slice = try reader.next() {
                connection.write { encoder.encode(slice.span, into: &$0) }
                try await connection.room(timeoutMilliseconds: Self.replyMilliseconds)
            }
        } catch let error as SystemError {
            line.process.child.log.warning("content of a message cannot be read: \(error)")
            return client.contentUnavailable()
        } catch {
            return interrupted(connection, error)
        }
        connection.write { encoder.finish(into: &$0) }
        return client.contentSent()
    }

    /// The same for content that is not lines (RFC 3030).
    private func sendChunk(over connection: Connection) async -> ClientSession.Action {
        guard let task, let content = task.jobs.first?.content else { return client.contentUnavailable() }
        var reader = Content.Reader(content)
        isContentSent = true
        let fields = Self.fields(above: task)
        connection.write {
            $0.append("BDAT \(content.length + UInt64(fields.count)) LAST\r\n")
            $0 += fields
        }
        do {
            while let slice = try reader.next() {
                connection.write(slice)
                try await connection.room(timeoutMilliseconds: Self.replyMilliseconds)
            }
        } catch let error as SystemError {
            line.process.child.log.warning("content of a message cannot be read: \(error)")
            return client.contentUnavailable()
        } catch {
            return interrupted(connection, error)
        }
        return client.contentSent()
    }

    // A server that takes no more of the content may have said why before it went.
    private func interrupted(_ connection: Connection, _ error: any Error) -> ClientSession.Action {
        if connection.hasSpokenOrEnded, let reply = try? parser.next(in: connection) { return client.receive(reply) }
        if case ConnectionError.timedOut = error { return client.timedOut() }
        return client.closed()
    }

    /// What a delivery puts above the header. Recipients who were addressed in different ways must not learn of each
    /// other: then the field that says how is left to the server.
    private static func fields(above task: LMTPTask) -> [UInt8] {
        guard let first = task.jobs.first?.work else { return [] }
        var text = first.sender.mailbox.map { "Return-Path: <\($0)>\r\n" } ?? ""
        if task.jobs.allSatisfy({ $0.work.recipient == first.recipient }) {
            text += "Delivered-To: \(first.recipient)\r\n"
        }
        return Array(text.utf8)
    }

    private func finish(_ outcomes: [DeliveryOutcome], _ then: ClientSession.Continuation) {
        guard let done = task else { return }
        task = nil
        // A kept connection that dies before the content is no failure of the message: it gets a fresh one, once.
        if messages > 0, !isContentSent, !done.isSecondAttempt, then.isBroken { return line.giveBack(done) }
        messages += 1
        let surplus = client.takeSurplus()
        for (index, (job, outcome)) in zip(done.jobs, outcomes).enumerated() where !surplus.contains(index) {
            line.process.decide(job, outcome, id)
        }
        if !surplus.isEmpty { line.goOn(with: done.rest(surplus)) }
    }
}

extension ClientSession.Continuation {
    fileprivate var isBroken: Bool {
        switch self {
        case .close(.lost), .close(.refused): true
        case .close(.quit), .idle, .send: false
        }
    }
}

extension Reply {
    fileprivate static let noServer = Reply(451, EnhancedStatus(4, 4, 1), "No connection to the LMTP server")
}
