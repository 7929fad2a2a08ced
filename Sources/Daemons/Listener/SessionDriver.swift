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
    let started = Loop.milliseconds
    /// The Lookup that remembers who the client is; a later one knows nothing of it.
    var authority: Peer<LookupToListener, ListenerToLookup>?
    var transport = ServerSession.Client.Transport.direct
    var pieces: [MessagePiece] = []
    /// Why the content could not be kept, when Queue went away while it came.
    var transferFailed = false
    var lastCommand: [UInt8] = []

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

    func converse(_ direct: IPAddress?) async {
        var settings = owner.settings
        if let localAddress, let statement, let name = await nameOfListener(statement, localAddress) {
            serverName = name
        }
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
            security = await handshake(.immediate)
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
                let security = await handshake(.commanded)
                action = security.map { session.tlsStarted($0) } ?? session.tlsFailed()
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

    func leave(_ reply: Reply?) async {
        if let reply { say(reply) }
        await stream.finish(hasQuit ? .agreed : .sudden)
        owner.log.info("\(number) smtp disconnected reason=\(endReason)")
    }

    /// What protects the session from now on; nil when the handshake came to nothing, and with it the session.
    func handshake(_ beginning: TLSBeginning) async -> ChannelSecurity? {
        guard let statement, let tls = owner.tls, let context = tls.context(of: statement) else { return nil }
        do throws(TLSFault) {
            let security = try await stream.startTLS(context, tls.keys, beginning)
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
