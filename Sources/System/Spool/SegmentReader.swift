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

    /// Reads from the last segment back until one has a record, and of the others the header.
    func findEnd(_ numbers: [UInt64]) throws(SystemError) -> End {
        var end = End()
        for number in numbers.reversed() {
            guard end.highestNumber == 0 else {
                let file = try calls.open(directories.journal.number, SpoolNames.segment(number), O_RDONLY)
                defer { calls.close(file) }
                guard let header = header(of: file), header.segment == number else { continue }
                end.highestEpoch = max(end.highestEpoch, header.epoch)
                if isMissing(header.key) { end.missingKey = header.key }
                continue
            }
            var probe = Recovery(unsealer)
            try read(number, into: &probe)
            if probe.missingKey != nil { end.missingKey = probe.missingKey }
            end.highestEpoch = max(end.highestEpoch, probe.highestEpoch)
            end.highestNumber = probe.highestNumber
            end.notes = probe.notes.mapValues(\.value)
            if !probe.empty.isEmpty { end.empty.append(number) }
        }
        return end
    }

    private func isMissing(_ key: UInt32) -> Bool { key != 0 && unsealer.cipher.keys.key(key) == nil }

    private func header(of file: Int32) -> SegmentHeader? {
        bytes(of: file, at: 0, RecordLayout.block).flatMap { bytes in
            bytes.withUnsafeBytes { SegmentHeader(in: $0) }
        }
    }

    func read(_ number: UInt64, into recovery: inout Recovery) throws(SystemError) {
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
            return recovery.read(index, epoch: header.epoch) { bytes(of: file, at: $0.offset, $0.length) }
        }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: RecordLayout.block)
        defer { buffer.deallocate() }
        let error = read(file, buffer)
        if let error { recovery.reports.append(.unreadable(segment: number, .system(error))) }
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
        var isWhole = false
        let bytes = [UInt8](unsafeUninitializedCapacity: max(count, 1)) { buffer, filled in
            let target = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<count])
            isWhole = (try? calls.read(file, target, at: offset)) == count
            filled = isWhole ? count : 0
        }
        return isWhole ? bytes : nil
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

    func hasBody(_ number: UInt64, _ size: UInt64) -> Bool {
        let directory = directories.bodies.number
        guard let file = try? calls.open(directory, SpoolNames.body(number), O_RDONLY) else { return false }
        defer { calls.close(file) }
        guard let found = try? calls.size(file) else { return false }
        return UInt64(clamping: found) >= size
    }
}
