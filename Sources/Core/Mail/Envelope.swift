// SPDX-License-Identifier: ISC

/// One recipient of one message, as Lookup decided it and Queue keeps it.
public struct Envelope: Hashable, Sendable {
    public var sender: ReversePath
    /// As given in RCPT TO.
    public var recipient: Mailbox
    /// After aliases and forwarding; the same as `recipient` when neither applied.
    public var destination: Mailbox
    public var dispatch: Dispatch
    public var report: ReportRequest
    public var origin: Origin

    public init(
        sender: ReversePath, recipient: Mailbox, destination: Mailbox, dispatch: Dispatch,
        report: ReportRequest = ReportRequest(), origin: Origin
    ) {
        self.sender = sender
        self.recipient = recipient
        self.destination = destination
        self.dispatch = dispatch
        self.report = report
        self.origin = origin
    }
}

/// What becomes of an envelope: the name of an action of the configuration, never a command, a path or a uid.
public enum Dispatch: Hashable, Sendable {
    case relay(action: String)
    case local(action: String, user: String, subaddress: String?, form: LocalForm)

    public var action: String {
        switch self {
        case .relay(let action), .local(let action, _, _, _): action
        }
    }
}

/// How a local delivery is done.
public enum LocalForm: Hashable, Sendable {
    /// By the method that the action names.
    case action
    /// By a `|command` or `/file` line of the user's own ~/.forward, found again there by its position.
    case forward(line: UInt16)
    /// By a `|command` or `/file` of an alias file: run as the unprivileged user of foreign programs, never as a person.
    case alias(item: String)
}

/// What the sender asked to be told about this recipient (RFC 3461 section 4).
public struct ReportRequest: Hashable, Sendable {
    public struct Notify: OptionSet, Hashable, Sendable {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        public static let success = Notify(rawValue: 1)
        public static let failure = Notify(rawValue: 2)
        public static let delay = Notify(rawValue: 4)
        public static let never = Notify(rawValue: 8)
    }

    /// Empty when the sender did not say: failures and delays are told then.
    public var notify: Notify
    /// `type;address` as decoded from xtext.
    public var originalRecipient: String?

    public init(notify: Notify = [], originalRecipient: String? = nil) {
        self.notify = notify
        self.originalRecipient = originalRecipient
    }

    public var wantsFailure: Bool { notify.isEmpty || notify.contains(.failure) }
    public var wantsDelay: Bool { notify.isEmpty || notify.contains(.delay) }
    public var wantsSuccess: Bool { notify.contains(.success) }
}

/// Where a message came in; the same for all its envelopes.
public struct Origin: Hashable, Sendable {
    /// The name of this server in that session.
    public var serverName: Domain
    /// HELO argument of the client, printable.
    public var greeting: String
    /// The client's name by DNS, or `<unknown>`.
    public var hostName: String
    /// nil for a session on the local socket.
    public var address: IPAddress?
    public var tag: String?
    public var user: String?
    public var isInternal: Bool

    public init(
        serverName: Domain, greeting: String, hostName: String, address: IPAddress?, tag: String? = nil,
        user: String? = nil, isInternal: Bool = false
    ) {
        self.serverName = serverName
        self.greeting = greeting
        self.hostName = hostName
        self.address = address
        self.tag = tag
        self.user = user
        self.isInternal = isInternal
    }
}

/// What MAIL asked for the whole message, and what goes with it to its end.
public struct MessageRequest: Hashable, Sendable {
    // RFC 3461 section 4.3
    public enum Return: UInt8, Hashable, Sendable {
        case full = 1
        case headers = 2
    }

    // RFC 6152, RFC 3030
    public enum Body: UInt8, Hashable, Sendable {
        case sevenBit = 1
        case eightBitMIME = 2
        /// Any bytes, which need not be lines.
        case binaryMIME = 3
    }

    /// By when the message must be delivered (RFC 2852).
    public struct Deadline: Hashable, Sendable {
        public enum Mode: UInt8, Hashable, Sendable {
            /// Behind the deadline the message is returned and not delivered any more.
            case giveUp = 1
            /// Behind the deadline the sender is told, and delivery goes on.
            case notify = 2
        }

        public enum Trace: UInt8, Hashable, Sendable {
            case none = 1
            /// The sender is told of each host that the message passes.
            case relays = 2
        }

        public var time: Timestamp
        public var mode: Mode
        public var trace: Trace

        public init(time: Timestamp, mode: Mode, trace: Trace = .none) {
            self.time = time
            self.mode = mode
            self.trace = trace
        }
    }

    /// Which message goes first (RFC 6710); one that asked for none has that of 0.
    public struct Priority: Hashable, Sendable {
        // RFC 6710 section 3
        public static let range: ClosedRange<Int8> = -9...9

        public static let normal = Priority(normal: 0)

        public let value: Int8

        private init(normal value: Int8) { self.value = value }

        public init?(_ value: Int8) {
            guard Self.range.contains(value) else { return nil }
            self.value = value
        }
    }

    public var returned: Return?
    /// Decoded from xtext (RFC 3461 section 4.4).
    public var envelopeIdentifier: String?
    public var body: Body?
    /// Addresses or header need SMTPUTF8 (RFC 6531).
    public var isInternational = false
    /// It leaves this host under verified TLS or not at all (RFC 8689).
    public var requiresTLS = false
    /// It is not delivered before (RFC 4865).
    public var notBefore: Timestamp?
    public var deadline: Deadline?
    public var priority: Priority?

    public init(returned: Return? = nil, envelopeIdentifier: String? = nil, body: Body? = nil) {
        self.returned = returned
        self.envelopeIdentifier = envelopeIdentifier
        self.body = body
    }
}
