// SPDX-License-Identifier: ISC

import Posix

/// The end of a segment that is full: its index is written behind its records, and it stays as the store.
extension Journal {
    /// The most that an index may take of a segment; beyond, recovery reads all of that one.
    private var largestIndex: Int { segmentSize / 4 }

    /// Bytes that the index of the current segment needs at its end; 0 where it will have none.
    func indexRoom(growth: Int) -> Int {
        guard let index else { return 0 }
        let length = RecordLayout.headerSize + Cipher.overhead + index.payloadLength + growth
        return Self.blocks(RecordLayout.aligned(length) + SegmentIndex.trailerSize)
    }

    private static func blocks(_ count: Int) -> Int {
        (count + RecordLayout.block - 1) / RecordLayout.block * RecordLayout.block
    }

    func limitIndex() { if let known = index, known.payloadLength > largestIndex { index = nil } }

    /// Ends the current segment. Its index needs no sync: without a whole one all of the segment is read.
    func sealSegment() {
        guard let segment = current else { return }
        defer {
            calls.close(segment.file)
            current = nil
            index = nil
        }
        guard let index, index.count > 0 else { return }
        let room = indexRoom(growth: 0)
        guard room <= segmentSize - segment.position else { return }
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: room, alignment: RecordLayout.block)
        defer { bytes.deallocate() }
        bytes.initializeMemory(as: UInt8.self, repeating: 0)
        let payload = index.payload(segment: segment.number, durable: durable)
        let key = options.keys.current
        let header = RecordHeader(
            type: .index, flags: key == nil ? [] : .encrypted,
            length: RecordLayout.headerSize + payload.count + (key == nil ? 0 : Cipher.overhead), epoch: epoch,
            number: index.last, durable: durable)
        header.write(to: bytes, at: 0)
        let record = UnsafeMutableRawBufferPointer(rebasing: bytes[..<header.length])
        payload.withUnsafeBytes { plain in
            let place = UnsafeMutableRawBufferPointer(rebasing: record[RecordLayout.headerSize...])
            guard let key else { return place.copyMemory(from: plain) }
            unsealer.cipher.seal(
                plain, with: key, associated: UnsafeRawBufferPointer(rebasing: record[RecordHeader.associated]),
                into: place)
        }
        header.writeSum(to: bytes, at: 0)
        var trailer = RecordWriter(buffer: bytes, position: room - SegmentIndex.trailerSize)
        trailer.integer(UInt64(segmentSize - room))
        trailer.integer(SegmentIndex.trailerMagic)
        do throws(SystemError) {
            try calls.write(segment.file, UnsafeRawBufferPointer(bytes), at: segmentSize - room)
            calls.startWriting(segment.file, at: segmentSize - room, room)
        } catch {
            events.append(.report("\(error): segment \(SpoolNames.segment(segment.number)) has no index"))
        }
    }
}
