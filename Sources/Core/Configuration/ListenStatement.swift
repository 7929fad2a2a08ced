// SPDX-License-Identifier: ISC

public import Mail

/// One `listen` line: where clients come in, and what holds for them.
public struct ListenStatement: Hashable, Sendable {
    public enum Endpoint: Hashable, Sendable {
        /// The submission socket of this host.
        case socket
        /// An interface, an address or a name; the parent turns it into addresses.
        case interface(String)
        /// A Unix socket with this path, for LMTP.
        case path(String)

        /// Clients are programs of this host, and have no address.
        public var isLocal: Bool {
            switch self {
            case .socket, .path: true
            case .interface: false
            }
        }
    }

    public enum ClientCertificate: Hashable, Sendable {
        case ignored
        case required
    }

    public enum Encryption: Hashable, Sendable {
        case none
        /// TLS from the first byte.
        case immediate(ClientCertificate)
        /// STARTTLS is offered.
        case offered
        /// STARTTLS is offered, and no mail is taken without it.
        case required(ClientCertificate)
    }

    public enum Authentication: Hashable, Sendable {
        case none
        /// Against the table, or against the users of the system when there is none.
        case optional(TableReference?)
        case required(TableReference?)
    }

    /// Which senders an authenticated user may use, and whether others are rewritten.
    public struct Senders: Hashable, Sendable {
        public enum Treatment: Hashable, Sendable {
            case check
            case masquerade
        }

        public var table: TableReference
        public var treatment: Treatment

        public init(table: TableReference, treatment: Treatment) {
            self.table = table
            self.treatment = treatment
        }
    }

    public static let longestTag = 32
    public static let mostCertificates = 32

    public var endpoint: Endpoint
    public var location: SourceLocation
    /// The addresses of one family only.
    public var family: IPAddress.Family?
    /// As written; see `port`.
    public var explicitPort: UInt16?
    public var encryption = Encryption.none
    public var ciphers: String?
    public var protocols: String?
    public var pki: [String] = []
    public var ca: String?
    public var authentication = Authentication.none
    public var senders: Senders?
    public var tag: String?
    public var hostname: String?
    public var hostnames: TableReference?
    public var filter: String?
    /// The client is not named in Received.
    public var masksSource = false
    /// The authenticated user is named in Received.
    public var showsAuthentication = false
    /// Every client is a proxy, which says first whom it speaks for.
    public var expectsProxyHeader = false
    /// The clients that are proxies, when not all are.
    public var proxiesFrom: [NetworkPattern] = []
    /// Whose XCLIENT and whose XFORWARD is believed.
    public var clientClaimsFrom: [NetworkPattern] = []
    public var forwardClaimsFrom: [NetworkPattern] = []
    /// LMTP (RFC 2033) in place of SMTP.
    public var speaksLMTP = false
    public var offersDeliveryNotices = true
    /// Its users may let their mail go first (RFC 6710).
    public var takesPriority = false

    public init(_ endpoint: Endpoint, location: SourceLocation = .builtIn) {
        self.endpoint = endpoint
        self.location = location
    }

    /// The port to bind: 25, or 465 for immediate TLS, unless one is given.
    public var port: UInt16 {
        if let explicitPort { return explicitPort }
        return switch encryption {
        case .immediate: 465
        case .none, .offered, .required: 25
        }
    }
}
