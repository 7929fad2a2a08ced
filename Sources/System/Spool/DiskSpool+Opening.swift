// SPDX-License-Identifier: ISC

import Bytes
import Glibc
import Mail
public import Posix

/// A spool that has just been opened, and what is still to be found in it.
public struct OpenedSpool {
    public let spool: DiskSpool
    public let recovery: SpoolRecovery
    /// Notes that were met in search of the end of the journal, each the latest of its key. Not all there are.
    public let lastNotes: [[UInt8]: [UInt8]]
}

extension DiskSpool {
    /// Opens the spool in `directory`, made where it is empty, and begins a new epoch: new mail is taken from here on,
    /// and what was there is read by the recovery (invariant 8).
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
        let directories: SpoolDirectories
        do throws(SystemError) {
            guard let locked = try lockedDirectories(directory, calls) else { throw SystemError("flock", EAGAIN) }
            directories = locked
        } catch {
            throw error.code == EAGAIN ? .locked : .system(error)
        }
        let reader = SegmentReader(calls: calls, directories: directories, unsealer: Unsealer(options.keys))
        var missingKey: UInt32?
        do throws(SystemError) {
            let names = try calls.list(directories.journal.number)
            // Of a name beyond what numbers there are, none of ours is.
            let numbers = names.compactMap { SpoolNames.number($0, "seg") }.filter { $0 < UInt32.max }.sorted()
            let spares = names.filter { SpoolNames.number($0, "spare") != nil }
            let end = try reader.findEnd(numbers)
            missingKey = end.missingKey
            if missingKey == nil { return try begin(reader, options, threading, numbers, spares, end) }
        } catch {
            throw .system(error)
        }
        throw .keyMissing(version: missingKey ?? 0)
    }

    private static func begin(
        _ reader: SegmentReader, _ options: SpoolOptions, _ threading: Threading, _ numbers: [UInt64],
        _ spares: [String], _ end: SegmentReader.End
    ) throws(SystemError) -> OpenedSpool {
        let calls = reader.calls
        let directories = reader.directories
        let material = try material(end.empty, spares, options.reservedSegments + 1, directories, calls)
        // What a crash tore may have used numbers that cannot be read: the new ones begin far behind them.
        var nextNumber = end.highestNumber + 1 + numberGap * (1 + end.unread)
        var epochCount = (end.highestEpoch >> 32) + 1
        if end.unread > 0 {
            // Headers may be among what cannot be read, and so may every number: both are taken from far above.
            for directory in [directories.bodies, directories.aside] {
                let numbers = try calls.list(directory.number).compactMap { SpoolNames.number($0, "body") }
                epochCount = max(epochCount, ((numbers.max() ?? 0) >> 32) + 1)
            }
            if end.highestNumber == 0 {
                // Where no header can be read either, nothing tells which are free.
                guard end.highestEpoch != 0 else { throw SystemError("pread", EIO) }
                nextNumber = epochCount << 40
            }
        }
        let epoch = epochCount << 32 | UInt64(Randomness.integer(UInt32.self))
        let spareNumbers = spares.compactMap { SpoolNames.number($0, "spare") }.filter { $0 < UInt32.max }
        let nextSegment = (numbers + spareNumbers).reduce(0, max) + 1
        let firstBody = epochCount << 32 | 1
        let handover = try Handover(calls: calls)
        let spool = DiskSpool(
            calls: calls, handover: handover, directories: directories, options: options, nextBody: firstBody)
        let journal = Journal(
            calls: calls, handover: handover, directories: directories, options: options,
            start: Journal.Start(
                epoch: epoch, nextNumber: nextNumber, durable: end.highestNumber,
                nextSegment: nextSegment, material: material))
        try spool.start(journal, threading)
        let old = Set(end.empty)
        return OpenedSpool(
            spool: spool,
            recovery: SpoolRecovery(
                spool, reader, numbers.filter { !old.contains($0) }, firstNewBody: firstBody,
                firstNewNumber: nextNumber),
            lastNotes: end.notes)
    }

    /// More numbers than a batch can have used, or a segment can hold.
    static let numberGap: UInt64 = 1 << 20

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

    /// The next start may be able to read what this one could not: nothing is freed as long as there is room.
    func keepUnread(_ recovery: Recovery, settling ranges: [ClosedRange<UInt64>]) {
        unread = Unread(
            segments: recovery.unread, numbers: ranges,
            mostSegments: recovery.segments.count + options.cleaningThreshold)
    }

    /// Takes over what was found: it is older than all that was written in this life.
    func adopt(_ recovery: Recovery) {
        order = (recovery.segments + recovery.empty).sorted() + order
        tally.add(recovery.tail.tally(voids: recovery.voids))
        // In their order, for the table's sake.
        for number in recovery.messages.keys.sorted() {
            guard let found = recovery.messages[number], !found.isForgettable else { continue }
            // The body of one that is done goes now: all its outcomes are durable.
            var live = Live(
                location: found.location, envelopeCount: found.message.envelopeCount, finals: found.finals,
                bodyFile: found.isDone ? 0 : found.message.bodyFile, bodySize: found.message.bodySize,
                bodyForm: found.message.bodyForm)
            count(found.location)
            for (envelope, outcome) in found.outcomes {
                live.outcomes[envelope] = Kept(location: outcome.location, isFinal: outcome.isFinal)
                count(outcome.location)
            }
            messages[number] = live
        }
        for (key, note) in recovery.notes {
            // One of this life is newer; until it is durable the old one is needed.
            if let known = notes[key], known.location != nil || known.pending == 0 { continue }
            notes[key, default: Kept()].location = note.location
            count(note.location)
        }
        notes = notes.filter { $0.value.location != nil || $0.value.pending > 0 }
        isRecovered = true
        for (number, found) in recovery.messages where found.isDone { buryIfDone(number) }
    }
}
