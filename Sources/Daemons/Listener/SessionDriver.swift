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

    let owner: ListenerProcess
    let stream: any SessionStream
    /// Of the client, or of the one that it speaks for.
    private(set) var address: IPAddress?
    private let statement: UInt16?
    private let serverName: Domain
    let listener: ListenStatement
    private var session: ServerSession
    private var hostName = "localhost"
    /// The name is known without the DNS.
    private var isNamed = false
    private var isEnding = false

    private var message: MessageID?
    private var envelopes: UInt32 = 0
    // Counts those that were refused too: what Lookup stores late must not stand for another recipient.
    private var expansions: UInt32 = 0
    private var onlyRecipient: Mailbox?
    private var hasInternationalRecipient = false
    private var scanner = HeaderScanner()
    private var chunks: ChunkDecoder?
    private var pace = Pace()
    private let started = Loop.milliseconds
    /// The Lookup that remembers who the client is; a later one knows nothing of it.
    private var authority: Peer<LookupToListener, ListenerToLookup>?
    private var transport = ServerSession.Client.Transport.direct
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
        let direct = address
        if isProxied {
            guard await takeProxyHeader() else { return await stream.finish(.sudden) }
        }
        if let address, address != direct || !address.isLoopback {
            if let excess = owner.ledger.open(address, at: Loop.milliseconds) {
                return await turnAway(excess)
            }
            await converse(direct)
            owner.ledger.close(address)
        } else {
            await converse(direct)
        }
    }

    private func converse(_ direct: IPAddress?) async {
        var settings = owner.settings
        settings.serverName = serverName
        if !listener.offersDeliveryNotices { settings.extensions.remove(.deliveryStatus) }
        if listener.speaksLMTP { settings.dialect = .lmtp }
        if case .required = listener.authentication { settings.authentication = .required }
        if let direct {
            if listener.clientClaimsFrom.contains(where: { $0.matches(direct.unmapped) }) {
                settings.extensions.insert(.clientClaims)
            }
            if listener.forwardClaimsFrom.contains(where: { $0.matches(direct.unmapped) }) {
                settings.extensions.insert(.forwardClaims)
            }
        }
        if let address { hostName = await nameOfClient(address) }
        isNamed = true
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
        var client = ServerSession.Client(
            address: address, hostName: hostName, transport: transport, trust: address == nil ? .submission : .none)
        var security: ChannelSecurity?
        if isImmediate {
            security = await handshake()
            guard security != nil else { return await leave(nil) }
            client.transport = .tls
        }
        session = ServerSession(settings: settings, client: client, security: security)
        session.now = SystemClock.now()
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
                session.now = SystemClock.now()
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
            case .takeChunk(let size, let order, let place):
                action = await receiveChunk(size, order, place)
            case .skip(let size):
                action = await skip(size)
            case .close:
                break
            }
        }
        rollback()
        if let authority, authority === owner.lookup.peer { authority.send(.ended(number)) }
        if case .close(let reply?) = action { await leave(reply) } else { await leave(nil) }
    }

    private func leave(_ reply: Reply?) async {
        if let reply { say(reply) }
        await stream.finish(hasQuit ? .agreed : .sudden)
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

    private var hasQuit: Bool {
        // Shares the storage: the span of a property would hold all of `self`.
        let command = lastCommand
        return command.count >= 4 && command.span.extracting(first: 4).equalsCaseInsensitively("QUIT")
    }

    // MARK: Input

    private func nextCommand() async -> ServerSession.Action {
        // The whole line must come within the time, not each byte of it.
        let deadline = Loop.milliseconds + ListenerProcess.idleMilliseconds
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
                lastCommand = shown(line)
                session.now = SystemClock.now()
                return session.receive(line.span, waiting: stream.available)
            case .violation(let violation):
                return end("bad-input", session.receive(violation))
            case .incomplete:
                do {
                    try await stream.room()
                    let now = Loop.milliseconds
                    guard now < deadline else { return lost(.timedOut) }
                    let left = deadline - now
                    let stay = owner.limits.sessionMilliseconds
                    if stay > 0, session.transaction == nil {
                        guard now - started < stay else {
                            owner.counters.add("smtp.limit.session-time")
                            return lost(.timedOut)
                        }
                        try await stream.read(timeoutMilliseconds: min(left, stay - (now - started)))
                    } else {
                        try await stream.read(timeoutMilliseconds: left)
                    }
                } catch {
                    return lost(error)
                }
            }
        }
    }

    private func receiveContent() async -> ServerSession.Action {
        var decoder = session.makeDecoder()
        var chunk: [UInt8] = []
        beginContent()
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
                try await readContent()
            } catch {
                return lost(error)
            }
        }
        lastCommand = [.dot]
        session.now = SystemClock.now()
        return session.receive(endOfData: decoder.findings, waiting: stream.available)
    }

    private func receiveChunk(
        _ size: Int, _ order: ServerSession.ChunkOrder, _ place: Command.ChunkPlace
    ) async -> ServerSession.Action {
        if order == .first {
            chunks = session.makeChunkDecoder()
            beginContent()
        }
        guard var decoder = chunks else { return end("bad-input", session.disconnected()) }
        var left = size
        var content: [UInt8] = []
        while true {
            let count = min(left, stream.available)
            stream.withInput { input in decoder.decode(input.extracting(first: count), into: &content) }
            stream.consume(count)
            left -= count
            if content.count >= Self.chunkSize || left == 0 {
                if decoder.findings.violation == nil { await keep(content) }
                content.removeAll(keepingCapacity: true)
            }
            if left == 0 { break }
            do {
                try await readContent()
            } catch {
                return lost(error)
            }
        }
        if place == .last { decoder.finish() }
        chunks = decoder
        session.now = SystemClock.now()
        return session.receive(endOfChunk: decoder.findings)
    }

    private func skip(_ size: Int) async -> ServerSession.Action {
        var left = size
        pace = Pace()
        while true {
            let count = min(left, stream.available)
            stream.consume(count)
            left -= count
            if left == 0 { return session.skipped() }
            do {
                try await readContent()
            } catch {
                return lost(error)
            }
        }
    }

    private func beginContent() {
        scanner = HeaderScanner(addressFields: completesHeader ? .collected : .ignored)
        transferFailed = false
        pace = Pace()
    }

    // Time in which we do not read is not the client's.
    private func readContent() async throws(ConnectionError) {
        let allowed = pace.left(atLeast: owner.limits.bytesPerSecond)
        guard allowed > 0 else {
            owner.counters.add("smtp.limit.data-rate")
            throw .timedOut
        }
        let before = (time: Loop.milliseconds, bytes: stream.available)
        try await stream.read(timeoutMilliseconds: min(ListenerProcess.idleMilliseconds, allowed))
        pace.add(stream.available - before.bytes, milliseconds: Loop.milliseconds - before.time)
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

    // MARK: Who somebody is

    /// What of a line may be shown in the log.
    private func shown(_ line: [UInt8]) -> [UInt8] {
        if session.awaitsSecret { return Array("AUTH (response)".utf8) }
        var rest = line.span
        guard case .auth? = Verb(taking: &rest) else { return line }
        let mechanism = rest.take(while: { $0 != .space })
        return Array("AUTH \(VisibleText(mechanism.array.prefix(32).map { $0 })) (...)".utf8)
    }

    private func mechanisms() async -> [SASLMechanism] {
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

    private func authenticate(_ mechanism: SASLMechanism, _ claim: SASLClaim) async -> ServerSession.Answer {
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
        case .accepted, .offer, .permitted:
            return .disconnect(.temporaryFailure)
        }
    }

    // Every failure takes up to a second longer than it must, as in the reference.
    private static let longestPauseMilliseconds: UInt64 = 1000

    /// Logs how it ended, in the words that fail2ban knows; who has failed waits a little.
    private func told(
        _ answer: ServerSession.Answer, _ user: String, _ mechanism: SASLMechanism
    ) async -> ServerSession.Answer {
        let result: String
        switch answer {
        case .authenticated: result = "ok"
        case .refuse(let reply) where reply.isTemporary: result = "tempfail"
        case .refuse, .proceed, .accepted, .challenged, .disconnect: result = "permfail"
        }
        let place = address.map { $0.hostText } ?? "local"
        owner.log.info(
            "\(number) smtp authentication user=\(VisibleText(user)) result=\(result) address=\(place) "
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
    private func certifiedUser(_ wanted: String?) -> String? {
        guard case .verified(let certificate)? = session.security?.clientCertificate else { return nil }
        let names = certificate.addresses + (certificate.commonName.map { [$0] } ?? [])
        guard let wanted else { return names.first }
        return names.contains(wanted) ? wanted : nil
    }

    /// What a user may not write as.
    private func refusal(of sender: ReversePath) async -> ServerSession.Answer? {
        guard listener.senders != nil, let statement else { return nil }
        guard let answer = try? await owner.lookup.request(.sender(number, statement: statement, sender)) else {
            return .disconnect(.temporaryFailure)
        }
        switch answer {
        case .permitted: return nil
        case .refused(let reply): return .refuse(reply)
        case .accepted, .authenticated, .challenge, .offer: return .disconnect(.temporaryFailure)
        }
    }

    // MARK: Those who speak for others

    private var isProxied: Bool {
        guard let address else { return false }
        return listener.expectsProxyHeader || listener.proxiesFrom.contains { $0.matches(address.unmapped) }
    }

    /// False when none comes, or none that can be read: then nobody knows whom the session would be with.
    private func takeProxyHeader() async -> Bool {
        let deadline = Loop.milliseconds + ListenerProcess.idleMilliseconds
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

    private func turnAway(_ excess: ClientLedger.Excess) async {
        let reply = count(excess)
        let place = address.map { $0.hostText } ?? "local"
        owner.log.info("\(number) smtp refused address=\(place) result=\"\(VisibleText(reply.description))\"")
        stream.write(reply)
        await stream.finish(.sudden)
    }

    private func count(_ excess: ClientLedger.Excess) -> Reply {
        owner.counters.add("smtp.limit.\(excess.rawValue)")
        return excess.reply
    }

    private func isTimely(_ recipient: Mailbox) -> Bool {
        guard let address else { return true }
        return owner.ledger.recipient(address, at: Loop.milliseconds) == nil
    }

    private func take(_ claim: ClientClaim) {
        if case .known(let claimed) = claim.address {
            address = claimed
            hostName = "<unknown>"
            isNamed = false
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

    private static func text(of claim: ClientClaim) -> String {
        var text = ""
        if case .known(let address) = claim.address { text += " address=\(address.hostText)" }
        if case .known(let name) = claim.name { text += " host=\(VisibleText(name.text))" }
        if case .known(let greeting) = claim.greeting { text += " helo=\(VisibleText(greeting.text))" }
        if let identifier = claim.identifier { text += " ident=\"\(VisibleText(identifier))\"" }
        return text
    }

    // MARK: Output

    private func say(_ reply: Reply) {
        for _ in 0..<session.verdicts { stream.write(reply) }
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
        chunks = nil
        hasInternationalRecipient = false
    }

    // MARK: Questions

    private func answer(_ question: ServerSession.Question) async -> ServerSession.Answer {
        switch question {
        case .connect:
            if let address, !isNamed { hostName = await nameOfClient(address) }
            return .proceed
        case .greeting:
            if session.isSecure, session.user == nil { session.mechanisms = await mechanisms() }
            return .proceed
        case .startTLS, .data, .reset, .noop, .quit:
            return .proceed
        case .authenticate(let mechanism, let claim):
            return await authenticate(mechanism, claim)
        case .client(let claim):
            take(claim)
            return .proceed
        case .forward(let claim):
            owner.log.info("\(number) smtp event=xforward\(Self.text(of: claim))")
            return .proceed
        case .mail(let sender, _, _):
            if let address, let excess = owner.ledger.message(address, at: Loop.milliseconds) {
                return .refuse(count(excess))
            }
            if session.user != nil, let refusal = await refusal(of: sender) { return refusal }
            return await beginTransaction()
        case .recipient(_, let recipient, _) where owner.ledger.limits.recipientRate > 0 && !isTimely(recipient):
            return .refuse(count(.recipients))
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
        guard session.user == nil || authority === owner.lookup.peer else {
            // Whoever took the place of the one that knew the client would take us for a liar.
            return .disconnect(.temporaryFailure)
        }
        guard let message, let transaction = session.transaction else { return .disconnect(.temporaryFailure) }
        defer { expansions += 1 }
        let request = ExpansionRequest(
            session: self.number, message: message, number: expansions, sender: transaction.sender,
            recipient: recipient,
            report: report, statement: statement, origin: origin, isAuthenticated: session.isAuthenticated,
            isSecure: session.isSecure)
        do {
            switch try await owner.lookup.request(.expand(request)) {
            case .accepted(let count):
                let (total, overflow) = envelopes.addingReportingOverflow(count)
                guard !overflow else { return .disconnect(.temporaryFailure) }
                envelopes = total
                onlyRecipient = number == 0 ? recipient : nil
                if !recipient.isASCII { hasInternationalRecipient = true }
                return .proceed
            case .refused(let reply):
                return .refuse(reply)
            case .authenticated, .challenge, .offer, .permitted:
                return .disconnect(.temporaryFailure)
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
        var request = transaction.request
        // A client may announce what it does not use; then the next host need not know of it.
        request.isInternational = request.isInternational && needsInternationalMail(transaction)
        let commit = CommitRequest(
            message: message, session: number, envelopes: envelopes,
            pieces: messagePieces(message, contentCount: findings.size.value, request, messageID: identifier),
            request: request, fingerprint: MessageFingerprint(of: identifier))
        let refusal: Reply?
        do {
            refusal = try await owner.queue.commit(commit)
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

    private func needsInternationalMail(_ transaction: ServerSession.Transaction) -> Bool {
        scanner.findings.isInternational || hasInternationalRecipient
            || !(transaction.sender.mailbox?.isASCII ?? true)
    }

    /// `messageID` is for a message that has none and must have one.
    private func messagePieces(
        _ message: MessageID, contentCount: Int, _ request: MessageRequest, messageID: String
    ) -> [MessagePiece] {
        let now = SystemClock.now()
        let zone = SystemClock.zone(at: now)
        let date = MailDate(now, offset: zone.offset, zone: zone.name)
        let authentication: TraceField.Authentication
        if listener.showsAuthentication, session.isSecure {
            authentication = session.user.map { .user($0) } ?? .none
        } else {
            authentication = .untold
        }
        let trace = TraceField(
            client: listener.masksSource ? nil : TraceField.Client(origin), serverName: serverName,
            type: transmissionType(request), messageID: message,
            security: session.security, authentication: authentication, onlyRecipient: onlyRecipient, date: date)
        var head: [UInt8] = []
        trace.write(to: &head)
        let missing = completesHeader ? MissingFields(date: date, messageID: messageID) : nil
        return MessagePieces.list(
            scanner.findings, contentCount: contentCount, trace: head, missing: missing,
            replacements: rewrittenFields()
        ).map {
            switch $0 {
            case .bytes(let bytes): .bytes(bytes)
            case .range(let range): .range(offset: UInt64(range.lowerBound), length: UInt64(range.count))
            }
        }
    }

    /// What submission makes of addresses in the header: those without a domain get ours, and From may have to be true.
    private func rewrittenFields() -> [(range: Range<Int>, bytes: [UInt8])] {
        var author: Mailbox?
        if session.user != nil, case .masquerade? = listener.senders?.treatment {
            author = session.transaction?.sender.mailbox
        }
        return scanner.findings.addressFields.compactMap { field in
            if field.kind == .from, let author { return field.masqueraded(as: author).map { (field.range, $0) } }
            return field.completed(with: serverName).map { (field.range, $0) }
        }
    }

    private func transmissionType(_ request: MessageRequest) -> TraceField.TransmissionType {
        var type: TraceField.TransmissionType
        switch session.greetingVerb {
        case .helo: type = .smtp
        case .ehlo: type = .esmtp
        case .lhlo: type = TraceField.TransmissionType(.lmtp)
        }
        type.isSecure = session.isSecure
        type.isAuthenticated = session.user != nil
        type.isInternational = request.isInternational
        return type
    }

    // Programs of this host and submission leave the header unfinished; a relay must not touch what others wrote.
    private var completesHeader: Bool {
        address?.isLoopback ?? true || session.user != nil || listener.port == 587 || listener.port == 465
    }

    private func newMessageID() -> String {
        "<\(Hexadecimal.text(Randomness.integer(UInt64.self), width: 16))@\(serverName)>"
    }

    private var origin: Origin {
        Origin(
            serverName: serverName, greeting: session.greeting ?? "unknown", hostName: hostName, address: address,
            tag: listener.tag, user: session.user)
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
    fileprivate static let notAuthentic = Reply(535, EnhancedStatus(5, 7, 8), "Authentication failed")
    fileprivate static let authenticationFails = Reply(
        454, EnhancedStatus(4, 7, 0), "Temporary authentication failure")
    fileprivate static let notCompliant = Reply(
        550, EnhancedStatus(5, 7, 1),
        "Delivery not authorized, message refused: Message is not RFC 2822 compliant")
}
