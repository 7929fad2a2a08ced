// SPDX-License-Identifier: ISC

import Bytes
public import Mail

/// What we tell the sender about recipients of one message: multipart/report with a delivery status (RFC 3464, RFC
/// 6522).
///
/// The returned message is not copied in here: `writeBeginning`, then the returned bytes, then `writeEnd`.
public struct Notice: Hashable, Sendable {
    /// The Action of all its recipients (RFC 3464 section 2.3.3).
    public enum Kind: String, Hashable, Sendable {
        case failed
        case delayed
        case delivered
        /// Handed to a host that sends no notices of its own.
        case relayed
    }

    public struct Recipient: Hashable, Sendable {
        /// `type;address`, as RCPT gave it in ORCPT.
        public var originalRecipient: String?
        public var finalRecipient: Mailbox
        public var reply: Reply
        /// What the server said to which it went last, where that is not the reply.
        public var diagnostic: Reply?
        public var lastAttempt: MailDate?
        /// When we give up.
        public var retriesUntil: MailDate?

        public init(
            originalRecipient: String? = nil, finalRecipient: Mailbox, reply: Reply, diagnostic: Reply? = nil,
            lastAttempt: MailDate? = nil, retriesUntil: MailDate? = nil
        ) {
            self.originalRecipient = originalRecipient
            self.finalRecipient = finalRecipient
            self.reply = reply
            self.diagnostic = diagnostic
            self.lastAttempt = lastAttempt
            self.retriesUntil = retriesUntil
        }
    }

    /// What of the message is sent back, by RET (RFC 3461 section 4.3).
    public enum Returned: Hashable, Sendable {
        case headers(Encoding)
        case full(Encoding)

        public enum Encoding: Hashable, Sendable {
            case sevenBit
            case eightBit
        }
    }

    public var kind: Kind
    public var reportingHost: Domain
    /// The sender of the message.
    public var recipient: Mailbox
    public var date: MailDate
    /// With its angle brackets.
    public var messageID: String
    /// At most 70 characters that nobody can foresee, so that the returned message cannot contain it.
    public var boundary: String
    public var envelopeIdentifier: String?
    public var arrival: MailDate
    public var recipients: [Recipient]
    /// How long we try in all; told in a notice of delay.
    public var retention: Interval?
    public var returned: Returned

    public init(
        kind: Kind, reportingHost: Domain, recipient: Mailbox, date: MailDate, messageID: String, boundary: String,
        envelopeIdentifier: String? = nil, arrival: MailDate, recipients: [Recipient], retention: Interval? = nil,
        returned: Returned
    ) {
        self.kind = kind
        self.reportingHost = reportingHost
        self.recipient = recipient
        self.date = date
        self.messageID = messageID
        self.boundary = boundary
        self.envelopeIdentifier = envelopeIdentifier
        self.arrival = arrival
        self.recipients = recipients
        self.retention = retention
        self.returned = returned
    }

    /// An address is not ASCII: the notice is one of RFC 6533, and travels with SMTPUTF8.
    public var isInternational: Bool {
        !Self.isASCII("\(recipient)")
            || recipients.contains {
                !Self.isASCII("\($0.finalRecipient)") || !Self.isASCII($0.originalRecipient ?? "")
            }
    }

    /// Appends the whole notice around `content`, the returned header or message with CRLF line ends.
    public func write(returning content: Span<UInt8>, to output: inout [UInt8]) {
        writeBeginning(to: &output)
        output.append(content)
        writeEnd(to: &output)
    }

    /// Appends all that stands before the returned header or message.
    public func writeBeginning(to output: inout [UInt8]) {
        writeHeader(to: &output)
        if isInternational {
            output.append("--\(boundary)\r\nContent-Type: text/plain; charset=utf-8\r\n")
            output.append("Content-Transfer-Encoding: 8bit\r\n\r\n" as StaticString)
        } else {
            output.append("--\(boundary)\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n")
        }
        writeExplanation(to: &output)
        // RFC 6533 section 4: what has addresses beyond ASCII is of another type.
        let global = isInternational ? "global-delivery-status\r\nContent-Transfer-Encoding: 8bit" : "delivery-status"
        output.append("\r\n--\(boundary)\r\nContent-Type: message/\(global)\r\n\r\n")
        writeStatus(to: &output)
        let type: StaticString
        let encoding: Returned.Encoding
        switch returned {
        // RFC 6533 section 5: a header of eight bits is one with addresses beyond ASCII.
        case .headers(.eightBit) where isInternational: (type, encoding) = ("message/global-headers", .eightBit)
        case .full(.eightBit) where isInternational: (type, encoding) = ("message/global", .eightBit)
        case .headers(let used): (type, encoding) = ("text/rfc822-headers", used)
        case .full(let used): (type, encoding) = ("message/rfc822", used)
        }
        output.append("\r\n--\(boundary)\r\nContent-Type: \(type)\r\n")
        if encoding == .eightBit { output.append("Content-Transfer-Encoding: 8bit\r\n" as StaticString) }
        output.append("\r\n" as StaticString)
    }

    /// Appends what stands behind it.
    public func writeEnd(to output: inout [UInt8]) { output.append("\r\n--\(boundary)--\r\n") }

    private func writeHeader(to output: inout [UInt8]) {
        output.append("Subject: Delivery status notification: \(kind.rawValue)\r\n")
        output.append("From: Mailer Daemon <MAILER-DAEMON@\(reportingHost)>\r\nTo: \(recipient)\r\nDate: \(date)\r\n")
        output.append("Message-ID: \(Self.plain(messageID))\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n")
        output.append("Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"\(boundary)\"\r\n")
        // RFC 2045 section 6.4: a part of eight bits makes the whole one of eight bits.
        switch returned {
        case .headers(.eightBit), .full(.eightBit):
            output.append("Content-Transfer-Encoding: 8bit\r\n" as StaticString)
        case .headers(.sevenBit), .full(.sevenBit):
            if isInternational { output.append("Content-Transfer-Encoding: 8bit\r\n" as StaticString) }
        }
        output.append("\r\n" as StaticString)
    }

    private func writeExplanation(to output: inout [UInt8]) {
        output.append("Hello,\r\n\r\nthis is the MAILER-DAEMON of \(reportingHost). No person reads replies to it,\r\n")
        output.append("so please do not answer this message.\r\n\r\n" as StaticString)
        switch kind {
        case .failed:
            output.append("Your message could not be delivered to the recipients below,\r\n" as StaticString)
            output.append("and no further attempt will be made:\r\n\r\n" as StaticString)
        case .delayed:
            output.append("Your message could not yet be delivered to the recipients below:\r\n\r\n" as StaticString)
        case .delivered:
            output.append("Your message was delivered to the recipients below:\r\n\r\n" as StaticString)
        case .relayed:
            output.append(
                "Your message was passed to other hosts for the recipients below. These hosts\r\n" as StaticString)
            output.append("do not confirm deliveries, so you will hear of failures only:\r\n\r\n" as StaticString)
        }
        for entry in recipients {
            Self.write(entry.reply.lines, behind: "\(entry.finalRecipient): \(Self.code(entry.reply))", to: &output)
        }
        if kind == .delayed {
            let time = retention.map { " for \($0) in all" } ?? ""
            output.append("\r\nDelivery will be tried again\(time); you need not send your message again.\r\n")
        }
    }

    // per-message-fields, then for each recipient an empty line and per-recipient-fields      (RFC 3464 section 2)
    private func writeStatus(to output: inout [UInt8]) {
        if let envelopeIdentifier { output.append("Original-Envelope-Id: \(Self.plain(envelopeIdentifier))\r\n") }
        output.append("Reporting-MTA: dns; \(reportingHost)\r\nArrival-Date: \(arrival)\r\n")
        for entry in recipients {
            output.append("\r\n" as StaticString)
            if let original = entry.originalRecipient {
                output.append("Original-Recipient: \(Self.plain(original, keepsUnicode: true))\r\n")
            }
            let type = Self.isASCII("\(entry.finalRecipient)") ? "rfc822" : "utf-8"
            output.append("Final-Recipient: \(type); \(entry.finalRecipient)\r\nAction: \(kind.rawValue)\r\n")
            output.append("Status: \(status(of: entry.reply))\r\n")
            let said = entry.reply.host == nil ? entry.diagnostic ?? entry.reply : entry.reply
            if let host = said.host {
                output.append("Remote-MTA: dns; \(host.canonical)\r\n")
                // RFC 3464 section 2.3.6: only what an SMTP server said is a diagnostic of type smtp.
                Self.write(said.lines, behind: "Diagnostic-Code: smtp; \(Self.code(said))", to: &output)
            }
            if let date = entry.lastAttempt { output.append("Last-Attempt-Date: \(date)\r\n") }
            // RFC 3464 section 2.3.9: of a delay only.
            if kind == .delayed, let date = entry.retriesUntil { output.append("Will-Retry-Until: \(date)\r\n") }
        }
    }

    private func status(of reply: Reply) -> EnhancedStatus {
        if let status = reply.enhancedStatus { return status }
        switch kind {
        case .failed: return EnhancedStatus(reply.isTemporary ? 4 : 5, 0, 0)
        case .delayed: return EnhancedStatus(4, 0, 0)
        case .delivered, .relayed: return EnhancedStatus(2, 0, 0)
        }
    }

    private static func code(_ reply: Reply) -> String {
        "\(reply.code)" + (reply.enhancedStatus.map { " \($0)" } ?? "")
    }

    // A reply may have a hundred lines; its first say why.
    private static let mostReplyLines = 20
    private static let longestText = 900

    /// The lines of a reply, folded: the first behind `label`, the others indented.
    private static func write(_ lines: [String], behind label: String, to output: inout [UInt8]) {
        output.append(label)
        for (index, line) in lines.prefix(mostReplyLines).enumerated() {
            let text = plain(line)
            // A folded line of blanks alone would end a field for some readers.
            guard text.utf8.contains(where: \.isVisible) else { continue }
            output.append(index == 0 ? " " : "\r\n    ")
            output.append(text)
        }
        output.append("\r\n" as StaticString)
    }

    private static func plain(_ text: String, keepsUnicode: Bool = false) -> String {
        let bytes = text.utf8.prefix(longestText).map { byte in
            byte.isPrintable || keepsUnicode && byte >= 0x80 ? byte : UInt8(ascii: "?")
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func isASCII(_ text: String) -> Bool { text.utf8.allSatisfy { $0 < 0x80 } }
}
