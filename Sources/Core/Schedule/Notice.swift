// SPDX-License-Identifier: ISC

public import Mail

/// What a notice (RFC 3464) tells of its recipients; the raw value is the word in its subject.
public enum NoticeKind: String, Hashable, Sendable {
    case failed
    case delayed
    /// Put into the mailbox.
    case delivered
    /// Given to a host that sends no reports of its own.
    case relayed

    /// The kind of notice that an outcome may call for; nil when it calls for none.
    public init?(_ outcome: DeliveryOutcome, _ deliveryClass: DeliveryClass) {
        switch outcome {
        case .delivered(_, reportsItself: true), .deferred: return nil
        case .delivered(_, reportsItself: false): self = deliveryClass == .local ? .delivered : .relayed
        case .failed: self = .failed
        }
    }

    /// Whether the sender wants to hear this (RFC 3461 section 4.1).
    func isWanted(by request: ReportRequest) -> Bool {
        guard !request.notify.contains(.never) else { return false }
        switch self {
        case .failed: return request.wantsFailure
        case .delayed: return request.wantsDelay
        case .delivered, .relayed: return request.wantsSuccess
        }
    }
}

/// One notice to be injected: all recipients of a message that one kind of news came for at about one moment.
public struct Notice: Hashable, Sendable {
    public struct Item: Hashable, Sendable {
        public let envelope: EnvelopeID
        public let reply: Reply
    }

    /// Names this notice in `injected` and `postpone`.
    public let number: UInt64
    public let message: MessageID
    public let kind: NoticeKind
    public internal(set) var items: [Item]
}

/// What the ledger made of news about a recipient.
public enum NoticeVerdict: Hashable, Sendable {
    /// The recipient stands in a notice; its record stays until that is settled.
    case gathered
    /// The sender does not want to hear of it: a failed recipient is done.
    case unwanted
    /// A notice itself could not be delivered: the recipient is done, and the log says so (RFC 5321 section 6.1).
    case doubleBounce
}

/// What becomes of a notice after an attempt to inject it.
public enum NoticeResult: Hashable, Sendable {
    /// The recipients named are done if they had failed.
    case accepted(Notice)
    case retry(at: Instant)
    /// Refused for good: the log says so, and its recipients are done.
    case refused(Notice, Reply)
    /// Deferred beyond its time to live: as refused.
    case abandoned(Notice, Reply)
    case unknown
}
