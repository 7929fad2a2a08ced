// SPDX-License-Identifier: ISC

public import Bytes
public import Mail

extension ServerSession {
    public enum Dialect: Hashable, Sendable {
        case smtp
        /// RFC 2033: LHLO, and behind the content a reply for each recipient that was accepted.
        case lmtp
    }

    /// What the listener decides for all its sessions.
    public struct Settings: Hashable, Sendable {
        /// The name in the banner, and the domain of an address that has none.
        public var serverName: Domain
        /// Most bytes of content.
        public var sizeLimit = ByteCount.mebibytes(35)
        // RFC 5321 section 4.5.3.1.8 wants at least 100.
        public var maximumRecipients = 1000
        /// Messages that one session may send.
        public var maximumMessages = 100
        /// As many `Received:` fields are a loop (RFC 5321 section 6.3 wants at least 100 allowed).
        public var maximumHops = 100
        /// Commands that may fail before the session ends; a message accepted forgives them.
        public var maximumFailures: Int32 = 100
        /// Commands in a row that bring no message further, before the session ends; a message accepted forgives them.
        public var maximumIdleCommands: Int32 = 200
        public var extensions: ServerExtensions = [
            .pipelining, .deliveryStatus, .chunking, .internationalMail, .requireTLS, .futureRelease, .deliverBy,
            .priority,
        ]
        public var encryption = Encryption.unavailable
        public var authentication = Authentication.optional
        public var dialect = Dialect.smtp
        /// Whoever is known here may let mail go first.
        public var takesPriority = false
        /// How long a message may be held back at its sender's wish (RFC 4865 section 3).
        public var longestHold = Interval.days(30)

        public init(serverName: Domain) { self.serverName = serverName }

        public enum Authentication: Hashable, Sendable {
            case optional
            /// No mail is taken from whom we do not know.
            case required
        }

        public enum Encryption: Hashable, Sendable {
            /// There is no STARTTLS; the channel may be under TLS already.
            case unavailable
            case offered
            /// Offered, and no mail is taken without it.
            case required
        }
    }

    /// The other end of the connection.
    public struct Client: Hashable, Sendable {
        /// How its bytes come to us.
        public enum Transport: UInt8, Hashable, Sendable {
            /// By its own connection, in plain text.
            case direct
            case tls
            /// By PROXY or XCLIENT: the address is what another host says.
            case proxied
        }

        /// Whose word we take for who they are.
        public enum Trust: Hashable, Sendable {
            case none
            /// A program of this host, which the kernel names.
            case submission
        }

        /// nil on the local socket.
        public var address: IPAddress?
        /// Its name by DNS, or `<unknown>`.
        public var hostName: String
        public var transport: Transport
        public var trust: Trust

        public init(
            address: IPAddress?, hostName: String, transport: Transport = .direct, trust: Trust = .none
        ) {
            self.address = address
            self.hostName = hostName
            self.transport = transport
            self.trust = trust
        }

        // Only a client that nobody else can be may leave out its CRs (SMTP smuggling).
        var discipline: LineDiscipline {
            guard transport == .direct, let address, address.unmapped.isLoopback else { return .strict }
            return .undecided
        }

        /// The address in brackets, as the greeting has it.
        var literal: String {
            guard let address else { return "[local]" }
            return address.family == .v4 ? "[\(address)]" : address.hostText
        }
    }
}
