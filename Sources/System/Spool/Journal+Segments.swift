// SPDX-License-Identifier: ISC

import Bytes
import Glibc
import Posix

/// Segments before and after their life: zero-written and synced before use, and used again when all in them is dead.
extension Journal {
    /// A segment on its way: zeros up to `written`.
    struct Preparation {
        var number: UInt64
        var name: String
        var file: Int32
        var written = 0
    }

    private static let slice = 256 << 10

    private var wantsSegments: Bool { ready.count < options.reservedSegments + 1 }

    /// No file can be made before the next attempt; what is used again needs no room, and so no wait.
    private var isBlocked: Bool {
        guard let blockage, material.isEmpty, preparation == nil else { return false }
        return blockage.until > calls.now()
    }

    /// When `maintain` should run; 0 for at once, nil when there is nothing to do.
    var maintenanceDeadline: UInt64? {
        let freeing: UInt64? = frees.isEmpty ? nil : freesBlockedUntil ?? 0
        let preparing: UInt64? = wantsSegments ? (isBlocked ? blockage?.until : 0) : nil
        return [freeing, preparing].compactMap { $0 }.min()
    }

    /// One slice of what is better done before it is needed; short, so that a message does not wait for it.
    func maintain() {
        let now = calls.now()
        if let blockage, blockage.until <= now { self.blockage = nil }
        if let until = freesBlockedUntil, until <= now { freesBlockedUntil = nil }
        if !frees.isEmpty, freesBlockedUntil == nil {
            freeNext()
        } else if wantsSegments, !isBlocked, ready.count < options.reservedSegments || !handover.hasUrgentJobs {
            _ = prepareSlice()
        }
    }

    /// Prepares a whole segment while the writer waits.
    func prepareNow() -> SpoolError? {
        if isBlocked, let blockage { return blockage.error }
        while !frees.isEmpty, freesBlockedUntil == nil { freeNext() }
        let had = ready.count
        while ready.count == had { if let error = prepareSlice() { return error } }
        return nil
    }

    /// Whether one more file of `count` bytes leaves on the file system what is to be left there.
    func hasRoom(for count: Int) -> Bool {
        guard let room = try? calls.room(directories.journal.number) else { return false }
        counts.freeBytes = room.bytes
        return room.bytes >= count + options.minimumFree.value && room.files > options.minimumFiles
    }

    private func prepareSlice() -> SpoolError? {
        do throws(SystemError) {
            if preparation == nil { preparation = try beginPreparation() }
            guard var next = preparation else { return .full }
            if next.written < segmentSize {
                try writeZeros(&next)
                preparation = next
            } else {
                ready.append(try finishPreparation(next))
                preparation = nil
                nextSegment += 1
            }
            return nil
        } catch {
            if let failed = preparation {
                calls.close(failed.file)
                try? calls.unlink(directories.journal.number, failed.name)
            }
            preparation = nil
            let reason: SpoolError = error.code == ENOSPC || error.code == EDQUOT ? .full : .system(error)
            blockage = (reason, calls.now() + Journal.retryInterval)
            events.append(.report("no new segment: \(error)"))
            return reason
        }
    }

    private func beginPreparation() throws(SystemError) -> Preparation {
        let directory = directories.journal.number
        if let name = material.popLast() {
            let file = try calls.open(directory, name, O_RDWR)
            let next = Preparation(number: nextSegment, name: name, file: file)
            preparation = next
            try calls.truncate(file, segmentSize)
            return next
        }
        guard hasRoom(for: segmentSize) else { throw SystemError("fstatvfs", ENOSPC) }
        let name = SpoolNames.spare(nextSegment)
        let file = try calls.open(directory, name, O_RDWR | O_CREAT | O_TRUNC)
        preparation = Preparation(number: nextSegment, name: name, file: file)
        try calls.allocate(file, segmentSize)
        return Preparation(number: nextSegment, name: name, file: file)
    }

    private func writeZeros(_ next: inout Preparation) throws(SystemError) {
        // As much as the last batch used, so that preparing keeps pace with writing.
        let count = min(max(Journal.slice, lastBatch), segmentSize - next.written, buffer.count)
        let zeros = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
        zeros.initializeMemory(as: UInt8.self, repeating: 0)
        try calls.write(next.file, UnsafeRawBufferPointer(zeros), at: next.written)
        // The sync at the end would make a commit wait that comes meanwhile: so it must find little left to do.
        let before = min(next.written, Journal.slice)
        if before > 0 { calls.finishWriting(next.file, at: next.written - before, before) }
        calls.startWriting(next.file, at: next.written, count)
        next.written += count
    }

    // The zeros are synced before the header, and the header before it has the name that recovery reads: a segment of
    // that name is in use, or zeros.
    private func finishPreparation(_ next: Preparation) throws(SystemError) -> Segment {
        let directory = directories.journal.number
        try calls.sync(next.file)
        let block = UnsafeMutableRawBufferPointer(rebasing: buffer[..<RecordLayout.block])
        SegmentHeader(
            segment: next.number, epoch: epoch, size: segmentSize, key: options.keys.current?.version ?? 0
        ).write(to: block)
        try calls.write(next.file, UnsafeRawBufferPointer(block), at: 0)
        try calls.sync(next.file)
        try calls.rename(directory, next.name, directory, SpoolNames.segment(next.number))
        try calls.sync(directory)
        return Segment(number: next.number, file: next.file, position: RecordLayout.block)
    }

    // Invariant 5: each goes for certain before the next one may, since that one can hold the tombstones of its mail.
    private func freeNext() {
        guard let free = frees.first else { return }
        let number = free.segment
        let directory = directories.journal.number
        let target = free.isKept ? directories.aside.number : directory
        if reader?.number == number { closeReader() }
        let name = free.isKept ? SpoolNames.segment(number) : SpoolNames.spare(number)
        do throws(SystemError) {
            do throws(SystemError) {
                try calls.rename(directory, SpoolNames.segment(number), target, name)
            } catch {
                // It was renamed before, and only the sync failed.
                if error.code != ENOENT { throw error }
            }
            if free.isKept { try calls.sync(target) }
            try calls.sync(directory)
            frees.removeFirst()
            doubtful += free.settled
            if free.isKept {
                events.append(.report("segment \(name) could not be read and is set aside"))
            } else if material.count + ready.count <= options.reservedSegments {
                material.append(name)
            } else {
                try calls.unlink(directory, name)
            }
        } catch {
            freesBlockedUntil = calls.now() + Journal.retryInterval
            events.append(.report("segment \(SpoolNames.segment(number)) is not freed: \(error)"))
        }
    }
}
