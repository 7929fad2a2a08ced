// SPDX-License-Identifier: ISC

import CPosix
import Glibc
import Posix

/// Reads segments as the disk has them.
struct SegmentReader {
    /// How the journal ends, which is what a new process must know to write on.
    struct End {
        var highestEpoch: UInt64 = 0
        var highestNumber: UInt64 = 0
        /// Prepared and never written to.
        var empty: [UInt64] = []
        var notes: [[UInt8]: [UInt8]] = [:]
        /// Segments behind the last record that was read, and its own, of which the disk does not give all.
        var unread: UInt64 = 0
        /// A segment was written with a key that was not given.
        var missingKey: UInt32?
    }

    enum Purpose {
        /// What is read will be relied upon.
        case recovering
        /// Nothing is changed, not even what of it is on the disk.
        case looking
    }

    let calls: any SpoolCalls
    let directories: SpoolDirectories
    let unsealer: Unsealer
    var purpose = Purpose.recovering

    private static let chunk = 256 << 10

    // Who keeps a note in each segment finds it there, however short the last one is.
    private static let mostRead = 2

    /// Reads from the last segment back until two have a record, and of the others the header.
    func findEnd(_ numbers: [UInt64]) throws(SystemError) -> End {
        var end = End()
        var count = 0
        for number in numbers.reversed() {
            guard count < Self.mostRead else {
                guard let header = try header(ofSegment: number) else { continue }
                end.highestEpoch = max(end.highestEpoch, header.epoch)
                if isMissing(header.key) { end.missingKey = header.key }
                continue
            }
            var probe = Recovery(unsealer)
            try read(number, into: &probe)
            if probe.missingKey != nil { end.missingKey = probe.missingKey }
            if !probe.unread.isEmpty, count == 0 { end.unread += 1 }
            if probe.highestNumber > 0 { count += 1 }
            end.highestEpoch = max(end.highestEpoch, probe.highestEpoch)
            end.highestNumber = max(end.highestNumber, probe.highestNumber)
            end.notes.merge(probe.notes.mapValues(\.value)) { later, _ in later }
            if !probe.empty.isEmpty { end.empty.append(number) }
        }
        return end
    }

    private func isMissing(_ key: UInt32) -> Bool { key != 0 && unsealer.cipher.keys.key(key) == nil }

    private func header(ofSegment number: UInt64) throws(SystemError) -> SegmentHeader? {
        do throws(SystemError) {
            let file = try calls.open(directories.journal.number, SpoolNames.segment(number), O_RDONLY)
            defer { calls.close(file) }
            return header(of: file).flatMap { $0.segment == number ? $0 : nil }
        } catch {
            guard error.isOfTheDisk else { throw error }
            return nil
        }
    }

    private func header(of file: Int32) -> SegmentHeader? {
        bytes(of: file, at: 0, RecordLayout.block).flatMap { bytes in
            bytes.withUnsafeBytes { SegmentHeader(in: $0) }
        }
    }

    /// What the disk does not give is marked as unread: the next start may have it.
    func read(_ number: UInt64, into recovery: inout Recovery) throws(SystemError) {
        do throws(SystemError) {
            try readFile(number, into: &recovery)
        } catch {
            guard error.isOfTheDisk else { throw error }
            recovery.pass(number, error)
        }
    }

    private func readFile(_ number: UInt64, into recovery: inout Recovery) throws(SystemError) {
        let name = SpoolNames.segment(number)
        let file = try calls.open(directories.journal.number, name, purpose == .looking ? O_RDONLY : O_RDWR)
        defer { calls.close(file) }
        if purpose == .recovering {
            // It must not be only in the page cache (invariant 7).
            do throws(SystemError) {
                try calls.syncData(file)
            } catch {
                recovery.reports.append(.unreadable(segment: number, .system(error)))
            }
            calls.forgetCache(file)
        }
        let size = min(try calls.size(file), RecordLayout.largestSegment)
        if let header = header(of: file), header.segment == number, let index = index(of: file, size, header) {
            var failure: SystemError?
            recovery.read(index, epoch: header.epoch) { location in
                do throws(SystemError) {
                    return try exactly(file, at: location.offset, location.length)
                } catch {
                    failure = error
                    return nil
                }
            }
            if let failure { recovery.leaveUnread(number, failure) }
            return
        }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: RecordLayout.block)
        defer { buffer.deallocate() }
        let error = fill(buffer, from: file)
        if let error { recovery.leaveUnread(number, error) }
        recovery.read(UnsafeRawBufferPointer(buffer), segment: number, isWhole: error == nil)
    }

    /// What a sealed segment tells of itself; nil where there is nothing that is whole.
    private func index(of file: Int32, _ size: Int, _ header: SegmentHeader) -> FoundIndex? {
        guard size >= 2 * RecordLayout.block,
            let trailer = bytes(of: file, at: size - SegmentIndex.trailerSize, SegmentIndex.trailerSize)
        else { return nil }
        let (offset, magic) = trailer.withUnsafeBytes {
            ($0.integer(UInt64.self, at: 0), $0.integer(UInt64.self, at: 8))
        }
        guard magic == SegmentIndex.trailerMagic, offset >= UInt64(RecordLayout.block), offset < UInt64(size),
            let bytes = bytes(of: file, at: Int(offset), size - Int(offset))
        else { return nil }
        let payload: [UInt8]? = bytes.withUnsafeBytes { buffer in
            guard let found = RecordHeader(in: buffer, at: 0), found.type == .index, found.epoch == header.epoch
            else { return nil }
            return (try? unsealer.withPayload(of: buffer, found) { Array($0) }) ?? nil
        }
        guard let payload, let index = FoundIndex(payload, segmentSize: size), index.segment == header.segment
        else { return nil }
        return index
    }

    /// nil unless all of them can be had.
    func bytes(of file: Int32, at offset: Int, _ count: Int) -> [UInt8]? {
        (try? exactly(file, at: offset, count)) ?? nil
    }

    /// nil when the file has not as many.
    private func exactly(_ file: Int32, at offset: Int, _ count: Int) throws(SystemError) -> [UInt8]? {
        var result = Result<Int, SystemError>.success(0)
        let bytes = [UInt8](unsafeUninitializedCapacity: max(count, 1)) { buffer, filled in
            let target = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<count])
            do throws(SystemError) {
                let found = try calls.read(file, target, at: offset)
                result = .success(found)
                filled = found
            } catch {
                result = .failure(error)
                filled = 0
            }
        }
        return try result.get() == count ? bytes : nil
    }

    /// Fills `bytes`, with zeros where the disk does not give them; the last reason for that.
    private func fill(_ bytes: UnsafeMutableRawBufferPointer, from file: Int32) -> SystemError? {
        var failure: SystemError?
        for start in stride(from: 0, to: bytes.count, by: SegmentReader.chunk) {
            let part = start..<min(start + SegmentReader.chunk, bytes.count)
            if fill(bytes, part, from: file) == nil { continue }
            // One bad sector costs no more than its block.
            for block in stride(from: part.lowerBound, to: part.upperBound, by: RecordLayout.block) {
                let end = min(block + RecordLayout.block, part.upperBound)
                if let error = fill(bytes, block..<end, from: file) { failure = error }
            }
        }
        return failure
    }

    private func fill(_ bytes: UnsafeMutableRawBufferPointer, _ range: Range<Int>, from file: Int32) -> SystemError? {
        let part = UnsafeMutableRawBufferPointer(rebasing: bytes[range])
        var count = 0
        defer { for index in count..<part.count { part[index] = 0 } }
        do throws(SystemError) {
            count = try calls.read(file, part, at: range.lowerBound)
            return nil
        } catch {
            return error
        }
    }

    /// False when it is certain that there is not all of it. One that an earlier start set aside, because the record of
    /// its message could not be read then, is taken back.
    func hasBody(_ number: UInt64, _ size: UInt64) -> Bool {
        do throws(SystemError) {
            let file = try openBody(number)
            return UInt64(clamping: try calls.size(file.number)) >= size
        } catch {
            return error.code != ENOENT
        }
    }

    func openBody(_ number: UInt64) throws(SystemError) -> SpoolFile {
        let name = SpoolNames.body(number)
        let (bodies, aside) = (directories.bodies.number, directories.aside.number)
        do throws(SystemError) {
            return SpoolFile(try calls.open(bodies, name, O_RDONLY), calls)
        } catch {
            guard error.code == ENOENT else { throw error }
            if purpose == .recovering { try calls.rename(aside, name, bodies, name) }
            return SpoolFile(try calls.open(purpose == .recovering ? bodies : aside, name, O_RDONLY), calls)
        }
    }
}

extension SystemError {
    /// The disk or the file system on it does not give what it was given. Anything else is of the host, and may be mended.
    var isOfTheDisk: Bool { code == EIO || code == EUCLEAN || code == EBADMSG }
}
