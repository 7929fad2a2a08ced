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
    static let chunkSize = 48 * 1024

    let number: SessionID
    /// The uid of a client on a Unix socket.
    var localUser: UInt32?
    /// It takes one of the places on the submission socket that its user has.
    var isCountedForUser = false
    /// Our end of the connection, where the name depends on it.
    var localAddress: IPAddress?

    let owner: ListenerProcess
    let stream: any SessionStream
    /// Of the client, or of the one that it speaks for.
    var address: IPAddress?
    let statement: UInt16?
    var serverName: Domain
    let listener: ListenStatement
    var session: ServerSession
    /// What the session wants.
    var action = ServerSession.Action.awaitCommand
    /// What protects it.
    var security: ChannelSecurity?
    var hostName = "localhost"
    /// The name is known without the DNS.
    var isNamed = false
    var isEnding = false

    var message: MessageID?
    var envelopes: UInt32 = 0
    // Counts those that were refused too: what Lookup stores late must not stand for another recipient.
    var expansions: UInt32 = 0
    var onlyRecipient: Mailbox?
    var hasInternationalRecipient = false
    var scanner = HeaderScanner()
    var chunks: ChunkDecoder?
    var pace = Pace()
    /// What the client is over when it does not come in the time for which it is waited; nil when it was only silent.
    var limitOfPatience: SessionLimit?
    var share = TurnShare()
    let started = Loop.milliseconds
    /// The Lookup that remembers who the client is; a later one knows nothing of it.
    var authority: Peer<LookupToListener, ListenerToLookup>?
    var transport = ServerSession.Client.Transport.direct
    var pieces: [MessagePiece] = []
    /// Why the content could not be kept, when Queue went away while it came.
    var transferFailed = false
    var lastCommand: [UInt8] = []
    /// What the client says may be what it would have said to prove itself.
    var hasTriedToAuthenticate = false

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
            guard await takeProxyHeader() else { return await stream.finish(.refused) }
        }
        if let address, address != direct || !address.isLoopback {
            if let excess = owner.ledger.open(address, at: Loop.milliseconds) {
                return await turnAway(excess)
            }
            await converse()
            owner.ledger.close(address)
        } else {
            await converse()
        }
    }

    // A session waits for most of its life, and what an asynchronous function holds while it waits is memory of each of
    // them: hence whatever is a value of some size is a property, and is handled where nothing waits. What is inlined would
    // be held as well.
    func converse() async {
        await findNames()
        tellOfClient()
        if case .immediate = listener.encryption {
            guard await handshake(.immediate) else { return await leave() }
        }
        open()
        while let step = nextStep() {
            switch step {
            case .command: await nextCommand()
            case .name: await findName()
            case .mechanisms: await findMechanisms()
            case .authentication: await authenticate()
            case .sender: await askForSender()
            case .recipient: await askForRecipient()
            case .commit: await askForCommit()
            case .content: await receiveContent()
            case .handshake: await startTLS()
            case .chunk: await receiveChunk()
            case .skipping: await skip()
            }
        }
        close()
        await leave()
    }

    @inline(never)
    func findNames() async {
        if let localAddress, let statement, let name = await nameOfListener(statement, localAddress) {
            serverName = name
        }
        if let address { hostName = await nameOfClient(address) }
    }

    @inline(never)
    func tellOfClient() {
        isNamed = true
        let place = address.map { "\($0.hostText)" } ?? "local"
        owner.log.info("\(number) smtp connected address=\(place) host=\(VisibleText(hostName))")
        // Whoever of this host submits is named by the kernel, whatever the message says.
        if let localUser { owner.log.info("\(number) smtp event=submission uid=\(localUser)") }
    }

    /// Begins the session with all that is known of the client.
    @inline(never)
    func open() {
        var settings = owner.settings
        settings.serverName = serverName
        if !listener.offersDeliveryNotices { settings.extensions.remove(.deliveryStatus) }
        settings.takesPriority = listener.takesPriority
        if listener.speaksLMTP { settings.dialect = .lmtp }
        if case .required = listener.authentication { settings.authentication = .required }
        // As a proxy says it: its clients do not inherit what it may.
        if let address {
            if listener.clientClaimsFrom.contains(where: { $0.matches(address.unmapped) }) {
                settings.extensions.insert(.clientClaims)
            }
            if listener.forwardClaimsFrom.contains(where: { $0.matches(address.unmapped) }) {
                settings.extensions.insert(.forwardClaims)
            }
        }
        switch listener.encryption {
        case .none, .immediate: break
        case .offered: settings.encryption = .offered
        case .required: settings.encryption = .required
        }
        let client = ServerSession.Client(
            address: address, hostName: hostName, transport: security == nil ? transport : .tls,
            trust: address == nil ? .submission : .none)
        session = ServerSession(settings: settings, client: client, security: security)
        session.now = SystemClock.now()
        action = session.begin()
    }

    /// What has to be waited for next.
    enum Step {
        case command
        case name
        case mechanisms
        case authentication
        case sender
        case recipient
        case commit
        case content
        case handshake
        case chunk
        case skipping
    }

    /// Does what the session wants at once; nil when it is over.
    @inline(never)
    func nextStep() -> Step? {
        while !session.isClosed {
            switch action {
            case .reply(let reply):
                say(reply)
                return .command
            case .rollback(let reply):
                rollback()
                say(reply)
                return .command
            case .startData(let reply):
                say(reply)
                return .content
            case .startTLS(let reply):
                say(reply)
                return .handshake
            case .ask(let question):
                switch answer(question) {
                case .now(let answer): give(answer)
                case .after(let step): return step
                }
            case .awaitCommand: return .command
            case .takeChunk: return .chunk
            case .skip: return .skipping
            case .close: return nil
            }
        }
        return nil
    }

    @inline(never)
    func close() {
        rollback()
        forgetAuthority()
        if case .close(let reply?) = action { say(reply) }
    }

    /// Lookup knows a user from the moment in which it found the proof right. When the client took it back, or became
    /// another one by XCLIENT, or had to be told something else since the answer came too late, it knows nobody anymore.
    func forgetAuthority() {
        if let authority, authority === owner.lookup.peer { authority.send(.ended(number)) }
        authority = nil
    }

    @inline(never)
    func startTLS() async {
        let isSecure = await handshake(.commanded)
        action = if isSecure, let security { session.tlsStarted(security) } else { session.tlsFailed() }
    }

    @inline(never)
    func leave() async {
        await stream.finish(hasQuit ? .agreed : .sudden)
        owner.log.info("\(number) smtp disconnected reason=\(endReason)")
    }

    /// False when the handshake came to nothing, and with it the session.
    @inline(never)
    func handshake(_ beginning: TLSBeginning) async -> Bool {
        guard let statement, let tls = owner.tls, let context = tls.context(of: statement) else { return false }
        do throws(TLSFault) {
            let security = try await stream.startTLS(context, tls.keys, beginning)
            owner.counters.add("smtp.tls")
            owner.log.info("\(number) smtp tls ciphers=\(security.version):\(security.cipher):\(security.bits)")
            if case .verified(let certificate) = security.clientCertificate {
                owner.log.info(
                    "\(number) smtp cert-check result=\"verified\" fingerprint=\"SHA256:\(certificate.fingerprint)\"")
            }
            self.security = security
            return true
        } catch {
            endReason = error.isDisconnection ? "disconnect" : "tls-accept-failed"
            if !error.isDisconnection {
                owner.counters.add("smtp.tls.failed")
                owner.log.info("\(number) smtp tls error=\"\(VisibleText(error.description))\"")
            }
            return false
        }
    }

    /// The server stops: a session between two transactions ends now, another one after its message.
    func endSoon() {
        isEnding = true
        if session.transaction == nil { stream.interrupt() }
    }

    var endReason = "quit"

    var hasQuit: Bool {
        // Shares the storage: the span of a property would hold all of `self`.
        let command = lastCommand
        return command.count >= 4 && command.span.extracting(first: 4).equalsCaseInsensitively("QUIT")
    }

    // MARK: Output

    func say(_ reply: Reply) {
        for _ in 0..<session.verdicts { stream.write(reply) }
        if reply.isTemporary || reply.isPermanent {
            if let limit = SessionLimit(toldBy: reply) { owner.counters.add("smtp.limit.\(limit.rawValue)") }
            let command = VisibleText(lastCommand)
            owner.log.info(
                "\(number) smtp failed-command command=\"\(command)\" result=\"\(VisibleText(reply.description))\"")
        }
    }

    func rollback() {
        if let message { owner.queue.rollback(message) }
        forgetTransaction()
    }

    func forgetTransaction() {
        message = nil
        envelopes = 0
        expansions = 0
        onlyRecipient = nil
        pieces = []
        chunks = nil
        hasInternationalRecipient = false
    }
}

extension Reply {
    static let temporaryFailure = Reply(421, EnhancedStatus(4, 3, 0), "Temporary failure")
    static let notAuthentic = Reply(535, EnhancedStatus(5, 7, 8), "Authentication failed")
    static let authenticationFails = Reply(
        454, EnhancedStatus(4, 7, 0), "Temporary authentication failure")
    static let notCompliant = Reply(
        550, EnhancedStatus(5, 7, 1),
        "Delivery not authorized, message refused: Message is not RFC 2822 compliant")
}
