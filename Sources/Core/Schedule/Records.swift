// SPDX-License-Identifier: ISC

import Mail

// What a queued recipient costs in memory is the sum of what stands here; see MemoryTests.

enum RecipientState: UInt8 {
    case waiting
    case inFlight
    case suspended
    case held
    case awaitingNotice
}

struct RecipientFlags: OptionSet {
    let rawValue: UInt8
    /// Deferred because the host did not answer: a success there makes it due.
    static let hostDown = RecipientFlags(rawValue: 1)
    /// Its place is in the line of suspects, not in that of its route.
    static let suspect = RecipientFlags(rawValue: 2)
    // What an administrator asked for while the recipient was in flight.
    static let removeAfter = RecipientFlags(rawValue: 4)
    static let suspendAfter = RecipientFlags(rawValue: 8)
    static let holdAfter = RecipientFlags(rawValue: 16)
    /// Awaits its notice because its time has passed, not because it was refused.
    static let expired = RecipientFlags(rawValue: 32)

    /// It has been given its moment by the rates.
    static let paced = RecipientFlags(rawValue: 64)

    static let wishes: RecipientFlags = [.removeAfter, .suspendAfter, .holdAfter]
}

struct RecipientRecord {
    /// When waiting, the next attempt; in flight, when this one began.
    var due: Int64
    var message: UInt32
    var number: UInt32
    var route: UInt32
    /// Names the one entry of a heap that counts; all others are leftovers.
    var stamp: UInt32
    /// Seconds after the creation of the message.
    var timeToLive: UInt32
    var batch: UInt32
    /// Seconds after creation, plus one; 0 for never.
    var lastTry: UInt32
    /// Seconds after creation of the latest delay warning; 0 for none.
    var lastWarning: UInt32
    var attempts: UInt16
    var state: RecipientState
    var flags: RecipientFlags
    var sender: MessagePace.SenderKey
}

struct MessageRecord {
    var position: UInt64
    var size: UInt64
    var created: Int64
    /// When `expire` looks at this message next; `Int64.max` for never.
    var armed = Int64.max
    var id: UInt32
    var serial: UInt32
    var recipients: UInt32 = 0
    /// Workers of each class that died with this message in hand, four bits for each.
    private var deathCounts: UInt8 = 0
    /// RFC 6710: of all its recipients.
    var priority: Int8
    /// Its batches in flight to mailboxes, which share the content.
    var localBatches: UInt16 = 0

    init(
        position: UInt64, size: UInt64, created: Int64, id: UInt32, serial: UInt32, priority: Int8
    ) {
        self.position = position
        self.size = size
        self.created = created
        self.id = id
        self.serial = serial
        self.priority = priority
    }

    static let mostDeaths: UInt8 = 15

    func deaths(in deliveryClass: DeliveryClass) -> UInt8 {
        switch deliveryClass {
        case .relay: deathCounts & 15
        case .local: deathCounts >> 4
        }
    }

    mutating func setDeaths(_ deaths: UInt8, in deliveryClass: DeliveryClass) {
        let deaths = min(deaths, Self.mostDeaths)
        switch deliveryClass {
        case .relay: deathCounts = deathCounts & 0xF0 | deaths
        case .local: deathCounts = deathCounts & 15 | deaths << 4
        }
    }
}

/// One attempt that a recipient waits for; recipients of one message stand together.
struct DueEntry: Comparable {
    var at: Int64
    var id: UInt64
    var slot: UInt32
    var stamp: UInt32

    static func < (left: DueEntry, right: DueEntry) -> Bool {
        if left.at != right.at { return left.at < right.at }
        if left.id != right.id { return left.id < right.id }
        return left.stamp < right.stamp
    }
}

/// When to look at a route or a message again; an entry of another serial or moment is a leftover.
struct TimerEntry: Comparable {
    var at: Int64
    var slot: UInt32
    var serial: UInt32

    static func < (left: TimerEntry, right: TimerEntry) -> Bool { left.at < right.at }
}

struct RouteRecord {
    var key: RouteKey
    /// Of a local route: which of the actions it belongs to.
    var action: UInt32?
    var due = Heap<DueEntry>()
    /// Those of messages with a priority, until they are due: then it decides where they stand in `due`.
    var later = Heap<DueEntry>()
    /// Entries of both that count.
    var live = 0
    /// Batches in flight, their recipients, and what they take of the memory of workers.
    var batches = 0
    var inFlight = 0
    var bytes = 0
    /// How many batches may be in flight: what a destination that hangs has in hand is missing elsewhere.
    var window: Int
    var recipients = 0
    /// Waiting recipients flagged `hostDown`.
    var hostDown = 0
    /// About how many are due and were not taken yet: a success wakes no more than can be used soon.
    var ready = 0
    /// It stands in the ring, or in the line of its action for a place there.
    var isInRing = false
    var armed = Int64.max
    var serial: UInt32
    /// Kept while a batch is in flight, so that the limits of a destination live in one process.
    var worker: WorkerID?
}

/// The local deliveries by one action.
struct ActionRecord {
    /// Recipients in flight, and what they take of the memory of workers.
    var inFlight = 0
    var bytes = 0
    /// The batches of each message, by its slot: they share its content.
    var sharers: [UInt32: Int] = [:]
    /// Routes with due work that wait because the action has its share.
    var parked = Ring()
}

struct BatchRecord {
    var message: UInt32
    var route: UInt32
    var worker: WorkerID
    var members: [UInt32]
    var remaining: Int
    /// In the memory of the worker, in bytes.
    var cost = 0
    var isAlone: Bool
}

struct ClassRecord {
    var ring = Ring()
    var timers = Heap<TimerEntry>()
    /// Recipients of messages that were in hand at two deaths of a worker.
    var suspects = Heap<DueEntry>()
    var liveSuspects = 0
    var batches = 0
    var inFlight = 0
    var bytes = 0
    var isPaused = false
    /// A suspect is in flight: nothing may join it.
    var runsAlone = false
    var aloneSince: Int64 = 0
    /// Suspects take at most half of the time of a class.
    var nextAlone = Int64.min
    var workers: [WorkerID] = []
}
