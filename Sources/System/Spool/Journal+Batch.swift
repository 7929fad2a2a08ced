// SPDX-License-Identifier: ISC

import Bytes
import Glibc
import Posix

/// Writing what waits: a batch is a void record where one is owed, records, and a padding record up to whole blocks.
extension Journal {
    /// Writes all that is pending. What cannot be written is refused, or held where it must not be lost.
    func flush() {
        syncBodies()
        compressPending()
        var next = 0
        while next < pending.count || !doubtful.isEmpty {
            // A void record that is owed is no reason to insist: it goes before the next record that can be written.
            if next == pending.count {
                if makeRoom(for: nil) == nil { _ = writeBatch(next..<next) }
                break
            }
            let first = pending[next].content
            // What is held was recorded earlier: nothing of its kind may overtake it.
            if first.mustNotBeLost, !held.isEmpty {
                refuse(pending[next], heldError)
                next += 1
                continue
            }
            if let error = makeRoom(for: first) {
                refuse(pending[next], error)
                next += 1
                continue
            }
            let batch = next..<endOfBatch(from: next)
            next = batch.upperBound
            if writeBatch(batch) == nil { continue }
            // Invariant 7: the batch goes whole into a new segment, once; a disk that fails again refuses it.
            var error: SpoolError?
            for index in batch where error == nil { error = makeRoom(for: pending[index].content, batch) }
            if error == nil { error = writeBatch(batch) }
            if let error { for index in batch { refuse(pending[index], error, isDoubtful: true) } }
            tell()
        }
        pending.removeAll(keepingCapacity: true)
    }

    private func compressPending() {
        guard options.isCompressed else { return }
        for index in pending.indices {
            switch pending[index].content {
            case .message, .outcome, .note, .copy:
                let content = pending[index].content
                guard let packed = content.payload.withUnsafeBytes({ Compression.deflated($0) }) else { continue }
                pending[index].content = .deflated(content, packed)
            case .void, .deflated: break
            }
        }
    }

    /// Bytes of a record, its header included.
    private func length(of content: RecordContent) -> Int {
        RecordLayout.headerSize + content.payloadLength + (isEncrypted(content) ? Cipher.overhead : 0)
    }

    private func isEncrypted(_ content: RecordContent) -> Bool { options.keys.current != nil && content.isPrivate }

    /// What fits into a new segment behind its header and a void record.
    private var largestBatch: Int { segmentSize - 3 * RecordLayout.block }

    private var voidLength: Int { doubtful.isEmpty ? 0 : RecordLayout.aligned(length(of: .void(doubtful))) }

    /// Whether the current segment takes so many bytes and still has room for its index, of which a new one can do
    /// without.
    private func hasRoom(for needed: Int, indexGrowth: Int) -> Bool {
        guard let current else { return false }
        let rest = segmentSize - current.position - needed
        if rest < 0 { return false }
        return current.position == RecordLayout.block || rest >= indexRoom(growth: indexGrowth)
    }

    /// The first write that does not go into the batch that begins with `first`.
    private func endOfBatch(from first: Int) -> Int {
        guard current != nil else { return first }
        var size = voidLength
        var growth = 0
        var end = first
        let mayTakeMessages = reserveIsWhole
        while end < pending.count {
            let content = pending[end].content
            let grown = size + RecordLayout.aligned(length(of: content))
            growth += SegmentIndex.growth(by: content)
            if end > first {
                if grown > options.batchSize.value { break }
                if content.isMessage, !mayTakeMessages { break }
                if content.mustNotBeLost, !held.isEmpty { break }
                // It must fit once more behind a void record, should its sync fail.
                if RecordLayout.padded(grown) > largestBatch { break }
            }
            if !hasRoom(for: RecordLayout.padded(grown), indexGrowth: growth) { break }
            size = grown
            end += 1
        }
        return end
    }

    /// Writes and syncs the batch; the reason when that failed, and the segment is given up then.
    private func writeBatch(_ batch: Range<Int>) -> SpoolError? {
        guard var segment = current else { return .full }
        var size = voidLength
        for index in batch { size += RecordLayout.aligned(length(of: pending[index].content)) }
        let padded = RecordLayout.padded(size)
        guard padded <= segmentSize - segment.position else { return .full }
        if padded > buffer.count {
            buffer.deallocate()
            buffer = .allocate(byteCount: padded, alignment: RecordLayout.block)
        }
        let first = nextNumber
        var position = 0
        var written: [WrittenRecord] = []
        written.reserveCapacity(batch.count)
        if !doubtful.isEmpty { append(.void(doubtful), at: &position, segment) }
        for index in batch {
            let record = WrittenRecord(
                number: nextNumber, location: append(pending[index].content, at: &position, segment))
            written.append(record)
        }
        if position < padded { pad(from: position, to: padded) }
        do throws(SystemError) {
            let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<padded])
            try calls.write(segment.file, bytes, at: segment.position)
            try calls.syncData(segment.file)
        } catch {
            giveUp(segment, first...(nextNumber - 1), error)
            return .system(error)
        }
        segment.position += padded
        current = segment
        durable = nextNumber - 1
        doubtful = []
        counts.batches += 1
        counts.records += batch.count
        counts.bytes += padded
        lastBatch = padded
        for (index, record) in zip(batch, written) {
            events.append(.written(token: pending[index].token, .success(record)))
        }
        for body in doubtfulBodies { removeBody(body) }
        doubtfulBodies = []
        limitIndex()
        shrinkBuffer()
        tell()
        return nil
    }

    /// Puts a record into the buffer, for `segment`.
    @discardableResult
    private func append(_ content: RecordContent, at position: inout Int, _ segment: Segment) -> RecordLocation {
        let length = length(of: content)
        let header = RecordHeader(
            type: content.type, flags: content.flags.union(isEncrypted(content) ? .encrypted : []), length: length,
            epoch: epoch, number: nextNumber, durable: durable)
        header.write(to: buffer, at: position)
        if let key = options.keys.current, isEncrypted(content) {
            let record = UnsafeMutableRawBufferPointer(rebasing: buffer[position..<position + length])
            content.payload.withUnsafeBytes { plain in
                unsealer.cipher.seal(
                    plain, with: key, associated: UnsafeRawBufferPointer(rebasing: record[RecordHeader.associated]),
                    into: UnsafeMutableRawBufferPointer(rebasing: record[RecordLayout.headerSize...]))
            }
        } else {
            var writer = RecordWriter(buffer: buffer, position: position + RecordLayout.headerSize)
            content.writePayload(to: &writer)
        }
        header.writeSum(to: buffer, at: position)
        let location = RecordLocation(segment: segment.number, offset: segment.position + position, length: length)
        index?.append(content, number: nextNumber, location)
        position += RecordLayout.aligned(length)
        nextNumber += 1
        return location
    }

    private func pad(from start: Int, to end: Int) {
        for index in start..<end { buffer[index] = 0 }
        let header = RecordHeader(
            type: .padding, flags: [], length: end - start, epoch: epoch, number: nextNumber, durable: durable)
        header.write(to: buffer, at: start)
        header.writeSum(to: buffer, at: start)
        index?.pass(nextNumber)
        nextNumber += 1
    }

    /// A padding record alone, whose mark tells that all before it is durable.
    func writeMark() {
        guard var segment = current, segmentSize - segment.position >= RecordLayout.block else { return }
        pad(from: 0, to: RecordLayout.block)
        do throws(SystemError) {
            try calls.write(
                segment.file, UnsafeRawBufferPointer(rebasing: buffer[..<RecordLayout.block]), at: segment.position)
            try calls.syncData(segment.file)
            segment.position += RecordLayout.block
            current = segment
            durable = nextNumber - 1
        } catch {
            // Nothing that anybody was told depends on it.
            calls.close(segment.file)
            current = nil
            events.append(.report("\(error) at the end of segment \(SpoolNames.segment(segment.number))"))
        }
    }

    private func shrinkBuffer() {
        let usual = RecordLayout.padded(options.batchSize.value)
        guard buffer.count > usual else { return }
        buffer.deallocate()
        buffer = .allocate(byteCount: usual, alignment: RecordLayout.block)
    }

    // Nobody knows which of these sectors are on the disk, and the page cache may claim all of them (invariant 7).
    private func giveUp(_ segment: Segment, _ range: ClosedRange<UInt64>, _ error: SystemError) {
        calls.close(segment.file)
        current = nil
        index = nil
        counts.failedSyncs += 1
        if let last = doubtful.last, last.upperBound + 1 == range.lowerBound {
            doubtful[doubtful.count - 1] = last.lowerBound...range.upperBound
        } else {
            doubtful.append(range)
        }
        events.append(.report("\(error): segment \(SpoolNames.segment(segment.number)) is given up"))
    }

    /// `isDoubtful` says that the record may be on the disk all the same.
    func refuse(_ write: PendingWrite, _ error: SpoolError, isDoubtful: Bool = false) {
        switch write.content {
        case .message(let message), .deflated(.message(let message), _):
            if message.bodyFile != 0 {
                // Until the void record is written, a crash could bring the message back, and its body is missed then.
                if isDoubtful { doubtfulBodies.append(message.bodyFile) } else { removeBody(message.bodyFile) }
            }
            events.append(.written(token: write.token, .failure(error)))
        case .outcome, .note, .deflated(.outcome, _), .deflated(.note, _):
            held.append(write)
            heldError = error
            heldUntil = heldUntil ?? calls.now() + Journal.retryInterval
            events.append(.delayed(token: write.token, error))
        case .copy, .void, .deflated:
            events.append(.written(token: write.token, .failure(error)))
        }
    }

    // MARK: Room

    /// Makes the current segment one that takes `content`; the reason when there is none.
    private func makeRoom(for content: RecordContent?, _ batch: Range<Int> = 0..<0) -> SpoolError? {
        var size = voidLength
        var growth = 0
        if batch.isEmpty {
            if let content {
                size += RecordLayout.aligned(length(of: content))
                growth = SegmentIndex.growth(by: content)
            }
        } else {
            for index in batch {
                size += RecordLayout.aligned(length(of: pending[index].content))
                growth += SegmentIndex.growth(by: pending[index].content)
            }
        }
        let needed = RecordLayout.padded(size)
        if needed > segmentSize - RecordLayout.block { return .tooLarge }
        let isMessage = content?.isMessage ?? false
        if hasRoom(for: needed, indexGrowth: growth) { return isMessage && !reserveIsWhole ? .full : nil }
        if ready.isEmpty, let error = prepareNow() { return error }
        guard !ready.isEmpty else { return .full }
        if isMessage, !reserveIsWhole(without: 1) { return .full }
        sealSegment()
        let segment = ready.removeFirst()
        current = segment
        index = SegmentIndex()
        events.append(.opened(segment: segment.number))
        return nil
    }

    /// New mail may go on: enough segments are prepared for outcomes, or the disk has the room for them.
    private var reserveIsWhole: Bool { reserveIsWhole(without: 0) }

    private func reserveIsWhole(without used: Int) -> Bool {
        // Dead segments need no room to become new ones.
        let coming = material.count + frees.count { !$0.isKept } + (preparation == nil ? 0 : 1)
        let missing = options.reservedSegments - (ready.count - used + coming)
        if missing <= 0 { return true }
        guard blockage == nil else { return false }
        return hasRoom(for: missing * segmentSize)
    }
}

extension RecordContent {
    /// New mail, which may not use what is reserved.
    var isMessage: Bool {
        switch self {
        case .message: true
        case .outcome, .note, .void, .copy: false
        case .deflated(let content, _): content.isMessage
        }
    }

    var mustNotBeLost: Bool {
        switch self {
        case .outcome, .note: true
        case .message, .void, .copy: false
        case .deflated(let content, _): content.mustNotBeLost
        }
    }
}
