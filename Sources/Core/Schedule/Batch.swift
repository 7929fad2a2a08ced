// SPDX-License-Identifier: ISC

public import Mail

/// A message as the queue knows it: where it is stored and since when.
public struct QueuedMessage: Hashable, Sendable {
    public let id: MessageID
    /// Its log sequence number, or whatever names it in the store.
    public let position: UInt64
    /// Bytes.
    public let size: UInt64
    public let created: Instant

    public init(_ id: MessageID, position: UInt64, size: UInt64, created: Instant) {
        self.id = id
        self.position = position
        self.size = size
        self.created = created
    }
}

/// A recipient on its way into the queue, new or recovered.
public struct QueuedRecipient: Hashable, Sendable {
    public enum State: Hashable, Sendable {
        case waiting
        case suspended
        case held
        case awaitingNotice

        var recorded: RecipientState {
            switch self {
            case .waiting: .waiting
            case .suspended: .suspended
            case .held: .held
            case .awaitingNotice: .awaitingNotice
            }
        }
    }

    public var number: UInt32
    public var route: RouteKey
    public var timeToLive: Interval
    public var attempts: Int
    public var lastTry: Instant?
    /// The warning interval that was told last.
    public var lastWarning: Interval?
    public var notBefore: Instant?
    /// Of the message (RFC 6710), from -9 to 9: decides which of those that wait is tried first.
    public var priority: Int8 = 0
    public var state: State
    /// With `awaitingNotice`: its time had passed.
    public var hasExpired: Bool
    var sender = MessagePace.SenderKey.none

    public init(
        _ number: UInt32, route: RouteKey, timeToLive: Interval = .days(4), attempts: Int = 0, lastTry: Instant? = nil,
        lastWarning: Interval? = nil, notBefore: Instant? = nil, state: State = .waiting,
        hasExpired: Bool = false
    ) {
        self.number = number
        self.route = route
        self.timeToLive = timeToLive
        self.attempts = attempts
        self.lastTry = lastTry
        self.lastWarning = lastWarning
        self.notBefore = notBefore
        self.state = state
        self.hasExpired = hasExpired
    }

    /// Whose messages this one counts among; nobody's unless it is said.
    public mutating func count(for sender: ReversePath) {
        self.sender = sender.mailbox.map { MessagePace.SenderKey("\($0)") } ?? .none
    }
}

/// Recipients of one message that go the same way together.
public struct Batch: Hashable, Sendable {
    public let message: QueuedMessage
    public let route: RouteKey
    public let worker: WorkerID
    public let envelopes: [EnvelopeID]
    /// The message was in hand at two deaths: nothing is in flight beside it.
    public let isAlone: Bool
}

extension Batch {
    struct Bundle: Hashable {
        let position: UInt64
        let worker: WorkerID
    }

    /// What it is handed over with; nil where it goes by itself.
    var bundle: Bundle? {
        guard route.deliveryClass == .local, !isAlone else { return nil }
        return Bundle(position: message.position, worker: worker)
    }

    /// The same work in fewer pieces: what goes to the mailboxes of one message by one worker is handed over together,
    /// so that the message is read once for all of them. They have the route of the first.
    public static func joined(_ batches: [Batch]) -> [Batch] {
        var joined: [Batch] = []
        var places: [Bundle: Int] = [:]
        for batch in batches {
            guard let bundle = batch.bundle, let place = places[bundle] else {
                if let bundle = batch.bundle { places[bundle] = joined.count }
                joined.append(batch)
                continue
            }
            let first = joined[place]
            joined[place] = Batch(
                message: first.message, route: first.route, worker: first.worker,
                envelopes: first.envelopes + batch.envelopes, isAlone: false)
        }
        return joined
    }
}
