// SPDX-License-Identifier: ISC

import Bytes
import Glibc
import Mail
public import Posix

/// A spool that has just been opened, and what was in it.
public struct OpenedSpool {
    public let spool: DiskSpool
    public let recovered: RecoveredSpool
}

extension DiskSpool {
    /// Opens the spool in `directory`, made where it is empty; reads all of the journal and begins a new epoch.
    ///
    /// Throws `.locked` while another process has it.
    public static func open(
        directory: consuming FileDescriptor, options: SpoolOptions = SpoolOptions()
    ) throws(SpoolError) -> OpenedSpool {
        try open(directory: directory, options: options, calls: SystemSpoolCalls())
    }

    static func open(
        directory: consuming FileDescriptor, options: SpoolOptions, calls: any SpoolCalls,
        threading: Threading = .ownThread
    ) throws(SpoolError) -> OpenedSpool {
        do throws(SystemError) {
            guard let directories = try lockedDirectories(directory, calls) else { throw SystemError("flock", EAGAIN) }
            return try open(directories, options, calls, threading)
        } catch {
            throw error.code == EAGAIN ? .locked : .system(error)
        }
    }

    private static func open(
        _ directories: SpoolDirectories, _ options: SpoolOptions, _ calls: any SpoolCalls, _ threading: Threading
    ) throws(SystemError) -> OpenedSpool {
        let names = try calls.list(directories.journal.number)
        let numbers = names.compactMap { SpoolNames.number($0, "seg") }.sorted()
        let spares = names.filter { SpoolNames.number($0, "spare") != nil }
        var recovery = try SegmentReader(calls: calls, directories: directories).readAll(numbers)
        let unsettled = recovery.unsettled()
        for (hole, isCorruption) in unsettled {
            recovery.reports.append(try setAside(hole, isCorruption, directories, calls))
        }
        let material = try material(recovery.empty, spares, options.reservedSegments + 1, directories, calls)
        let recovered = try recovered(from: recovery, directories, calls)

        // What a crash tore may have used numbers that cannot be read: the new ones begin far behind them.
        let nextNumber = recovery.highestNumber + 1 + numberGap
        var void = unsettled.compactMap { item in item.hole.last.map { item.hole.first...$0 } }.suffix(mostVoidRanges)
        void.append(recovery.highestNumber + 1...nextNumber - 1)
        let epochCount = (recovery.highestEpoch >> 32) + 1
        let epoch = epochCount << 32 | UInt64(Randomness.integer(UInt32.self))
        let spareNumbers = spares.compactMap { SpoolNames.number($0, "spare") }
        let nextSegment = (numbers + spareNumbers).reduce(0, max) + 1
        let handover = try Handover(calls: calls)
        let spool = DiskSpool(
            calls: calls, handover: handover, directories: directories, options: options, recovery: recovery,
            nextBody: epochCount << 32 | 1)
        let journal = Journal(
            calls: calls, handover: handover, directories: directories, options: options,
            start: Journal.Start(
                epoch: epoch, nextNumber: nextNumber, durable: recovery.highestNumber, void: Array(void),
                nextSegment: nextSegment, material: material))
        try spool.start(journal, threading)
        return OpenedSpool(spool: spool, recovered: recovered)
    }

    /// More numbers than a batch can have used.
    private static let numberGap: UInt64 = 1 << 20
    /// As many as fit into a block with their record.
    private static let mostVoidRanges = 200

    /// nil when another process has the lock.
    private static func lockedDirectories(
        _ root: consuming FileDescriptor, _ calls: any SpoolCalls
    ) throws(SystemError) -> SpoolDirectories? {
        let lock = SpoolFile(try calls.open(root.number, SpoolNames.lock, O_RDWR | O_CREAT), calls)
        guard try calls.lock(lock.number) else { return nil }
        for name in [SpoolNames.journal, SpoolNames.bodies, SpoolNames.aside] {
            try calls.makeDirectory(root.number, name)
        }
        try calls.sync(root.number)
        let flags = O_RDONLY | O_DIRECTORY
        let journal = SpoolFile(try calls.open(root.number, SpoolNames.journal, flags), calls)
        let bodies = SpoolFile(try calls.open(root.number, SpoolNames.bodies, flags), calls)
        let aside = SpoolFile(try calls.open(root.number, SpoolNames.aside, flags), calls)
        return SpoolDirectories(root: root, lock: lock, journal: journal, bodies: bodies, aside: aside)
    }

    /// Files that become segments again: without a record they may go in any order. What is too much is removed.
    private static func material(
        _ empty: [UInt64], _ spares: [String], _ wanted: Int, _ directories: SpoolDirectories,
        _ calls: any SpoolCalls
    ) throws(SystemError) -> [String] {
        let directory = directories.journal.number
        var names = spares
        for number in empty {
            try calls.rename(directory, SpoolNames.segment(number), directory, SpoolNames.spare(number))
            names.append(SpoolNames.spare(number))
        }
        for name in names.dropFirst(wanted) { try calls.unlink(directory, name) }
        try calls.sync(directory)
        return Array(names.prefix(wanted))
    }

    /// Copies damaged bytes into `aside`; the end of a journal that was torn is only told.
    private static func setAside(
        _ hole: Recovery.Hole, _ isCorruption: Bool, _ directories: SpoolDirectories, _ calls: any SpoolCalls
    ) throws(SystemError) -> SpoolReport {
        guard isCorruption else { return .tornTail(segment: hole.segment, bytes: hole.bytes.count) }
        let offset = hole.bytes.lowerBound
        let name = SpoolNames.damaged(hole.segment, offset)
        let source = try calls.open(directories.journal.number, SpoolNames.segment(hole.segment), O_RDONLY)
        defer { calls.close(source) }
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: hole.bytes.count, alignment: 8)
        defer { bytes.deallocate() }
        bytes.initializeMemory(as: UInt8.self, repeating: 0)
        // What cannot be read stays zero: the report tells that it is gone.
        _ = try? calls.read(source, bytes, at: offset)
        let copy = try calls.open(directories.aside.number, name, O_WRONLY | O_CREAT | O_TRUNC)
        defer { calls.close(copy) }
        try calls.write(copy, UnsafeRawBufferPointer(bytes), at: 0)
        try calls.sync(copy)
        try calls.sync(directories.aside.number)
        let records = hole.last.map { $0 - hole.first + 1 } ?? 0
        return .corruption(
            segment: hole.segment, offset: offset, bytes: hole.bytes.count, records: records, aside: name)
    }

    /// The live messages in order; body files without one are removed, messages without their body file are marked.
    private static func recovered(
        from recovery: Recovery, _ directories: SpoolDirectories, _ calls: any SpoolCalls
    ) throws(SystemError) -> RecoveredSpool {
        var result = RecoveredSpool()
        result.reports = recovery.reports
        result.notes = recovery.notes.mapValues(\.value)
        result.notes[SpoolTally.key] = nil
        var needed: Set<UInt64> = []
        for (number, live) in recovery.messages.sorted(by: { $0.key < $1.key }) {
            let message = live.message
            var isBodyMissing = false
            if message.bodyFile != 0 {
                needed.insert(message.bodyFile)
                isBodyMissing = !hasBody(message.bodyFile, message.bodySize, directories, calls)
                if isBodyMissing { result.reports.append(.bodyMissing(message.id)) }
            }
            result.messages.append(
                RecoveredMessage(
                    position: SpoolPosition(sequenceNumber: number), id: message.id,
                    envelopeCount: message.envelopeCount, envelopes: message.envelopes,
                    attributes: message.attributes, size: live.size,
                    outcomes: live.outcomes.mapValues { RecoveredOutcome(payload: $0.payload, isFinal: $0.isFinal) },
                    isBodyMissing: isBodyMissing))
        }
        for name in try calls.list(directories.bodies.number) {
            guard let number = SpoolNames.number(name, "body"), !needed.contains(number) else { continue }
            try calls.unlink(directories.bodies.number, name)
            result.reports.append(.bodyRemoved(name))
        }
        return result
    }

    private static func hasBody(
        _ number: UInt64, _ size: UInt64, _ directories: SpoolDirectories, _ calls: any SpoolCalls
    ) -> Bool {
        guard let file = try? calls.open(directories.bodies.number, SpoolNames.body(number), O_RDONLY) else {
            return false
        }
        defer { calls.close(file) }
        guard let found = try? calls.size(file) else { return false }
        return UInt64(clamping: found) >= size
    }
}

/// Reads segments as the disk has them.
struct SegmentReader {
    let calls: any SpoolCalls
    let directories: SpoolDirectories

    private static let chunk = 256 << 10

    func readAll(_ numbers: [UInt64]) throws(SystemError) -> Recovery {
        var recovery = Recovery()
        var buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 0, alignment: RecordLayout.block)
        defer { buffer.deallocate() }
        for number in numbers {
            let file = try calls.open(directories.journal.number, SpoolNames.segment(number), O_RDWR)
            defer { calls.close(file) }
            // What is read here will be relied upon: it must not be only in the page cache (invariant 7).
            do throws(SystemError) {
                try calls.syncData(file)
            } catch {
                recovery.reports.append(.unreadable(segment: number, .system(error)))
            }
            calls.forgetCache(file)
            let size = min(try calls.size(file), RecordLayout.largestSegment)
            if buffer.count < size {
                buffer.deallocate()
                buffer = .allocate(byteCount: size, alignment: RecordLayout.block)
            }
            let bytes = UnsafeMutableRawBufferPointer(rebasing: buffer[..<size])
            if let error = read(file, bytes) { recovery.reports.append(.unreadable(segment: number, .system(error))) }
            recovery.read(UnsafeRawBufferPointer(bytes), segment: number)
        }
        return recovery
    }

    /// Fills `bytes`, with zeros where the disk does not give them; the last reason for that.
    private func read(_ file: Int32, _ bytes: UnsafeMutableRawBufferPointer) -> SystemError? {
        var failure: SystemError?
        for start in stride(from: 0, to: bytes.count, by: SegmentReader.chunk) {
            let part = UnsafeMutableRawBufferPointer(
                rebasing: bytes[start..<min(start + SegmentReader.chunk, bytes.count)])
            var count = 0
            do throws(SystemError) {
                count = try calls.read(file, part, at: start)
            } catch {
                failure = error
            }
            for index in count..<part.count { part[index] = 0 }
        }
        return failure
    }
}
