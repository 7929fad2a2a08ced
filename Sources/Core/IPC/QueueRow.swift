// SPDX-License-Identifier: ISC

import Bytes
public import Mail

/// An envelope as `show queue` and `show envelope` tell of it, whoever knows it.
public struct QueueRow {
    public var envelope: EnvelopeID
    public var sender: ReversePath
    public var origin: Origin
    public var recipient: QueueRecord.Recipient
    public var created: Timestamp
    public var expires: Timestamp
    public var lastTry: Timestamp?
    public var attempts: Int
    /// Beside those that follow from where it came in.
    public var flag: String?
    public var state: String
    /// Until the next try, or since the present one began.
    public var seconds: Int64?

    public init(
        _ envelope: EnvelopeID, sender: ReversePath, origin: Origin, recipient: QueueRecord.Recipient,
        created: Timestamp, expires: Timestamp, lastTry: Timestamp?, attempts: Int, flag: String?, state: String,
        seconds: Int64?
    ) {
        self.envelope = envelope
        self.sender = sender
        self.origin = origin
        self.recipient = recipient
        self.created = created
        self.expires = expires
        self.lastTry = lastTry
        self.attempts = attempts
        self.flag = flag
        self.state = state
        self.seconds = seconds
    }

    /// The fourteen fields of the reference, in its order.
    public var fields: [ControlField] {
        let family = origin.address.map { $0.family == .v4 ? "inet4" : "inet6" } ?? "local"
        let kind =
            switch recipient.dispatch {
            case .relay: "mta"
            case .local: "mda"
            }
        let flags = [origin.user.map { _ in "auth" }, recipient.isInternal ? "internal" : nil, flag]
        return [
            ControlField(name: "evpid", value: .text("\(envelope)")),
            ControlField(name: "source", value: .text(family)),
            ControlField(name: "type", value: .text(kind)),
            ControlField(name: "flags", value: .text(flags.compactMap { $0 }.joined(separator: ","))),
            ControlField(name: "sender", value: .text(sender.mailbox.map { "\($0)" } ?? "@")),
            ControlField(name: "rcpt", value: .text("\(recipient.recipient)")),
            ControlField(name: "dest", value: .text("\(recipient.destination)")),
            ControlField(name: "ctime", value: .number(created.seconds)),
            ControlField(name: "expire", value: .number(expires.seconds)),
            ControlField(name: "lasttry", value: .number(lastTry?.seconds ?? 0)),
            ControlField(name: "retry", value: .number(Int64(attempts))),
            ControlField(name: "state", value: .text(state)),
            ControlField(name: "seconds", value: seconds.map { .number($0) } ?? .absent),
            ControlField(name: "error", value: .text(recipient.reply.map { "\(VisibleText("\($0)"))" } ?? "")),
        ]
    }

    /// The same, and what else is known.
    public func allFields(size: UInt64, request: MessageRequest) -> [ControlField] {
        fields + [
            ControlField(name: "action", value: .text(recipient.dispatch.action)),
            ControlField(name: "helo", value: .text("\(VisibleText(origin.greeting))")),
            ControlField(name: "hostname", value: .text("\(VisibleText(origin.hostName))")),
            ControlField(name: "address", value: .text(origin.address.map { $0.hostText } ?? "local")),
            ControlField(name: "size", value: .number(Int64(clamping: size))),
            ControlField(name: "tag", value: origin.tag.map { .text($0) } ?? .absent),
            ControlField(
                name: "envid", value: request.envelopeIdentifier.map { .text("\(VisibleText($0))") } ?? .absent),
            ControlField(
                name: "orcpt",
                value: recipient.report.originalRecipient.map { .text("\(VisibleText($0))") } ?? .absent),
        ]
    }
}
