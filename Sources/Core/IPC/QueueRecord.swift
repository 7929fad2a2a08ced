// SPDX-License-Identifier: ISC

public import Mail

/// A message as Queue gives it to the spool, and as whoever reads a spool finds it: all that its envelopes share, and
/// those of them that are not done.
public struct QueueRecord: Sendable {
    public struct Recipient: Sendable {
        public var recipient: Mailbox
        public var destination: Mailbox
        public var dispatch: Dispatch
        public var report: ReportRequest
        public var isInternal: Bool
        /// What the last attempt ended in.
        public var reply: Reply?

        public init(
            recipient: Mailbox, destination: Mailbox, dispatch: Dispatch, report: ReportRequest, isInternal: Bool,
            reply: Reply? = nil
        ) {
            self.recipient = recipient
            self.destination = destination
            self.dispatch = dispatch
            self.report = report
            self.isInternal = isInternal
            self.reply = reply
        }
    }

    public let created: Timestamp
    /// The age of the queue when the message came.
    public let born: Int64
    /// Of its Message-ID.
    public let fingerprint: MessageFingerprint?
    public let sender: ReversePath
    public let request: MessageRequest
    public let origin: Origin
    /// By the envelope's number.
    public var recipients: [UInt32: Recipient] = [:]

    // The first byte of both payloads; another one is not read. The older layout of attributes knew no age of the queue
    // and no fingerprint.
    private static let layout: UInt8 = 1
    private static let ageLayout: UInt8 = 2
    // The first two layouts of attributes have a request that ends behind BODY, the third one without a priority.
    private static let deadlineLayout: UInt8 = 3
    private static let attributeLayout: UInt8 = 4

    /// What all envelopes share: layout:1 created:8 born:8 fingerprint sender request origin.
    public static func attributes(
        created: Timestamp, born: Int64, fingerprint: MessageFingerprint?, sender: ReversePath, origin: Origin,
        request: MessageRequest
    ) -> [UInt8] {
        var bytes: [UInt8] = [attributeLayout]
        created.encode(to: &bytes)
        born.encode(to: &bytes)
        fingerprint.encode(to: &bytes)
        sender.encode(to: &bytes)
        request.encode(to: &bytes)
        origin.encode(to: &bytes)
        return bytes
    }

    /// layout:1 count:4, then for each: number:4 recipient destination dispatch report internal:1.
    public static func envelopes(_ recipients: [(UInt32, Recipient)]) -> [UInt8] {
        var bytes: [UInt8] = [layout]
        UInt32(recipients.count).encode(to: &bytes)
        for (number, recipient) in recipients {
            number.encode(to: &bytes)
            recipient.recipient.encode(to: &bytes)
            recipient.destination.encode(to: &bytes)
            recipient.dispatch.encode(to: &bytes)
            recipient.report.encode(to: &bytes)
            recipient.isInternal.encode(to: &bytes)
        }
        return bytes
    }

    public init(attributes: [UInt8], envelopes: [UInt8], isDone: (UInt32) -> Bool) throws(WireError) {
        var reader = WireReader(attributes, 0..<attributes.count)
        let layout: UInt8 = try reader.value()
        created = try reader.value()
        switch layout {
        case Self.attributeLayout, Self.deadlineLayout, Self.ageLayout:
            born = try reader.value()
            fingerprint = try reader.value()
        case Self.layout:
            // The queue's age began as what the wall clock says.
            born = created.seconds
            fingerprint = nil
        default: throw .valueOutOfRange
        }
        sender = try reader.value()
        switch layout {
        case Self.attributeLayout: request = try reader.value()
        case Self.deadlineLayout: request = try MessageRequest(third: &reader)
        default: request = try MessageRequest(first: &reader)
        }
        origin = try reader.value()
        try reader.finish()
        var list = WireReader(envelopes, 0..<envelopes.count)
        guard try list.value(UInt8.self) == Self.layout else { throw .valueOutOfRange }
        for _ in 0..<(try list.count(ofAtLeast: 16)) {
            let number: UInt32 = try list.value()
            let recipient = Recipient(
                recipient: try list.value(), destination: try list.value(), dispatch: try list.value(),
                report: try list.value(), isInternal: try list.value())
            if !isDone(number) { recipients[number] = recipient }
        }
        try list.finish()
    }

    /// What became of a recipient so far, and where it goes now.
    public mutating func apply(_ progress: EnvelopeProgress, to number: UInt32) {
        recipients[number]?.reply = progress.reply
        guard let rerouting = progress.rerouting else { return }
        recipients[number]?.destination = rerouting.destination
        recipients[number]?.dispatch = rerouting.dispatch
    }
}

extension MessageRequest {
    /// How long after `created` the message may wait, where `usual` holds without its sender's wishes.
    public func lifetime(_ usual: Interval, created: Timestamp) -> Interval {
        var lifetime = usual
        // RFC 4865 section 3: the time for retries begins with the release.
        if let release = notBefore { lifetime = lifetime + max(.seconds(0), release - created) }
        // RFC 2852 section 4.1.5
        if let deadline, deadline.mode == .giveUp {
            lifetime = min(lifetime, max(.seconds(1), deadline.time - created))
        }
        return lifetime
    }
}

/// What the spool keeps of an envelope between its acceptance and its end.
public struct EnvelopeProgress: Sendable {
    public enum State: UInt8, Sendable, WireValue {
        case waiting = 1
        case suspended = 2
        case held = 3
        case awaitingNotice = 4
        case done = 5
        /// Delivered; its sender asked to be told, and was not yet.
        case owesSuccess = 6
        /// Its time has passed; its sender was not told yet.
        case expired = 7
        /// An administrator removed it while it was in hand.
        case removing = 8

    }

    /// By which action it goes now, where that is not the one with which it came.
    public struct Rerouting: Sendable, WireValue {
        public var destination: Mailbox
        public var dispatch: Dispatch

        public init(destination: Mailbox, dispatch: Dispatch) {
            self.destination = destination
            self.dispatch = dispatch
        }

        public func encode(to output: inout [UInt8]) {
            destination.encode(to: &output)
            dispatch.encode(to: &output)
        }

        public init(from reader: inout WireReader) throws(WireError) {
            self.init(destination: try reader.value(), dispatch: try reader.value())
        }
    }

    public var state: State
    public var attempts: UInt32
    public var lastTry: Timestamp?
    public var lastWarning: Interval?
    public var reply: Reply?
    public var rerouting: Rerouting?

    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        state.encode(to: &bytes)
        attempts.encode(to: &bytes)
        lastTry.encode(to: &bytes)
        lastWarning.encode(to: &bytes)
        reply.encode(to: &bytes)
        // Left out where there is none, as they were before there could be one.
        let host = reply?.host
        if rerouting != nil || host != nil { rerouting.encode(to: &bytes) }
        if host != nil { host.encode(to: &bytes) }
        return bytes
    }

    public init(
        _ state: State, attempts: Int = 0, lastTry: Timestamp? = nil, lastWarning: Interval? = nil, reply: Reply? = nil
    ) {
        self.state = state
        self.attempts = UInt32(clamping: attempts)
        self.lastTry = lastTry
        self.lastWarning = lastWarning
        self.reply = reply
    }

    public init(decoding bytes: [UInt8]) throws(WireError) {
        var reader = WireReader(bytes, 0..<bytes.count)
        state = try reader.value()
        attempts = try reader.value()
        lastTry = try reader.value()
        lastWarning = try reader.value()
        reply = try reader.value()
        rerouting = reader.remaining > 0 ? try reader.value() : nil
        if reader.remaining > 0 { reply?.host = try reader.value(Domain?.self) }
        try reader.finish()
    }
}
