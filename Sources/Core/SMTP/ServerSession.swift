// SPDX-License-Identifier: ISC

public import Bytes
public import Mail

/// The server's side of one SMTP session (RFC 5321), without its sockets.
///
/// The driver reports an event and does the one action that comes back. At every phase the session asks a question
/// first, so that filters, Lookup and Queue can refuse; while a question is open the driver reads no further line, only
/// a timeout or the end may come. A syntax error or a command out of place is answered at once; nobody is asked.
///
/// ```
/// initial -begin-> asking -> ready <-MAIL/RSET, end of data-> transaction -DATA-> content -> ready
///                            ready -STARTTLS-> handshake -> ready
///                                                             transaction <-BDAT-> chunk -BDAT LAST-> ready
/// ```
/// A transaction is opened by an accepted MAIL and by nothing else. It ends with its content, with RSET, with a new HELO
/// or EHLO, or with the session; when it ends without being accepted the driver is told: `.rollback` or `.close`.
public struct ServerSession: Sendable {
    enum State: Sendable {
        case initial
        /// A command may come; no transaction is open.
        case ready
        case transaction(Transaction)
        /// The content of a message comes.
        case content(Transaction)
        /// A part of the content comes, of known length.
        case chunk(Transaction, Command.ChunkPlace)
        /// A chunk that nobody wants comes; then this is said.
        case skipping(Reply, Transaction?)
        case asking(Pending)
        /// AUTH goes on; a response is due.
        case authenticating(SASLExchange)
        /// The user is known; the client has still to take note of the server's own proof.
        case confirming(user: String)
        /// STARTTLS was answered with 220; the client begins TLS.
        case handshake
        case closed
    }

    /// The question that is open, with what its answer needs.
    enum Pending: Sendable {
        case connect
        case greeting(String, GreetingVerb, Transaction?)
        case startTLS
        case mail(Transaction)
        case recipient(Transaction)
        case data(Transaction)
        case chunk(Transaction, size: Int, Command.ChunkPlace)
        case endOfData(Transaction)
        case reset(Transaction?)
        case noop(Transaction?)
        case quit(Transaction?)
        case client(ClientClaim)
        case forward(Transaction?)
        case auth(SASLExchange)
    }

    public enum GreetingVerb: Hashable, Sendable {
        case helo
        case ehlo
        /// RFC 2033
        case lhlo
    }

    /// What one message has gathered so far.
    public struct Transaction: Hashable, Sendable {
        public let sender: ReversePath
        public let request: MessageRequest
        /// What SIZE announced, when it did.
        public let announcedSize: ByteCount?
        /// How many recipients were accepted.
        public internal(set) var recipients = 0
        /// It has another priority than it asked for.
        var isPriorityChanged = false
        /// Content has come, in chunks.
        public internal(set) var isChunked = false
    }

    public enum Action: Hashable, Sendable {
        /// Send it; a command comes next.
        case reply(Reply)
        /// Undo what was begun for the transaction, then send; a command comes next.
        case rollback(Reply)
        /// Find the answer and report it.
        case ask(Question)
        /// Send it, then give all that comes to a decoder of `makeDecoder()` until it is finished.
        case startData(Reply)
        /// Send it in plain text, then begin TLS as a server, provided that no byte is left over behind the command;
        /// then report `tlsStarted` or `tlsFailed`.
        case startTLS(Reply)
        /// Send nothing; a command comes next.
        case awaitCommand
        /// Give the next `size` bytes to a decoder, which is a new one of `makeChunkDecoder()` for the first chunk, and then
        /// report `receive(endOfChunk:)`.
        case takeChunk(size: Int, ChunkOrder, Command.ChunkPlace)
        /// Leave out so many bytes, then report `skipped()`.
        case skip(Int)
        /// Undo what is open, send the reply, if any, and close.
        case close(Reply?)
    }

    public enum ChunkOrder: Hashable, Sendable {
        case first
        case later
    }

    public enum Question: Hashable, Sendable {
        /// Asked again when XCLIENT has said who the client is.
        case connect
        case greeting(String, GreetingVerb)
        case startTLS
        /// `.proceed` opens the transaction.
        case mail(ReversePath, MessageRequest, announcedSize: ByteCount?)
        /// `number` counts the accepted recipients of the transaction from 0.
        case recipient(number: Int, Mailbox, ReportRequest)
        case data
        /// The content is complete and free of violations; only `.accepted` makes the message ours.
        case endOfData(ContentFindings)
        case reset
        case noop
        case quit
        /// XCLIENT: the client speaks for another from now on.
        case client(ClientClaim)
        /// AUTH: who the client says it is, with its proof.
        case authenticate(SASLMechanism, SASLClaim)
        /// XFORWARD: whence the host that speaks to us has the next message, for the log.
        case forward(ClientClaim)
    }

    public enum Answer: Hashable, Sendable {
        case proceed
        /// To `.endOfData` only: the message is stored.
        case accepted(MessageID)
        /// To `.authenticate` only: so it is; `proof` is what the server proves in its turn, empty where it need not.
        case authenticated(user: String, proof: [UInt8])
        /// To the first claim of SCRAM only.
        case challenged(ScramChallenge)
        /// Must be a 4xx or 5xx reply; a 421 closes the session.
        case refuse(Reply)
        case disconnect(Reply)
    }

    public let settings: Settings
    public internal(set) var client: Client
    /// What the driver's clock shows; to be set before each event.
    public var now = Timestamp(seconds: 0)
    var state = State.initial
    var framer: LineFramer
    // Small, since each idle session has them.
    var failures: Int32 = 0
    var idleCommands: Int32 = 0
    var messages = 0
    /// How many times the reply to the content must be said: in LMTP, once for each recipient that was accepted.
    public internal(set) var verdicts = 1

    /// nil while the channel is in plain text.
    public internal(set) var security: ChannelSecurity?

    /// Who the client has proven to be.
    public internal(set) var user: String?
    /// The mechanisms of AUTH; to be set before EHLO is answered. They are offered under TLS only.
    public var mechanisms: [SASLMechanism] = []

    /// The argument of HELO or EHLO, once accepted.
    public internal(set) var greeting: String?
    public internal(set) var greetingVerb = GreetingVerb.helo

    /// `security` is there from the beginning where TLS comes before the greeting.
    public init(settings: Settings, client: Client, security: ChannelSecurity? = nil) {
        self.settings = settings
        self.client = client
        self.security = security
        framer = LineFramer(security == nil ? client.discipline : .strict)
    }

    /// As the trace field names it (RFC 3848): SMTP, ESMTP or ESMTPS.
    public var protocolName: String {
        switch greetingVerb {
        case .helo: "SMTP"
        case .ehlo: "ESMTP" + (isSecure ? "S" : "") + (user == nil ? "" : "A")
        case .lhlo: "LMTP" + (isSecure ? "S" : "") + (user == nil ? "" : "A")
        }
    }

    /// Whether a person types into the connection; known after the first line.
    public var isHandSession: Bool { framer.discipline == .hand }

    public var isClosed: Bool {
        if case .closed = state { true } else { false }
    }

    /// The transaction that is open, if one is.
    public var transaction: Transaction? {
        switch state {
        case .initial, .ready, .handshake, .authenticating, .confirming, .closed: nil
        case .transaction(let transaction), .content(let transaction), .chunk(let transaction, _): transaction
        case .skipping(_, let transaction): transaction
        case .asking(let pending):
            switch pending {
            case .connect, .startTLS, .mail, .client, .auth: nil
            case .recipient(let transaction), .data(let transaction), .chunk(let transaction, _, _),
                .endOfData(let transaction):
                transaction
            case .greeting(_, _, let transaction), .reset(let transaction), .noop(let transaction),
                .quit(let transaction), .forward(let transaction):
                transaction
            }
        }
    }

    /// The connection stands; the client waits for the banner.
    public mutating func begin() -> Action { ask(.connect, .connect) }

    /// Finds the next command line at the front of what was received.
    public mutating func nextLine(in buffer: Span<UInt8>) -> Framing { framer.next(in: buffer) }

    /// The decoder for the content that follows `.startData`.
    public func makeDecoder() -> DataDecoder {
        DataDecoder(framer.discipline, limit: settings.sizeLimit, maximumHops: settings.maximumHops)
    }

    /// The decoder for the chunks that follow a first `.takeChunk`.
    public func makeChunkDecoder() -> ChunkDecoder {
        ChunkDecoder(transaction?.request.body, limit: settings.sizeLimit, maximumHops: settings.maximumHops)
    }

    /// The client broke the framing of lines: what follows cannot be read as commands.
    public mutating func receive(_ violation: FramingViolation) -> Action { close(.violation(violation)) }

    /// The client was silent for too long, or went beyond a limit of time.
    public mutating func timedOut(_ limit: SessionLimit? = nil) -> Action { close(limit?.reply ?? .idleTooLong) }

    /// The server stops.
    public mutating func shutDown() -> Action { close(.shuttingDown) }

    /// The client went away.
    public mutating func disconnected() -> Action { close(nil) }

    /// Whether who the client is was proven.
    public var isAuthenticated: Bool { user != nil || client.trust == .submission }

    /// What is offered to this client now.
    var offered: ServerExtensions {
        var offered = settings.extensions
        // A person waits for each reply, and types lines.
        if isHandSession { offered.subtract([.pipelining, .chunking]) }
        if !isSecure { offered.remove(.requireTLS) }
        if !isAuthenticated { offered.subtract([.futureRelease, .deliverBy, .priority]) }
        if offersAuthentication || user != nil { offered.insert(.authorship) }
        return offered
    }

    mutating func ask(_ question: Question, _ pending: Pending) -> Action {
        state = .asking(pending)
        return .ask(question)
    }

    mutating func close(_ reply: Reply?) -> Action {
        if isClosed { return .close(nil) }
        state = .closed
        return .close(reply)
    }

    mutating func settle(_ transaction: Transaction?, _ action: Action) -> Action {
        state = transaction.map(State.transaction) ?? .ready
        return action
    }

    /// Answers a command that failed; one too many ends the session.
    mutating func fail(_ reply: Reply) -> Action {
        failures += 1
        return failures > settings.maximumFailures ? close(SessionLimit.failures.reply) : .reply(reply)
    }
}
