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
        case asking(Pending)
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
        case endOfData(Transaction)
        case reset(Transaction?)
        case noop(Transaction?)
        case quit(Transaction?)
    }

    public enum GreetingVerb: Hashable, Sendable {
        case helo
        case ehlo
    }

    /// What one message has gathered so far.
    public struct Transaction: Hashable, Sendable {
        public let sender: ReversePath
        public let request: MessageRequest
        /// What SIZE announced, when it did.
        public let announcedSize: ByteCount?
        /// How many recipients were accepted.
        public internal(set) var recipients = 0
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
        /// Undo what is open, send the reply, if any, and close.
        case close(Reply?)
    }

    public enum Question: Hashable, Sendable {
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
    }

    public enum Answer: Hashable, Sendable {
        case proceed
        /// To `.endOfData` only: the message is stored.
        case accepted(MessageID)
        /// Must be a 4xx or 5xx reply; a 421 closes the session.
        case refuse(Reply)
        case disconnect(Reply)
    }

    public let settings: Settings
    public let client: Client
    var state = State.initial
    var framer: LineFramer
    var failures = 0
    var messages = 0

    /// nil while the channel is in plain text.
    public internal(set) var security: ChannelSecurity?

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
        case .ehlo: isSecure ? "ESMTPS" : "ESMTP"
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
        case .initial, .ready, .handshake, .closed: nil
        case .transaction(let transaction), .content(let transaction): transaction
        case .asking(let pending):
            switch pending {
            case .connect, .startTLS, .mail: nil
            case .recipient(let transaction), .data(let transaction), .endOfData(let transaction): transaction
            case .greeting(_, _, let transaction), .reset(let transaction), .noop(let transaction),
                .quit(let transaction):
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

    /// The client broke the framing of lines: what follows cannot be read as commands.
    public mutating func receive(_ violation: FramingViolation) -> Action { close(.violation(violation)) }

    /// The client was silent for too long.
    public mutating func timedOut() -> Action { close(.idleTooLong) }

    /// The server stops.
    public mutating func shutDown() -> Action { close(.shuttingDown) }

    /// The client went away.
    public mutating func disconnected() -> Action { close(nil) }

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
        return failures > settings.maximumFailures ? close(.tooManyFailures) : .reply(reply)
    }
}
