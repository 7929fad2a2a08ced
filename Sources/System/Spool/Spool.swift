// SPDX-License-Identifier: ISC

public import Bytes
public import Mail
public import Posix

/// Where messages are safe: what `commit` has answered survives a crash of the process, the kernel and the power.
///
/// Everything here is called from the thread of the loop, and every completion runs there: inside `turn`, which the
/// loop calls when `wakeDescriptor` is readable. Only content that is still in memory is handed back at once.
public protocol Spool: AnyObject {
    /// Readable when `turn` has something to do.
    var wakeDescriptor: Int32 { get }
    /// Runs the completions of what has ended.
    func turn()

    /// Makes a message durable; answered after the sync of its batch. The body of a message is used up by it.
    func commit(
        _ message: SpoolMessage, completion: @escaping (Result<SpoolPosition, SpoolError>) -> Void)
    /// Keeps what became of an envelope. An outcome is never dropped: it is written again until it is durable.
    func record(_ outcome: SpoolOutcome, durability: SpoolDurability)
    /// Keeps a value of another daemon's state; the latest of a key counts, an empty one forgets the key.
    func note(_ key: [UInt8], _ value: [UInt8], durability: SpoolDurability)
    /// The pieces of a message. `completion` runs before this returns when they are still in memory.
    func content(of position: SpoolPosition, completion: @escaping (Result<[SpoolPiece], SpoolError>) -> Void)

    /// A file of its own for a large body.
    func makeBody() -> SpoolBody
    /// The body file of a message, read-only; it may be handed to another process.
    func openBody(_ position: SpoolPosition) throws(SpoolError) -> FileDescriptor

    /// Bytes that the file system would still take.
    var freeSpace: ByteCount { get }
    var statistics: SpoolStatistics { get }
    /// What was ever accepted, and how it ended.
    var tally: SpoolTally { get }
    /// Writes what still waits, runs the completions and gives the lock back. Nothing may be called afterwards.
    func close()
}

/// Which message of the spool; stays the same for its whole life, restarts included.
public struct SpoolPosition: Hashable, Comparable, Sendable {
    /// The log sequence number of the record with which the message was committed; never used again.
    public let sequenceNumber: UInt64

    public init(sequenceNumber: UInt64) { self.sequenceNumber = sequenceNumber }

    public static func < (left: SpoolPosition, right: SpoolPosition) -> Bool {
        left.sequenceNumber < right.sequenceNumber
    }
}

/// A part of a message, in the order in which it is sent: new bytes, or a range of the body file.
public enum SpoolPiece: Hashable, Sendable {
    case bytes([UInt8])
    case body(offset: UInt64, count: UInt64)

    public var count: UInt64 {
        switch self {
        case .bytes(let bytes): UInt64(bytes.count)
        case .body(_, let count): count
        }
    }
}

/// A message to be committed. Envelopes and attributes are opaque here.
public struct SpoolMessage {
    public var id: MessageID
    /// The message is dead when as many different envelopes have had their final outcome.
    public var envelopeCount: UInt32
    public var envelopes: [UInt8]
    public var attributes: [UInt8]
    public var pieces: [SpoolPiece]
    /// Needed when a piece is a range of it.
    public var body: SpoolBody?

    public init(
        id: MessageID, envelopeCount: UInt32, envelopes: [UInt8], attributes: [UInt8] = [], pieces: [SpoolPiece],
        body: SpoolBody? = nil
    ) {
        self.id = id
        self.envelopeCount = envelopeCount
        self.envelopes = envelopes
        self.attributes = attributes
        self.pieces = pieces
        self.body = body
    }
}

/// What became of one envelope; the latest counts, and nothing comes after a final one.
public struct SpoolOutcome: Hashable, Sendable {
    public var message: SpoolPosition
    public var envelope: UInt32
    /// The first byte of that of a final one is its kind in the tally.
    public var payload: [UInt8]
    /// The envelope is done: delivered, failed or removed.
    public var isFinal: Bool

    public init(message: SpoolPosition, envelope: UInt32, payload: [UInt8], isFinal: Bool) {
        self.message = message
        self.envelope = envelope
        self.payload = payload
        self.isFinal = isFinal
    }
}

/// When a record has to be on the disk.
public enum SpoolDurability {
    /// With the next batch, after a second at the latest.
    case lazy
    /// As lazy; the closure is called once it is durable, or when there is nothing that it could be kept for. It is not
    /// called while the disk refuses it, and never when the spool is closed before.
    case told(() -> Void)
    /// Now; `completion` hears of it.
    case now((Result<Void, SpoolError>) -> Void)
}

/// Why the spool could not do what was asked; all are temporary towards a client (452).
public enum SpoolError: Error, Hashable, Sendable, CustomStringConvertible {
    /// No room on the disk but what belongs to outcomes.
    case full
    /// Larger than a segment can hold.
    case tooLarge
    /// Another process has the spool.
    case locked
    /// What is there was encrypted with a key that was not given.
    case keyMissing(version: UInt32)
    /// No such message, or it has no body file.
    case unknown
    /// The record is there and is not what was written.
    case damaged
    case closed
    case system(SystemError)

    public var description: String {
        switch self {
        case .full: "no room in the spool"
        case .tooLarge: "larger than a segment of the spool"
        case .locked: "another process has the spool"
        case .keyMissing(let version):
            "what is in the spool was encrypted with another key (version \(Hexadecimal.text(UInt64(version), width: 8)))"
        case .unknown: "no such message in the spool"
        case .damaged: "record damaged"
        case .closed: "spool closed"
        case .system(let error): error.description
        }
    }
}

/// Counts since the start, and what is there now.
public struct SpoolStatistics: Hashable, Sendable {
    public var messages = 0
    public var segments = 0
    /// Of the records that are still needed.
    public var liveBytes = 0
    public var batches = 0
    /// Written to the journal.
    public var bytes = 0
    public var records = 0
    public var failedSyncs = 0
    public var movedRecords = 0

    public init() {}
}

/// Sizes and thresholds of a spool on disk.
public struct SpoolOptions: Sendable {
    /// A multiple of 4 KiB; segments of another size that are there already stay readable.
    public var segmentSize = ByteCount.mebibytes(16)
    /// What is written and synced at once at most, unless one record alone is larger.
    public var batchSize = ByteCount.mebibytes(1)
    /// Content of committed messages kept in memory.
    public var cacheSize = ByteCount.mebibytes(64)
    /// Prepared segments that new mail may not use.
    public var reservedSegments = 2
    /// Left alone on the file system when a new segment or body is made.
    public var minimumFree = ByteCount.mebibytes(32)
    /// The same in files.
    public var minimumFiles = 16
    /// What is written from now on is compressed where that helps.
    public var isCompressed = false
    /// What is written from now on is encrypted when there is a current one.
    public var keys = SpoolKeys()
    /// The oldest segment is cleaned when there are more, and less than a quarter of their bytes is live.
    public var cleaningThreshold = 64

    public init() {}
}
