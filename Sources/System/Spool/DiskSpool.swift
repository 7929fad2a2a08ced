// SPDX-License-Identifier: ISC

public import Bytes
import Glibc
import Mail
public import Posix

/// The spool on the disk: the loop's side, which knows where each live record is, before the sync thread, which writes.
///
/// A record is live when recovery would need it: a message with an envelope that is not done, the latest outcome of
/// each of its envelopes, the latest note of a key. Segments are freed from the oldest on, when nothing in them is
/// live; so whatever a tombstone cancels is gone before it goes. Only cleaning can put a message behind what cancels
/// it, and then the outcomes are written again before the message is given up: by this process, or by the next one.
public final class DiskSpool: Spool {
    struct Usage {
        var records = 0
        var bytes = 0
    }

    /// Segments of which the disk did not give all at the start, and the numbers that may be in them.
    struct Unread {
        var segments: Set<UInt64> = []
        var numbers: [ClosedRange<UInt64>] = []
        /// With more in use they are set aside, so that those behind them can be freed.
        var mostSegments = 0
    }

    enum Waiting {
        case commit(SpoolMessage, body: UInt64, bodySize: UInt64, (Result<SpoolPosition, SpoolError>) -> Void)
        case outcome(SpoolOutcome, ((Result<Void, SpoolError>) -> Void)?, settled: (() -> Void)?)
        case note([UInt8], isEmpty: Bool, ((Result<Void, SpoolError>) -> Void)?, settled: (() -> Void)?)
        case content((Result<[SpoolPiece], SpoolError>) -> Void)
        case body((Result<Void, SpoolError>) -> Void)
        case move(Moved)
    }

    /// Who writes: a thread that does nothing else, or nobody until `runUntilIdle` is called, as in a test.
    enum Threading { case ownThread, byHand }

    enum JournalRunner {
        case thread(SyncThread)
        case caller(Journal)
    }

    enum Moved {
        case message(UInt64)
        case outcome(UInt64, envelope: UInt32)
        case note([UInt8])
    }

    let handover: Handover
    let options: SpoolOptions
    let calls: any SpoolCalls
    private(set) var directories: SpoolDirectories?
    private(set) var runner: JournalRunner?
    private var nextToken: UInt64 = 1
    var waiting: [UInt64: Waiting] = [:]
    private var nextBody: UInt64
    var cache: ContentCache
    var messages = LiveTable()
    var notes: [[UInt8]: Kept] = [:]
    /// Segments in use, in their order; the last is being written. Those of earlier lives come with their recovery.
    var order: [UInt64] = []
    var unread = Unread()
    /// All that was there before is known; until then nothing is freed or moved.
    var isRecovered = false
    let unsealer: Unsealer
    var usage: [UInt64: Usage] = [:]
    var liveBytes = 0
    var movesInFlight = 0
    var movedRecords = 0
    public internal(set) var tally = SpoolTally()
    /// As the last note of it has it.
    var notedTally = SpoolTally()
    /// Nothing could be moved for want of room, or because the disk fails: until there is a new segment.
    var isCleaningHeld = false
    /// Messages that are done, and whose older outcomes could not be written again.
    var unburied: Set<UInt64> = []
    /// The segment, and how much of it was live, when nothing in it could be moved.
    var fruitless: (segment: UInt64, records: Int)?
    /// New mail was refused for want of room: cleaning is worth more than what it costs.
    var isShort = false
    /// Hears what the log should tell: a failed sync, a full disk.
    public var report: ((String) -> Void)?
    /// Hears of a record that is damaged on the disk while its message lives, the message itself or the last outcome of an
    /// envelope. Whoever still knows what was in it says it anew, or ends it: the next start knows nothing of it.
    public var damage: ((SpoolPosition, _ envelope: UInt32?) -> Void)?

    /// Hears when a segment has been begun: what is noted now stands near its beginning, and is among the last notes when
    /// the next process opens the spool.
    public var segmentBegan: (() -> Void)?
    /// Body files in which damage was found once.
    var suspectBodies: Set<UInt64> = []

    init(
        calls: any SpoolCalls, handover: Handover, directories: SpoolDirectories, options: SpoolOptions,
        nextBody: UInt64
    ) {
        self.calls = calls
        self.handover = handover
        self.directories = directories
        self.options = options
        self.nextBody = nextBody
        cache = ContentCache(limit: options.cacheSize.value)
        unsealer = Unsealer(options.keys)
    }

    func start(_ journal: Journal, _ threading: Threading) throws(SystemError) {
        switch threading {
        case .ownThread: runner = .thread(try SyncThread(journal))
        case .byHand: runner = .caller(journal)
        }
    }

    /// For one without a thread: does all that waits, and runs the completions.
    func runUntilIdle() {
        guard case .caller(let journal) = runner else { return }
        var hasMore = true
        while hasMore {
            hasMore = journal.turnByHand()
            turn()
            hasMore = hasMore || handover.hasUrgentJobs
        }
    }

    /// For one without a thread: its end as a crash would have it.
    func abandon() {
        guard case .caller = runner else { return }
        runner = nil
        directories = nil
    }

    deinit { close() }

    public var wakeDescriptor: Int32 { handover.wake.number }

    public func turn() {
        for event in handover.takeEvents() { take(event) }
        freeSegments()
        cleanOldest()
    }

    // MARK: What is asked

    public func commit(
        _ message: SpoolMessage, completion: @escaping (Result<SpoolPosition, SpoolError>) -> Void
    ) {
        var body: UInt64 = 0
        var bodySize: UInt64 = 0
        if let file = message.body {
            bodySize = file.size
            body = file.take() ?? 0
        }
        let record = MessageRecord(
            bodyFile: body, bodySize: bodySize, id: message.id, envelopeCount: message.envelopeCount,
            envelopes: message.envelopes, attributes: message.attributes, pieces: message.pieces)
        let token = expect(.commit(message, body: body, bodySize: bodySize, completion))
        let isBodyMissing = message.body != nil && body == 0
        let refusal: SpoolError? =
            runner == nil
            ? .closed
            : isBodyMissing || message.envelopeCount == 0 || !message.isWithin(bodySize)
                ? .unknown : record.payloadLength > largestPayload ? .tooLarge : nil
        if let refusal {
            if body != 0 { discardBody(body) }
            handover.post([.written(token: token, .failure(refusal))])
        } else {
            handover.put(.write(token: token, .message(record)), isLazy: false)
        }
    }

    public func record(_ outcome: SpoolOutcome, durability: SpoolDurability) {
        let token = expect(.outcome(outcome, durability.completion, settled: durability.settled))
        let number = outcome.message.sequenceNumber
        let kept = messages[number]?.outcomes[outcome.envelope] ?? Kept()
        let refusal: SpoolError? =
            runner == nil
            ? .closed
            : messages[number] == nil || kept.isFinal
                ? .unknown : outcome.payload.count + RecordLayout.outcomeSize > largestPayload ? .tooLarge : nil
        if let refusal {
            handover.post([.written(token: token, .failure(refusal))])
            return
        }
        messages[number]?.outcomes[outcome.envelope, default: Kept()].pending += 1
        if outcome.isFinal { messages[number]?.outcomes[outcome.envelope]?.isFinal = true }
        let record = OutcomeRecord(
            message: number, envelope: outcome.envelope, isFinal: outcome.isFinal, payload: outcome.payload)
        handover.put(.write(token: token, .outcome(record)), isLazy: durability.isLazy)
    }

    public func note(_ key: [UInt8], _ value: [UInt8], durability: SpoolDurability) {
        let token = expect(
            .note(key, isEmpty: value.isEmpty, durability.completion, settled: durability.settled))
        let isTooLarge = key.count + value.count + RecordLayout.noteSize > largestPayload
        if runner == nil || isTooLarge {
            handover.post([.written(token: token, .failure(isTooLarge ? .tooLarge : .closed))])
            return
        }
        notes[key, default: Kept()].pending += 1
        handover.put(.write(token: token, .note(key: key, value: value)), isLazy: durability.isLazy)
    }

    public func content(
        of position: SpoolPosition, completion: @escaping (Result<[SpoolPiece], SpoolError>) -> Void
    ) {
        if let pieces = cache[position.sequenceNumber] {
            completion(.success(pieces))
            return
        }
        let token = expect(.content(completion))
        if runner != nil, let live = messages[position.sequenceNumber] {
            handover.put(.read(token: token, live.location), isLazy: false)
        } else {
            handover.post([.content(token: token, .failure(runner == nil ? .closed : .unknown))])
        }
    }

    public func makeBody() -> SpoolBody {
        let number = nextBody
        nextBody += 1
        handover.put(.makeBody(number), isLazy: false)
        return SpoolBody(number: number, store: self)
    }

    public func openBody(_ position: SpoolPosition) throws(SpoolError) -> FileDescriptor {
        let live = try body(position)
        switch live.bodyForm {
        case .plain:
            do throws(SystemError) { return try openBody(live.bodyFile) } catch { throw .system(error) }
        case .parts:
            let copy = try BodyCopy(live, self)
            while try !copy.step() {}
            guard let descriptor = copy.take() else { preconditionFailure("a copy is taken once") }
            return descriptor
        }
    }

    /// What others need of a body that cannot be handed to them as it stands; nil where it can.
    public func bodyCopy(_ position: SpoolPosition) throws(SpoolError) -> BodyCopy? {
        let live = try body(position)
        switch live.bodyForm {
        case .plain: return nil
        case .parts: return try BodyCopy(live, self)
        }
    }

    /// Whether damage that was found in a body is on the disk for certain: that is so the second time, the memory of the
    /// host left out between. The file is set aside when the message has ended.
    public func isDamageCertain(_ position: SpoolPosition) -> Bool {
        guard let file = messages[position.sequenceNumber]?.bodyFile, file != 0 else { return false }
        guard suspectBodies.insert(file).inserted else { return true }
        if let body = try? openBody(file) { calls.forgetCache(body.number) }
        return false
    }

    /// Bytes of a body, however it stands on the disk. They are read at once: let them be few.
    public func readBody(_ position: SpoolPosition, _ range: Range<UInt64>) throws(SpoolError) -> [UInt8] {
        let live = try body(position)
        guard range.upperBound <= live.bodySize else { throw .damaged }
        do throws(BodyPartReader.Fault) {
            let file: FileDescriptor
            do throws(SystemError) { file = try openBody(live.bodyFile) } catch { throw .system(error) }
            switch live.bodyForm {
            case .plain: return try BodyPartReader.read(calls, file.number, Int(range.lowerBound), range.count)
            case .parts:
                var reader = try BodyPartReader(live.bodyFile, file.number, calls, unsealer.cipher)
                return try reader.bytes(range)
            }
        } catch {
            throw SpoolError(error)
        }
    }

    private func body(_ position: SpoolPosition) throws(SpoolError) -> Live {
        guard directories != nil else { throw .closed }
        guard let live = messages[position.sequenceNumber], live.bodyFile != 0 else { throw .unknown }
        return live
    }

    func openBody(_ number: UInt64) throws(SystemError) -> FileDescriptor {
        guard let directories else { throw SystemError("openat", EBADF) }
        return FileDescriptor(owning: try calls.open(directories.bodies.number, SpoolNames.body(number), O_RDONLY))
    }

    public var freeSpace: ByteCount {
        guard let directories, let free = try? calls.room(directories.journal.number) else { return ByteCount(0) }
        return ByteCount(free.bytes)
    }

    public var statistics: SpoolStatistics {
        let counts = handover.currentCounts
        var result = SpoolStatistics()
        result.messages = messages.count
        result.segments = order.count
        result.liveBytes = liveBytes
        result.batches = counts.batches
        result.records = counts.records
        result.bytes = counts.bytes
        result.failedSyncs = counts.failedSyncs
        result.movedRecords = movedRecords
        return result
    }

    public func close() {
        guard let running = runner else { return }
        runner = nil
        handover.stop()
        switch running {
        case .thread(let thread): thread.join()
        case .caller(let journal): _ = journal.turn(handover.take(until: 0))
        }
        for event in handover.takeEvents() { take(event) }
        directories = nil
    }

    /// Largest payload that fits into a fresh segment with its header, a void record and padding.
    private var largestPayload: Int {
        options.segmentSize.value - 4 * RecordLayout.block - RecordLayout.headerSize - Cipher.overhead
    }

    func expect(_ what: Waiting) -> UInt64 {
        defer { nextToken += 1 }
        waiting[nextToken] = what
        return nextToken
    }
}

extension DiskSpool: BodyStore {
    func appendBody(
        _ number: UInt64, _ bytes: [UInt8], completion: ((Result<Void, SpoolError>) -> Void)?
    ) {
        guard runner != nil else {
            completion?(.failure(.closed))
            return
        }
        let token = expect(.body(completion ?? { _ in }))
        handover.put(.appendBody(token: token, number, bytes), isLazy: false)
    }

    func discardBody(_ number: UInt64) {
        if runner != nil { handover.put(.removeBody(number), isLazy: true) }
    }
}

extension SpoolDurability {
    var isLazy: Bool {
        switch self {
        case .lazy, .told: true
        case .now: false
        }
    }

    var completion: ((Result<Void, SpoolError>) -> Void)? {
        switch self {
        case .lazy, .told: nil
        case .now(let completion): completion
        }
    }

    var settled: (() -> Void)? {
        switch self {
        case .told(let settled): settled
        case .lazy, .now: nil
        }
    }
}

extension SpoolMessage {
    /// No piece reaches behind the end of a body of `size` bytes.
    func isWithin(_ size: UInt64) -> Bool {
        pieces.allSatisfy { piece in
            switch piece {
            case .bytes: true
            case .body(let offset, let count): offset <= size && count <= size - offset
            }
        }
    }
}
