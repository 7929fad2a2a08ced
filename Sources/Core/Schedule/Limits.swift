// SPDX-License-Identifier: ISC

/// How much may be in hand at once; names and defaults are those of `scheduler limit` and `mda limit`.
public struct Limits: Hashable, Sendable {
    public struct Scheduler: Hashable, Sendable {
        /// Recipients in the hands of all workers. Of these, relays leave alone what local deliveries may need.
        public var maxInflight = 5000
        /// Messages handed out in one turn of the loop, each to one destination or to all of its mailboxes.
        public var maxSchedule = 10
        public var maxEnvelopeBatchSize = 256
        public var maxMessageBatchSize = 1024

        public init() {}
    }

    public struct Local: Hashable, Sendable {
        public var maxSession = 50
        public var maxSessionPerUser = 7
        public var taskHighWater = 50
        public var taskLowWater = 30
        public var taskRelease = 10
        /// Recipients that each action may have in hand. Beyond that it has no more than it leaves to the others.
        public var ampleForAction = 50
        /// Content in the memory of the workers, in bytes.
        public var maxBytes = 16 << 20

        public init() {}
    }

    public struct Relay: Hashable, Sendable {
        /// Recipients of one message handed to a worker together: the count that every server takes
        /// (RFC 5321 section 4.5.3.1.8).
        public var maxBatch = 100
        public var maxBatchesPerDestination = 100
        /// Messages that a destination may have in hand of which nothing has arrived yet, and that it always may. Each
        /// delivery adds one, each failure of its host halves the number.
        public var firstWindow = 5
        public var leastWindow = 2
        /// Recipients that one success wakes when the host was down: `mta max-deferred`.
        public var maxDeferred = 100
        /// As that of local deliveries, and apart from it: slow hosts never starve mailboxes.
        public var maxBytes = 48 << 20

        public init() {}
    }

    public var scheduler = Scheduler()
    public var local = Local()
    public var relay = Relay()
    /// A larger message lies in a file of its own, and hardly any of it in memory.
    public var largestInMemory = 256 << 10

    public init() {}

    /// What relays leave of `maxInflight` for local deliveries, which are one recipient each.
    var reserved: Int { min(local.maxSession, scheduler.maxInflight / 2) }

    /// The bytes that a message of `size` takes in the memory of a worker.
    func cost(ofSize size: UInt64) -> Int { size > UInt64(largestInMemory) ? Self.costOfFile : Int(size) }

    // The fields that were added before the content, and what belongs to a descriptor.
    private static let costOfFile = 4096

    /// Sets the `scheduler limit` called `name`; false when there is none of that name or the value is below 1.
    public mutating func setScheduler(_ name: String, to value: Int) -> Bool {
        switch name {
        case "max-inflight": Self.set(&scheduler.maxInflight, to: value)
        case "max-schedule": Self.set(&scheduler.maxSchedule, to: value)
        case "max-evp-batch-size": Self.set(&scheduler.maxEnvelopeBatchSize, to: value)
        case "max-msg-batch-size": Self.set(&scheduler.maxMessageBatchSize, to: value)
        default: false
        }
    }

    /// Sets the `mda limit` called `name`; false when there is none of that name or the value is below 1.
    public mutating func setLocal(_ name: String, to value: Int) -> Bool {
        switch name {
        case "max-session": Self.set(&local.maxSession, to: value)
        case "max-session-per-user": Self.set(&local.maxSessionPerUser, to: value)
        case "task-hiwat": Self.set(&local.taskHighWater, to: value)
        case "task-lowat": Self.set(&local.taskLowWater, to: value)
        case "task-release": Self.set(&local.taskRelease, to: value)
        default: false
        }
    }

    private static func set(_ limit: inout Int, to value: Int) -> Bool {
        guard value > 0 else { return false }
        limit = value
        return true
    }
}
