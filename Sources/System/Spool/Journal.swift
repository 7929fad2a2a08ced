// SPDX-License-Identifier: ISC

import Bytes
import Glibc
import Posix

/// The directories of a spool. Descriptors only, so that it works in a chroot and below long paths.
final class SpoolDirectories {
    let root: FileDescriptor
    let lock: SpoolFile
    let journal: SpoolFile
    let bodies: SpoolFile
    let aside: SpoolFile

    init(
        root: consuming FileDescriptor, lock: SpoolFile, journal: SpoolFile, bodies: SpoolFile, aside: SpoolFile
    ) {
        self.root = root
        self.lock = lock
        self.journal = journal
        self.bodies = bodies
        self.aside = aside
    }
}

/// What `calls` has opened, closed by them with its last holder.
final class SpoolFile {
    let number: Int32
    private let calls: any SpoolCalls

    init(_ number: Int32, _ calls: any SpoolCalls) {
        self.number = number
        self.calls = calls
    }

    deinit { calls.close(number) }
}

/// The writing side of the journal; belongs to the sync thread alone once that has started.
///
/// A turn takes all that waits, writes it in as few batches as it fits in, each with one sync, tells the loop after
/// each, and then prepares segments until something waits again. Numbers, the epoch and the known durable number are
/// added here, so that the order in the journal is the order of writing.
final class Journal {
    struct Segment {
        var number: UInt64
        var file: Int32
        var position: Int
    }

    struct PendingWrite {
        var token: UInt64
        var content: RecordContent
    }

    struct OpenBody {
        var file: Int32
        var failure: SpoolError?
        /// Where it is compressed or encrypted.
        var parts: BodyPartWriter?
        /// Of the file.
        var size = 0
        /// Bytes whose writing out has not begun.
        var waiting = 0
    }

    /// A segment that leaves the journal.
    struct Free {
        var segment: UInt64
        /// Set aside as it is, instead of being used again.
        var isKept = false
        /// Numbers that nobody looks for when it is gone.
        var settled: [ClosedRange<UInt64>] = []
    }

    struct Start {
        var epoch: UInt64
        var nextNumber: UInt64
        var durable: UInt64
        var nextSegment: UInt64
        /// Files that may become segments again.
        var material: [String]
    }

    let calls: any SpoolCalls
    let handover: Handover
    let directories: SpoolDirectories
    let options: SpoolOptions
    let segmentSize: Int
    let epoch: UInt64
    var nextNumber: UInt64
    var durable: UInt64
    /// Void ranges that no durable record tells yet.
    var doubtful: [ClosedRange<UInt64>]
    var current: Segment?
    /// Of the current segment, while it will have one.
    var index: SegmentIndex?
    let unsealer: Unsealer
    /// Of messages that were refused and may be on the disk all the same, until that is voided.
    var doubtfulBodies: [UInt64] = []
    var ready: [Segment] = []
    var nextSegment: UInt64
    var material: [String]
    var preparation: Preparation?
    /// Why no segment could be prepared, and when that is tried again.
    var blockage: (error: SpoolError, until: UInt64)?
    var frees: [Free] = []
    var freesBlockedUntil: UInt64?
    var pending: [PendingWrite] = []
    /// When the held ones are tried again.
    var heldUntil: UInt64?
    /// Outcomes and notes that could not be written, and why; what is recorded later queues up behind them.
    var held: [PendingWrite] = []
    var heldError = SpoolError.full
    var bodies: [UInt64: OpenBody] = [:]
    var events: [SpoolEvent] = []
    var counts = JournalCounts()
    var reader: Segment?
    var buffer: UnsafeMutableRawBufferPointer
    /// Bytes of the batch written last.
    var lastBatch = 0

    static let retryInterval: UInt64 = 1000

    init(
        calls: any SpoolCalls, handover: Handover, directories: SpoolDirectories, options: SpoolOptions, start: Start
    ) {
        self.calls = calls
        self.handover = handover
        self.directories = directories
        self.options = options
        segmentSize = options.segmentSize.value
        unsealer = Unsealer(options.keys)
        epoch = start.epoch
        nextNumber = start.nextNumber
        durable = start.durable
        doubtful = []
        nextSegment = start.nextSegment
        material = start.material
        buffer = .allocate(byteCount: RecordLayout.padded(options.batchSize.value), alignment: RecordLayout.block)
    }

    deinit {
        for segment in ready { calls.close(segment.file) }
        for body in bodies.values { calls.close(body.file) }
        if let current { calls.close(current.file) }
        if let reader { calls.close(reader.file) }
        if let preparation { calls.close(preparation.file) }
        buffer.deallocate()
    }

    /// The life of the sync thread.
    func run() {
        flush()
        tell()
        while turn(handover.take(until: nextDeadline)) {}
    }

    /// Does what it is given; false when that was the last.
    func turn(_ work: Handover.Work) -> Bool {
        // Outcomes that failed go before what came later: an older one must not overtake a newer one.
        if !held.isEmpty, work.isStopping || heldUntil.map({ $0 <= calls.now() }) ?? false {
            pending = held + pending
            held = []
            heldUntil = nil
        }
        for job in work.jobs { perform(job) }
        flush()
        tell()
        if work.isStopping {
            finish()
            return false
        }
        maintain()
        flush()
        tell()
        return true
    }

    /// For one that has no thread: a turn; whether there is more to do now.
    func turnByHand() -> Bool {
        flush()
        guard turn(handover.take(until: 0)) else { return false }
        return handover.hasUrgentJobs || nextDeadline.map { $0 <= calls.now() } ?? false
    }

    func tell() {
        if events.isEmpty { return }
        handover.tell(events, counts)
        events.removeAll(keepingCapacity: true)
    }

    var nextDeadline: UInt64? {
        [maintenanceDeadline, heldUntil].compactMap { $0 }.min()
    }

    private func perform(_ job: SpoolJob) {
        switch job {
        case .write(let token, let content): pending.append(PendingWrite(token: token, content: content))
        case .move(let token, let location, let identity): move(token, location, identity)
        case .read(let token, let location): events.append(.content(token: token, pieces(at: location)))
        case .makeBody(let number): makeBody(number)
        case .appendBody(let token, let number, let bytes):
            events.append(.body(token: token, appendBody(number, bytes)))
        case .settle(let ranges): doubtful += ranges
        case .removeBody(let number): removeBody(number)
        case .setBodyAside(let number): setBodyAside(number)
        case .free(let segment): free(Free(segment: segment))
        case .setAside(let segment, let ranges): free(Free(segment: segment, isKept: true, settled: ranges))
        }
    }

    private func free(_ what: Free) {
        frees.append(what)
        // What is freed is room: waiting for the next attempt would refuse mail for nothing.
        blockage = nil
        if heldUntil != nil { heldUntil = 0 }
    }

    /// A last record tells recovery that all before it was durable: damage to it is then seen as such.
    private func finish() {
        for write in held { events.append(.written(token: write.token, .failure(.closed))) }
        held = []
        if current != nil, counts.records > 0 { writeMark() }
        sealSegment()
        tell()
    }

    // MARK: Reading

    func pieces(at location: RecordLocation) -> Result<[SpoolPiece], SpoolError> {
        switch payload(at: location) {
        case .failure(let error): return .failure(error)
        case .success(let (type, bytes)):
            let message = bytes.withUnsafeBytes { type == .message ? MessageRecord($0, .all) : nil }
            return message.map { .success($0.pieces) } ?? .failure(.damaged)
        }
    }

    private func payload(at location: RecordLocation) -> Result<(RecordType, [UInt8]), SpoolError> {
        do throws(SystemError) {
            let file = try file(of: location.segment)
            let record = UnsafeMutableRawBufferPointer.allocate(byteCount: location.length, alignment: 8)
            defer { record.deallocate() }
            let bytes = UnsafeRawBufferPointer(record)
            if let found = opened(bytes, try calls.read(file, record, at: location.offset)) { return .success(found) }
            // What is wrong may be the page cache alone: the disk itself is asked before mail is given up.
            calls.forgetCache(file)
            let count = try calls.read(file, record, at: location.offset)
            if let found = opened(bytes, count) { return .success(found) }
            keepAside(UnsafeRawBufferPointer(rebasing: bytes[..<count]), location)
            return .failure(.damaged)
        } catch {
            return .failure(.system(error))
        }
    }

    /// The payload of a record of which `count` bytes were read; nil when it is not what was written.
    private func opened(_ record: UnsafeRawBufferPointer, _ count: Int) -> (RecordType, [UInt8])? {
        guard count == record.count, let header = RecordHeader(in: record, at: 0), header.length == count,
            let plain = try? unsealer.withPayload(of: record, header, { Array($0) })
        else { return nil }
        return (header.type, plain)
    }

    /// Damage that recovery could not see is kept as it was found, and told of, once.
    private func keepAside(_ bytes: UnsafeRawBufferPointer, _ location: RecordLocation) {
        let name = SpoolNames.damaged(location.segment, location.offset)
        do throws(SystemError) {
            let file = try calls.open(directories.aside.number, name, O_WRONLY | O_CREAT | O_EXCL)
            defer { calls.close(file) }
            try calls.write(file, bytes, at: 0)
            events.append(
                .report(
                    "corruption: record at \(location.offset) of segment \(SpoolNames.segment(location.segment)), "
                        + "set aside as \(name)"))
        } catch {
            if error.code != EEXIST { events.append(.report("\(name) is not set aside: \(error)")) }
        }
    }

    private func file(of segment: UInt64) throws(SystemError) -> Int32 {
        if let current, current.number == segment { return current.file }
        if let reader, reader.number == segment { return reader.file }
        closeReader()
        let file = try calls.open(directories.journal.number, SpoolNames.segment(segment), O_RDONLY)
        reader = Segment(number: segment, file: file, position: 0)
        return file
    }

    func closeReader() {
        if let reader { calls.close(reader.file) }
        reader = nil
    }

    private func move(_ token: UInt64, _ location: RecordLocation, _ identity: UInt64) {
        switch payload(at: location) {
        case .failure(let error): events.append(.written(token: token, .failure(error)))
        case .success((let type, var bytes)):
            if type == .message {
                bytes.withUnsafeMutableBytes { $0.storeBytes(of: identity.littleEndian, as: UInt64.self) }
            } else if type == .outcome, bytes.count >= RecordLayout.outcomeSize {
                bytes[OutcomeRecord.flagsAt] |= UInt8(OutcomeRecord.movedFlag)
            }
            pending.append(PendingWrite(token: token, content: .copy(type, bytes)))
        }
    }
}

/// How the files of a spool are called.
enum SpoolNames {
    static let lock = "lock"
    static let journal = "journal"
    static let bodies = "bodies"
    static let aside = "aside"

    static func segment(_ number: UInt64) -> String { name(number, "seg") }
    static func spare(_ number: UInt64) -> String { name(number, "spare") }
    static func body(_ number: UInt64) -> String { name(number, "body") }

    static func damaged(_ segment: UInt64, _ offset: Int) -> String {
        Hexadecimal.text(segment, width: 16) + "-" + Hexadecimal.text(UInt64(offset), width: 8)
    }

    private static func name(_ number: UInt64, _ kind: String) -> String {
        Hexadecimal.text(number, width: 16) + "." + kind
    }

    /// The number in a name of this kind; nil for any other name.
    static func number(_ name: String, _ kind: String) -> UInt64? {
        guard name.hasSuffix("." + kind) else { return nil }
        return Hexadecimal.value(name.dropLast(kind.utf8.count + 1), width: 16)
    }
}
