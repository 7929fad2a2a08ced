// SPDX-License-Identifier: ISC

import Bytes
import Glibc
import Mail
import Posix

/// Finds what the last process left, a segment at a time, so that the loop has turns between.
///
/// Until it has ended nothing may be delivered: an outcome that was not read yet would be repeated.
public final class SpoolRecovery {
    private let spool: DiskSpool
    /// Let go at the end: it holds the lock of the spool.
    private var reader: SegmentReader?
    private let segments: [UInt64]
    private let firstNewBody: UInt64
    private let firstNewNumber: UInt64
    private var next = 0
    private var recovery: Recovery
    /// Records were lost, and nobody knows which bodies were theirs.
    private var hasDamage = false

    init(
        _ spool: DiskSpool, _ reader: SegmentReader, _ segments: [UInt64], firstNewBody: UInt64,
        firstNewNumber: UInt64
    ) {
        self.spool = spool
        self.reader = reader
        self.segments = segments
        self.firstNewBody = firstNewBody
        self.firstNewNumber = firstNewNumber
        recovery = Recovery(reader.unsealer)
    }

    /// Reads the next segment; what was found when there is none left, nil while there is.
    public func step() throws(SpoolError) -> RecoveredSpool? {
        guard let reader, spool.runner != nil else { throw .closed }
        do throws(SystemError) {
            if next < segments.count {
                try reader.read(segments[next], into: &recovery)
                next += 1
                return nil
            }
            // The disk gives by now what it did not give when the first number of this process was chosen.
            if recovery.highestNumber >= firstNewNumber - 1 { throw SystemError("pread", EIO) }
            if recovery.missingKey == nil {
                defer { self.reader = nil }
                return end(reader)
            }
        } catch {
            throw .system(error)
        }
        throw .keyMissing(version: recovery.missingKey ?? 0)
    }

    /// Reads all of it.
    public func finish() throws(SpoolError) -> RecoveredSpool {
        while true {
            if let found = try step() { return found }
        }
    }

    private func end(_ reader: SegmentReader) -> RecoveredSpool {
        let settled = settle(reader)
        if recovery.unread.isEmpty {
            spool.handover.put(.settle(settled), isLazy: false)
        } else {
            spool.keepUnread(recovery, settling: settled)
        }
        var result = RecoveredSpool()
        result.notes = recovery.notes.mapValues(\.value).filter { spool.notes[$0.key] == nil }
        result.notes[SpoolTally.key] = nil
        spool.adopt(recovery)
        result.reports = recovery.reports
        addMessages(to: &result, reader)
        recovery = Recovery()
        return result
    }

    /// Tells of what is missing: the numbers that are lost for good, and last those that this process skipped. With them it
    /// vouches for the rest, which it can only when it has read all there is.
    private func settle(_ reader: SegmentReader) -> [ClosedRange<UInt64>] {
        let unsettled = recovery.unsettled()
        for (hole, cause) in unsettled {
            switch cause {
            case .tear: recovery.reports.append(.tornTail(segment: hole.segment, bytes: hole.bytes.count))
            case .unread: break
            case .corruption:
                hasDamage = true
                do throws(SystemError) {
                    recovery.reports.append(hole.corruption(aside: try setAside(hole, reader)))
                } catch {
                    // The disk is full, it may be: the whole segment is kept instead.
                    recovery.reports.append(hole.corruption(aside: nil))
                    recovery.leaveUnread(hole.segment, error)
                }
            }
        }
        // A void record goes into a batch, before others.
        let most = spool.options.segmentSize.value / 256
        return unsettled.compactMap(\.hole.range).suffix(most) + [recovery.highestNumber + 1...firstNewNumber - 1]
    }

    /// Copies damaged bytes into `aside`; the name of the copy.
    private func setAside(_ hole: Recovery.Hole, _ reader: SegmentReader) throws(SystemError) -> String {
        let calls = reader.calls
        let directories = reader.directories
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
        return name
    }

    /// The live messages in order; body files without one are removed, messages without their body file are marked.
    private func addMessages(to result: inout RecoveredSpool, _ reader: SegmentReader) {
        let found = recovery.found(reader)
        result.messages = found.messages
        result.reports += found.reports
        let calls = reader.calls
        let directory = reader.directories.bodies.number
        do throws(SystemError) {
            for name in try calls.list(directory) {
                guard let number = SpoolNames.number(name, "body"), number < firstNewBody,
                    !found.bodies.contains(number)
                else { continue }
                if hasDamage || !recovery.unread.isEmpty {
                    try calls.rename(directory, name, reader.directories.aside.number, name)
                    result.reports.append(.bodySetAside(name))
                } else {
                    try calls.unlink(directory, name)
                    result.reports.append(.bodyRemoved(name))
                }
            }
        } catch {
            result.reports.append(.bodiesLeft(.system(error)))
        }
    }
}
