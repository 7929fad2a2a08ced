// SPDX-License-Identifier: ISC

public import Bytes
public import Mail

/// One connection to a next hop, as a value: what has been said, what is awaited and what to do next.
///
/// States: the greeting, EHLO (or HELO where EHLO is unknown), then idle. From idle a transaction runs to its
/// outcomes and back to idle, STARTTLS leads to a second EHLO, `quit` to the end. A transaction that the server still
/// remembers is dropped by a RSET before the next one, in the same write where PIPELINING allows it. Every recipient
/// gets an outcome exactly once, whatever happens: what is not decided when the connection ends is deferred.
public struct ClientSession: Sendable {
    public enum Dialect: Hashable, Sendable {
        case smtp
        /// RFC 2033: LHLO, and after the content one reply for each accepted recipient.
        case lmtp
    }

    /// What the driver does next. All but the bytes and the content is decided here.
    public enum Action: Hashable, Sendable {
        /// Nothing to send: wait for the next reply.
        case wait
        /// Send these bytes, then wait for a reply.
        case send([UInt8])
        /// Send the content through a `DataEncoder`, its end too; then call `contentSent`.
        case sendContent
        /// Send `BDAT`, the size of the content and `LAST`, then the content as it is; then call `contentSent`.
        case sendChunk
        /// Ready for a transaction, for STARTTLS, or for quitting.
        case idle
        /// Make this key, in steps; then call `keyMade`.
        case makeKey(PasswordKey)
        /// Start the TLS handshake, provided that no byte is left over behind the reply; then call `tlsStarted`.
        case startTLS
        /// One outcome for each recipient of the transaction, in its order, and what follows.
        case finished([DeliveryOutcome], then: Continuation)
        /// Close the connection; there was no transaction, or its outcomes have been given.
        case close(Ending)
    }

    public enum Continuation: Hashable, Sendable {
        case idle
        /// Send these bytes, then wait for a reply.
        case send([UInt8])
        case close(Ending)
    }

    /// Why a connection came to its end.
    public enum Ending: Hashable, Sendable {
        /// Because we want no more of it.
        case quit
        /// The server does not want us: at the greeting, at EHLO, at STARTTLS, at AUTH, or by a 421.
        case refused(Reply)
        /// The connection broke, timed out, or the server does not speak SMTP.
        case lost(Reply)
    }

    /// One message for one next hop.
    public struct Transaction: Hashable, Sendable {
        public var sender: ReversePath
        public var recipients: [Recipient]
        public var request: MessageRequest
        /// The content with CRLF line ends, doubled dots not counted.
        public var size: ByteCount
        /// Until the deadline of the request, when it has one.
        public var timeLeft: Interval?

        public init(
            sender: ReversePath, recipients: [Recipient], request: MessageRequest = MessageRequest(), size: ByteCount
        ) {
            self.sender = sender
            self.recipients = recipients
            self.request = request
            self.size = size
        }
    }

    public struct Recipient: Hashable, Sendable {
        public enum Form: Hashable, Sendable {
            case mailbox
            /// Without `@` and domain, as an LMTP server calls its users.
            case localPart
        }

        public var mailbox: Mailbox
        public var form: Form
        public var report: ReportRequest

        public init(_ mailbox: Mailbox, form: Form = .mailbox, report: ReportRequest = ReportRequest()) {
            self.mailbox = mailbox
            self.form = form
            self.report = report
        }

        var path: String {
            switch form {
            case .mailbox: "\(mailbox)"
            case .localPart: "\(mailbox.localPart)"
            }
        }
    }

    enum State: Sendable {
        case new
        case greeting
        case extendedHello
        case hello
        case idle
        case startTLS
        case handshake
        /// AUTH LOGIN is sent, or the user's name to its first question.
        case login(Login)
        case challenge(Challenge)
        case authentication
        case transaction(Progress)
        /// All outcomes are given, but the server still owes the reply to a lone dot.
        case discarding
        case quitting
        case closed
    }

    // The reference gives a host up after so many messages none of which it took.
    public static let mostFruitlessMessages = 10
    /// So many refused recipients in a row end the session; the reference's number unless the configuration has one.
    public var mostRefusedRecipients = 25
    // RFC 2920 has no limit; replies to more would fill the buffers of both sides.
    public static let mostOutstandingRecipients = 100

    public enum ChannelKind: Hashable, Sendable {
        case plain
        case tls
    }

    public let dialect: Dialect
    /// Whether what is said is hidden from others.
    public internal(set) var channel: ChannelKind
    /// Whether TLS, once it stands, also proves who the server is; the driver knows what it demands of certificates.
    public var isVerified = false
    let name: Domain
    var state = State.new
    /// What the last EHLO offered.
    public internal(set) var offer = PeerOffer()
    /// The server still has a transaction of ours that came to nothing.
    var mustReset = false
    var fruitlessMessages = 0
    // See `takeSurplus`.
    var surplus: [Int] = []

    /// A session that introduces itself as `name`; `channel` is `.tls` where TLS came before the greeting.
    public init(name: Domain, dialect: Dialect = .smtp, channel: ChannelKind = .plain) {
        self.name = name
        self.dialect = dialect
        self.channel = channel
    }

    public var isIdle: Bool {
        if case .idle = state { return true }
        return false
    }

    /// So many messages in a row came to nothing that the session was ended for it.
    public var rejectsAllMessages: Bool { fruitlessMessages >= Self.mostFruitlessMessages }

    /// Indices of recipients that the last transaction had no room for although it delivered to others: their outcomes
    /// are none, and another transaction of this session is for them. Each such transaction leaves fewer.
    public mutating func takeSurplus() -> Set<Int> {
        defer { surplus = [] }
        return Set(surplus)
    }

    /// The connection stands: the server speaks first.
    public mutating func begin() -> Action {
        state = .greeting
        return .wait
    }

    /// The server has said something.
    public mutating func receive(_ reply: Reply) -> Action {
        switch state {
        case .transaction(var progress):
            // The state lets go of the transaction, so that its arrays are changed in place.
            state = .closed
            return receive(reply, during: &progress)
        case .greeting:
            guard reply.isPositive else { return close(.refused(reply)) }
            return sayExtendedHello()
        case .extendedHello:
            return receive(extendedHello: reply)
        case .hello:
            guard reply.isPositive else { return close(.refused(reply)) }
            state = .idle
            return .idle
        case .startTLS, .login, .challenge, .authentication:
            return receive(secure: reply)
        case .discarding:
            guard reply.code != 421 else { return close(.refused(reply)) }
            state = .idle
            return .idle
        case .quitting:
            return close(.quit)
        case .idle:
            return close(reply.code == 421 ? .refused(reply) : .lost(.unexpectedReply))
        case .new, .handshake:
            return close(.lost(.unexpectedReply))
        case .closed:
            return .close(.lost(.connectionLost))
        }
    }

    private mutating func receive(extendedHello reply: Reply) -> Action {
        if reply.isPositive {
            offer = PeerOffer(reply)
            state = .idle
            return .idle
        }
        // RFC 5321 section 3.2: a server that does not know EHLO may know HELO. LMTP has no older form.
        guard reply.isPermanent, dialect == .smtp else { return close(.refused(reply)) }
        offer = PeerOffer()
        state = .hello
        return .send(Array("HELO \(name)\r\n".utf8))
    }

    /// Begins a transaction; only when idle.
    public mutating func start(_ transaction: Transaction) -> Action {
        guard case .idle = state else { preconditionFailure("a transaction inside another") }
        if let limit = offer.largestMessage, transaction.size > limit {
            // The server would say no to the size: it is spared the question. The host is not to blame.
            let outcome = DeliveryOutcome.failed(.tooLargeForPeer)
            return .finished(Array(repeating: outcome, count: transaction.recipients.count), then: .idle)
        }
        if let refusal = refusal(of: transaction) {
            return .finished(Array(repeating: .failed(refusal), count: transaction.recipients.count), then: .idle)
        }
        guard !transaction.recipients.isEmpty else { return .finished([], then: .idle) }
        var transaction = transaction
        if !offer.extensions.contains(.internationalMail) { transaction.useASCII() }
        var progress = Progress(transaction, awaitsReset: mustReset)
        mustReset = false
        return proceed(&progress)
    }

    /// Why this server cannot be given the message as its sender wants it; nothing of that may be lost on the way.
    private func refusal(of transaction: Transaction) -> Reply? {
        let offered = offer.extensions
        let request = transaction.request
        // RFC 8689 section 4.2.1. LMTP is the end of the way.
        if request.requiresTLS, dialect == .smtp,
            channel == .plain || !isVerified || !offered.contains(.requireTLS)
        {
            return .requiresTLS
        }
        // RFC 3030 section 3: nothing here converts.
        if request.body == .binaryMIME, !offered.isSuperset(of: [.binaryMIME, .chunking]) { return .needsConversion }
        // RFC 6531 section 3.2
        if transaction.isInternational, !offered.contains(.internationalMail) { return .needsInternationalMail }
        if let deadline = request.deadline, deadline.mode == .giveUp, dialect == .smtp {
            if let left = transaction.timeLeft, left.seconds <= 0 { return .deadlinePassed }
            // RFC 2852 section 4.1.4: who does not know of deadlines could keep it for days.
            if !offered.contains(.deliverBy) { return .deadlineNotKept }
        }
        return nil
    }

    /// The last byte of the content and its terminator is with the system; to be called before the next reply is read.
    public mutating func contentSent() -> Action {
        guard case .transaction(var progress) = state else { return .wait }
        state = .closed
        if case .content = progress.phase { progress.phase = .verdict }
        state = .transaction(progress)
        return .wait
    }

    /// Ends an idle session politely.
    public mutating func quit() -> Action {
        guard case .idle = state else { return close(.lost(.connectionLost)) }
        state = .quitting
        return .send(Self.quitCommand)
    }

    /// The server did not answer in time.
    public mutating func timedOut() -> Action { abandon(.lost(.timedOut)) }

    /// The connection ended, or its bytes were no replies.
    public mutating func closed() -> Action { abandon(.lost(.connectionLost)) }

    /// The content cannot be had: the connection is closed before its end is sent, so that the server takes nothing.
    public mutating func contentUnavailable() -> Action { abandon(.lost(.contentUnavailable)) }

    private mutating func abandon(_ ending: Ending) -> Action {
        switch state {
        case .transaction(let progress):
            state = .closed
            switch ending {
            case .lost(let reply), .refused(let reply):
                return .finished(progress.outcomes(undecided: .deferred(reply)), then: .close(ending))
            case .quit:
                return .finished(progress.outcomes(undecided: .deferred(.connectionLost)), then: .close(ending))
            }
        case .quitting:
            return close(.quit)
        case .new, .greeting, .extendedHello, .hello, .idle, .startTLS, .handshake, .login, .challenge,
            .authentication, .discarding, .closed:
            return close(ending)
        }
    }

    mutating func close(_ ending: Ending) -> Action {
        state = .closed
        return .close(ending)
    }

    mutating func sayExtendedHello() -> Action {
        offer = PeerOffer()
        state = .extendedHello
        switch dialect {
        case .smtp: return .send(Array("EHLO \(name)\r\n".utf8))
        case .lmtp: return .send(Array("LHLO \(name)\r\n".utf8))
        }
    }

    static let quitCommand = Array("QUIT\r\n".utf8)
}

/// What we say on behalf of a server that said nothing fit to be repeated.
extension Reply {
    static let connectionLost = Reply(451, EnhancedStatus(4, 4, 2), "Connection lost")
    static let timedOut = Reply(451, EnhancedStatus(4, 4, 2), "Connection timed out")
    static let unexpectedReply = Reply(451, EnhancedStatus(4, 5, 0), "Unexpected reply from remote host")
    static let contentUnavailable = Reply(451, EnhancedStatus(4, 3, 0), "Message content not available")
    static let tooLargeForPeer = Reply(552, EnhancedStatus(5, 3, 4), "message too large for peer")
    static let requiresTLS = Reply(
        550, EnhancedStatus(5, 7, 30), "REQUIRETLS support required, which the next host does not offer")
    static let needsConversion = Reply(
        554, EnhancedStatus(5, 6, 3), "Binary content, which the next host does not take")
    static let needsInternationalMail = Reply(
        550, EnhancedStatus(5, 6, 7), "SMTPUTF8 support required, which the next host does not offer")
    static let deadlinePassed = Reply(554, EnhancedStatus(5, 4, 7), "Delivery time expired")
    static let deadlineNotKept = Reply(
        554, EnhancedStatus(5, 4, 7), "DELIVERBY support required, which the next host does not offer")
    static let tooManyErrors = Reply(451, EnhancedStatus(4, 5, 0), "Too many consecutive errors, closing connection")
}

extension ClientSession.Transaction {
    /// Whether it needs SMTPUTF8: it came so, or a local part says what ASCII cannot.
    var isInternational: Bool {
        request.isInternational || !(sender.mailbox?.localPart.isASCII ?? true)
            || recipients.contains { !$0.mailbox.localPart.isASCII }
    }

    /// Writes domains as A-labels, for a server that knows no other.
    mutating func useASCII() {
        if let mailbox = sender.mailbox, !mailbox.isASCII, let plain = mailbox.inASCII { sender = .mailbox(plain) }
        for index in recipients.indices where !recipients[index].mailbox.isASCII {
            if let plain = recipients[index].mailbox.inASCII { recipients[index].mailbox = plain }
        }
    }
}
