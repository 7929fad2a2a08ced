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

    /// As many as fit into a block with their record.
    private static let mostVoidRanges = 200

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
            if recovery.missingKey == nil {
                defer { self.reader = nil }
                return try end(reader)
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

    private func end(_ reader: SegmentReader) throws(SystemError) -> RecoveredSpool {
        let unsettled = recovery.unsettled()
        for (hole, isCorruption) in unsettled { recovery.reports.append(try setAside(hole, isCorruption, reader)) }
        // What was torn or lost, and last the numbers that this process skipped: with them it vouches for the rest.
        let torn = unsettled.compactMap { item in item.hole.last.map { item.hole.first...$0 } }
        let gap = recovery.highestNumber + 1...firstNewNumber - 1
        let void = Array(torn.suffix(SpoolRecovery.mostVoidRanges)) + [gap]
        spool.handover.put(.settle(void), isLazy: false)
        var result = RecoveredSpool()
        result.notes = recovery.notes.mapValues(\.value).filter { spool.notes[$0.key] == nil }
        result.notes[SpoolTally.key] = nil
        spool.adopt(recovery)
        result.reports = recovery.reports
        try addMessages(to: &result, reader)
        recovery = Recovery()
        return result
    }

    /// Copies damaged bytes into `aside`; the end of a journal that was torn is only told.
    private func setAside(
        _ hole: Recovery.Hole, _ isCorruption: Bool, _ reader: SegmentReader
    ) throws(SystemError) -> SpoolReport {
        let calls = reader.calls
        let directories = reader.directories
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
        return .corruption(
            segment: hole.segment, offset: offset, bytes: hole.bytes.count, records: hole.count, aside: name)
    }

    /// The live messages in order; body files without one are removed, messages without their body file are marked.
    private func addMessages(to result: inout RecoveredSpool, _ reader: SegmentReader) throws(SystemError) {
        let found = recovery.found(reader)
        result.messages = found.messages
        result.reports += found.reports
        let directory = reader.directories.bodies.number
        for name in try reader.calls.list(directory) {
            guard let number = SpoolNames.number(name, "body"), number < firstNewBody, !found.bodies.contains(number)
            else { continue }
            try reader.calls.unlink(directory, name)
            result.reports.append(.bodyRemoved(name))
        }
    }
}
