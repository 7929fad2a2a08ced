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

/// One client: reads what it sends, does what its session says, and asks Lookup and Queue what the session asks.
final class SessionDriver {
    // Content goes to Queue in pieces of about this size.
    private static let chunkSize = 48 * 1024

    let number: SessionID
    /// The uid of a client on the submission socket.
    var localUser: UInt32?

    private let owner: ListenerProcess
    private let stream: any SessionStream
    private let address: IPAddress?
    private let statement: UInt16?
    private let serverName: Domain
    private let listener: ListenStatement
    private var session: ServerSession
    private var hostName = "localhost"
    private var isEnding = false

    private var message: MessageID?
    private var envelopes: UInt32 = 0
    // Counts those that were refused too: what Lookup stores late must not stand for another recipient.
    private var expansions: UInt32 = 0
    private var onlyRecipient: Mailbox?
    private var scanner = HeaderScanner()
    private var pieces: [MessagePiece] = []
    /// Why the content could not be kept, when Queue went away while it came.
    private var transferFailed = false
    private var lastCommand: [UInt8] = []

    init(
        _ owner: ListenerProcess, _ number: SessionID, stream: any SessionStream, address: IPAddress?,
        statement: UInt16?, serverName: Domain, listener: ListenStatement
    ) {
        self.owner = owner
        self.number = number
        self.stream = stream
        self.address = address
        self.statement = statement
        self.serverName = serverName
        self.listener = listener
        session = ServerSession(
            settings: ServerSession.Settings(serverName: serverName),
            client: ServerSession.Client(address: address, hostName: hostName))
    }

    /// Runs the session to its end.
    func run() async {
        if let address { hostName = await nameOfClient(address) }
        var settings = owner.settings
        settings.serverName = serverName
        if !listener.offersDeliveryNotices { settings.extensions.remove(.deliveryStatus) }
        let place = address.map { "\($0.hostText)" } ?? "local"
        owner.log.info("\(number) smtp connected address=\(place) host=\(VisibleText(hostName))")
        // Whoever of this host submits is named by the kernel, whatever the message says.
        if let localUser { owner.log.info("\(number) smtp event=submission uid=\(localUser)") }

        let isImmediate: Bool
        switch listener.encryption {
        case .none:
            isImmediate = false
        case .immediate:
            isImmediate = true
        case .offered:
            isImmediate = false
            settings.encryption = .offered
        case .required:
            isImmediate = false
            settings.encryption = .required
        }
        var client = ServerSession.Client(address: address, hostName: hostName)
        var security: ChannelSecurity?
        if isImmediate {
            security = await handshake()
            guard security != nil else { return await leave(nil) }
            client.transport = .tls
        }
        session = ServerSession(settings: settings, client: client, security: security)
        var action = session.begin()
        while !session.isClosed {
            switch action {
            case .reply(let reply):
                say(reply)
                action = await nextCommand()
            case .rollback(let reply):
                rollback()
                say(reply)
                action = await nextCommand()
            case .ask(let question):
                let answer = await self.answer(question)
                action = session.answer(answer)
            case .startData(let reply):
                say(reply)
                action = await receiveContent()
            case .startTLS(let reply):
                say(reply)
                action =
                    if let security = await handshake() { session.tlsStarted(security) } else { session.tlsFailed() }
            case .awaitCommand:
                action = await nextCommand()
            case .close:
                break
            }
        }
        rollback()
        if case .close(let reply?) = action { await leave(reply) } else { await leave(nil) }
    }

    private func leave(_ reply: Reply?) async {
        if let reply { say(reply) }
        await stream.finish()
        owner.log.info("\(number) smtp disconnected reason=\(endReason)")
    }

    /// What protects the session from now on; nil when the handshake came to nothing, and with it the session.
    private func handshake() async -> ChannelSecurity? {
        guard let statement, let tls = owner.tls, let context = tls.context(of: statement) else { return nil }
        do throws(TLSFault) {
            let security = try await stream.startTLS(context, tls.keys)
            owner.counters.add("smtp.tls")
            owner.log.info("\(number) smtp tls ciphers=\(security.version):\(security.cipher):\(security.bits)")
            if case .verified(let certificate) = security.clientCertificate {
                owner.log.info(
                    "\(number) smtp cert-check result=\"verified\" fingerprint=\"SHA256:\(certificate.fingerprint)\"")
            }
            return security
        } catch {
            endReason = error.isDisconnection ? "disconnect" : "tls-accept-failed"
            if !error.isDisconnection {
                owner.counters.add("smtp.tls.failed")
                owner.log.info("\(number) smtp tls error=\"\(VisibleText(error.description))\"")
            }
            return nil
        }
    }

    /// The server stops: a session between two transactions ends now, another one after its message.
    func endSoon() {
        isEnding = true
        if session.transaction == nil { stream.interrupt() }
    }

    private var endReason = "quit"

    // MARK: Input

    private func nextCommand() async -> ServerSession.Action {
        while true {
            var line: [UInt8] = []
            let framing = stream.withInput { input in
                let framing = session.nextLine(in: input)
                if case .line(let length, _) = framing { line = input.extracting(first: length).array }
                return framing
            }
            switch framing {
            case .line(_, let consumed):
                if isEnding, session.transaction == nil { return end("shutdown", session.shutDown()) }
                stream.consume(consumed)
                lastCommand = line
                return session.receive(line.span, waiting: stream.available)
            case .violation(let violation):
                return end("bad-input", session.receive(violation))
            case .incomplete:
                do {
                    try await stream.room()
                    try await stream.read()
                } catch {
                    return lost(error)
                }
            }
        }
    }

    private func receiveContent() async -> ServerSession.Action {
        var decoder = session.makeDecoder()
        var chunk: [UInt8] = []
        scanner = HeaderScanner()
        transferFailed = false
        while true {
            var consumed = 0
            var isFinished = false
            stream.withInput { input in
                (consumed, isFinished) = decoder.decode(input, into: &chunk)
            }
            stream.consume(consumed)
            if chunk.count >= Self.chunkSize || isFinished {
                // Behind a violation nothing of the message is of use.
                if decoder.findings.violation == nil { await keep(chunk) }
                chunk.removeAll(keepingCapacity: true)
            }
            if isFinished { break }
            do {
                try await stream.read()
            } catch {
                return lost(error)
            }
        }
        lastCommand = [.dot]
        return session.receive(endOfData: decoder.findings, waiting: stream.available)
    }

    private func keep(_ chunk: [UInt8]) async {
        guard let message, !transferFailed else { return }
        if !scanner.isEnded { scanner.scan(chunk.span) }
        do {
            try await owner.queue.send(chunk, of: message)
        } catch {
            transferFailed = true
        }
    }

    private func lost(_ error: ConnectionError) -> ServerSession.Action {
        switch error {
        case .timedOut: return end("timeout", session.timedOut())
        case .ended: return end("disconnect", session.disconnected())
        case .failed(let error): return end("io-error: \(error)", session.disconnected())
        case .broken(let reason): return end("io-error: \(reason)", session.disconnected())
        case .closed: return end("shutdown", session.shutDown())
        }
    }

    private func end(_ reason: String, _ action: ServerSession.Action) -> ServerSession.Action {
        endReason = reason
        return action
    }

    // MARK: Output

    private func say(_ reply: Reply) {
        stream.write(reply)
        if reply.isTemporary || reply.isPermanent {
            let command = VisibleText(lastCommand)
            owner.log.info(
                "\(number) smtp failed-command command=\"\(command)\" result=\"\(VisibleText(reply.description))\"")
        }
    }

    private func rollback() {
        if let message { owner.queue.rollback(message) }
        forgetTransaction()
    }

    private func forgetTransaction() {
        message = nil
        envelopes = 0
        expansions = 0
        onlyRecipient = nil
        pieces = []
    }

    // MARK: Questions

    private func answer(_ question: ServerSession.Question) async -> ServerSession.Answer {
        switch question {
        case .connect, .greeting, .startTLS, .data, .reset, .noop, .quit:
            return .proceed
        case .mail:
            return await beginTransaction()
        case .recipient(let number, let recipient, let report):
            return await expand(number, recipient, report)
        case .endOfData(let findings):
            return await commit(findings)
        }
    }

    private func beginTransaction() async -> ServerSession.Answer {
        forgetTransaction()
        do {
            message = try await owner.queue.takeID()
            return .proceed
        } catch {
            return .disconnect(.temporaryFailure)
        }
    }

    private func expand(_ number: Int, _ recipient: Mailbox, _ report: ReportRequest) async -> ServerSession.Answer {
        guard let message, let transaction = session.transaction else { return .disconnect(.temporaryFailure) }
        defer { expansions += 1 }
        let request = ExpansionRequest(
            message: message, number: expansions, sender: transaction.sender, recipient: recipient,
            report: report, statement: statement, origin: origin, isAuthenticated: address == nil,
            isSecure: session.isSecure)
        do {
            switch try await owner.lookup.request(.expand(request)) {
            case .accepted(let count):
                let (total, overflow) = envelopes.addingReportingOverflow(count)
                guard !overflow else { return .disconnect(.temporaryFailure) }
                envelopes = total
                onlyRecipient = number == 0 ? recipient : nil
                return .proceed
            case .refused(let reply):
                return .refuse(reply)
            }
        } catch {
            // Whether it was stored is not known, and so not what a commit would be for.
            return .disconnect(.temporaryFailure)
        }
    }

    private func commit(_ findings: ContentFindings) async -> ServerSession.Answer {
        guard let message, let transaction = session.transaction, !transferFailed else {
            return .disconnect(.temporaryFailure)
        }
        scanner.finish()
        guard scanner.findings.fault == nil else { return .refuse(.notCompliant) }
        let identifier = scanner.findings.messageID ?? newMessageID()
        let request = CommitRequest(
            message: message, session: number, envelopes: envelopes,
            pieces: messagePieces(message, contentCount: findings.size.value, messageID: identifier),
            request: transaction.request, fingerprint: MessageFingerprint(of: identifier))
        let refusal: Reply?
        do {
            refusal = try await owner.queue.commit(request)
        } catch {
            // Whether it was kept is not known: the client tries again, at worst it comes twice.
            return .disconnect(.temporaryFailure)
        }
        if let refusal { return .refuse(refusal) }
        owner.log.info(
            "\(number) smtp message msgid=\(message) size=\(findings.size.value) nrcpt=\(transaction.recipients) "
                + "proto=\(session.protocolName)")
        owner.counters.add("smtp.message")
        // Spent: what comes now belongs to another transaction.
        forgetTransaction()
        return .accepted(message)
    }

    /// `messageID` is for a message that has none and must have one.
    private func messagePieces(_ message: MessageID, contentCount: Int, messageID: String) -> [MessagePiece] {
        let now = SystemClock.now()
        let zone = SystemClock.zone(at: now)
        let date = MailDate(now, offset: zone.offset, zone: zone.name)
        let trace = TraceField(
            client: listener.masksSource ? nil : TraceField.Client(origin), serverName: serverName,
            type: TraceField.TransmissionType(rawValue: session.protocolName) ?? .smtp, messageID: message,
            security: session.security, onlyRecipient: onlyRecipient, date: date)
        var head: [UInt8] = []
        trace.write(to: &head)
        let missing = completesHeader ? MissingFields(date: date, messageID: messageID) : nil
        return MessagePieces.list(scanner.findings, contentCount: contentCount, trace: head, missing: missing).map {
            switch $0 {
            case .bytes(let bytes): .bytes(bytes)
            case .range(let range): .range(offset: UInt64(range.lowerBound), length: UInt64(range.count))
            }
        }
    }

    // Programs of this host and submission leave the header unfinished; a relay must not touch what others wrote.
    private var completesHeader: Bool {
        address?.isLoopback ?? true || listener.port == 587 || listener.port == 465
    }

    private func newMessageID() -> String {
        "<\(Hexadecimal.text(Randomness.integer(UInt64.self), width: 16))@\(serverName)>"
    }

    private var origin: Origin {
        Origin(
            serverName: serverName, greeting: session.greeting ?? "unknown", hostName: hostName, address: address,
            tag: listener.tag)
    }

    private func nameOfClient(_ address: IPAddress) async -> String {
        switch await owner.names.name(of: address) {
        case .found(let name, _): name.text
        case .absent, .temporaryFailure: "<unknown>"
        }
    }
}

extension Reply {
    fileprivate static let temporaryFailure = Reply(421, EnhancedStatus(4, 3, 0), "Temporary failure")
    fileprivate static let notCompliant = Reply(
        550, EnhancedStatus(5, 7, 1),
        "Delivery not authorized, message refused: Message is not RFC 2822 compliant")
}
