// SPDX-License-Identifier: ISC

import Bytes
public import Mail

/// The Received field that stands before all else in a message that we take over (RFC 5321 section 4.4).
///
///     Received: from HELO (NAME [ADDRESS])
///     <TAB>by SERVER (Martlet) with ESMTPS id 1a2b3c4d (TLSv1.3:CIPHER:256:NO) auth=yes user=USER
///     <TAB>for <MAILBOX> PRIORITY 3;
///     <TAB>DATE
public struct TraceField: Hashable, Sendable {
    /// The word behind `with` (RFC 3848, RFC 6531 section 4.3).
    public struct TransmissionType: Hashable, Sendable {
        public enum Dialect: String, Hashable, Sendable {
            case smtp = "SMTP"
            case esmtp = "ESMTP"
            case lmtp = "LMTP"
        }

        public var dialect: Dialect
        public var isSecure = false
        public var isAuthenticated = false
        /// SMTPUTF8 was asked for and needed.
        public var isInternational = false

        public init(_ dialect: Dialect) { self.dialect = dialect }

        public static let smtp = TransmissionType(.smtp)
        public static let esmtp = TransmissionType(.esmtp)

        public var word: String {
            let name: String
            switch dialect {
            // HELO has no extensions, and so no marks.
            case .smtp: return dialect.rawValue
            case .esmtp: name = isInternational ? "UTF8SMTP" : dialect.rawValue
            case .lmtp: name = isInternational ? "UTF8LMTP" : dialect.rawValue
            }
            return name + (isSecure ? "S" : "") + (isAuthenticated ? "A" : "")
        }
    }

    public struct Client: Hashable, Sendable {
        /// The argument of HELO or EHLO.
        public var greeting: String
        /// The name by DNS, or `<unknown>`.
        public var hostName: String
        /// nil for the local socket.
        public var address: IPAddress?

        public init(greeting: String, hostName: String, address: IPAddress?) {
            self.greeting = greeting
            self.hostName = hostName
            self.address = address
        }

        public init(_ origin: Origin) {
            self.init(greeting: origin.greeting, hostName: origin.hostName, address: origin.address)
        }
    }

    public enum Authentication: Hashable, Sendable {
        /// The listener does not tell.
        case untold
        case none
        case user(String)
    }

    /// nil when the listener hides where mail comes from.
    public var client: Client?
    public var serverName: Domain
    public var type: TransmissionType
    public var messageID: MessageID
    public var security: ChannelSecurity?
    public var authentication: Authentication
    /// Only told when the message has no other recipient.
    public var onlyRecipient: Mailbox?
    /// Told where one was asked for.
    public var priority: MessageRequest.Priority?
    public var date: MailDate

    public init(
        client: Client?, serverName: Domain, type: TransmissionType, messageID: MessageID,
        security: ChannelSecurity? = nil, authentication: Authentication = .untold, onlyRecipient: Mailbox? = nil,
        priority: MessageRequest.Priority? = nil, date: MailDate
    ) {
        self.client = client
        self.serverName = serverName
        self.type = type
        self.messageID = messageID
        self.security = security
        self.authentication = authentication
        self.onlyRecipient = onlyRecipient
        self.priority = priority
        self.date = date
    }

    /// Appends the field with its line ends.
    public func write(to output: inout [UInt8]) {
        output.append("Received: " as StaticString)
        if let client {
            // The text of an IPv6 address has its brackets already.
            let address = client.address.map { $0.family == .v6 ? $0.hostText : "[\($0)]" } ?? "[local]"
            output.append("from \(Self.plain(client.greeting)) (\(Self.plain(client.hostName)) \(address))\r\n\t")
        }
        output.append("by \(serverName) (Martlet) with \(type.word) id \(messageID)")
        if let security {
            output.append(" (\(Self.plain(security.version)):\(Self.plain(security.cipher)):\(security.bits):")
            switch security.clientCertificate {
            case .verified: output.append("YES)" as StaticString)
            case .absent: output.append("NO)" as StaticString)
            }
        }
        switch authentication {
        case .untold: break
        case .none: output.append(" auth=no" as StaticString)
        case .user(let user): output.append(" auth=yes user=\(Self.plain(user))")
        }
        if let onlyRecipient { output.append("\r\n\tfor <\(onlyRecipient)>") }
        // Pri = CFWS "PRIORITY" FWS priority-value                                            (RFC 6710 section 7)
        if let priority { output.append("\(onlyRecipient == nil ? "\r\n\t" : " ")PRIORITY \(priority.value)") }
        output.append(";\r\n\t\(date)\r\n")
    }

    // RFC 5321 section 4.5.3.1: no honest name is longer than a domain; a line has at most 998 bytes.
    private static let longestWord = 255

    /// Text of another's choosing cannot end the field, a comment or a word.
    private static func plain(_ text: String) -> String {
        let bytes = text.utf8.prefix(longestWord).map { byte in
            byte.isVisible && byte != UInt8(ascii: "(") && byte != UInt8(ascii: ")") && byte != UInt8(ascii: "\\")
                && byte != UInt8(ascii: ";") ? byte : UInt8(ascii: "?")
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
