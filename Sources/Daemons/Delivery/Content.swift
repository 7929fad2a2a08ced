// SPDX-License-Identifier: ISC

import Glibc
import IPC
import Posix

/// The content of a message, in memory or in Queue's file; shared by the deliveries of all its recipients.
final class Content {
    static let sliceSize = 64 * 1024

    private let pieces: [MessagePiece]
    private var file: FileDescriptor?
    /// In bytes, with CRLF line ends.
    let length: UInt64

    init(_ content: DeliveryContent, file: consuming FileDescriptor?) {
        switch content {
        case .inline(let bytes): pieces = [.bytes(bytes)]
        case .file(let list): pieces = list
        }
        self.file = consume file
        var total: UInt64 = 0
        for piece in pieces {
            switch piece {
            case .bytes(let bytes): total &+= UInt64(bytes.count)
            case .range(_, let length): total &+= length
            }
        }
        length = total
    }

    /// What it begins with, at most a slice of it; less where it cannot be read.
    var beginning: [UInt8] {
        var reader = Reader(self)
        // Most content has all of it in the first piece; what is in a file has only our own field there.
        guard var bytes = try? reader.next() else { return [] }
        while bytes.count < Self.sliceSize, let slice = try? reader.next() {
            bytes += slice.prefix(Self.sliceSize - bytes.count)
        }
        return bytes
    }

    /// A way through the content from its beginning; at most a slice of it is in memory.
    struct Reader {
        private let content: Content
        private var piece = 0
        private var offset: UInt64 = 0

        init(_ content: Content) { self.content = content }

        /// The next bytes, never none; nil at the end.
        mutating func next() throws(SystemError) -> [UInt8]? {
            while piece < content.pieces.count {
                let slice: [UInt8]
                switch content.pieces[piece] {
                case .bytes(let bytes):
                    let start = Int(offset)
                    // Most content is one piece that need not be copied.
                    slice =
                        start == 0 && bytes.count <= Content.sliceSize
                        ? bytes : Array(bytes[start..<min(bytes.count, start + Content.sliceSize)])
                case .range(let position, let length):
                    slice = try content.read(position &+ offset, min(length - offset, UInt64(Content.sliceSize)))
                }
                guard !slice.isEmpty else {
                    piece += 1
                    offset = 0
                    continue
                }
                offset += UInt64(slice.count)
                return slice
            }
            return nil
        }
    }

    private func read(_ position: UInt64, _ count: UInt64) throws(SystemError) -> [UInt8] {
        guard count > 0 else { return [] }
        guard let number = file?.number, let start = off_t(exactly: position) else { throw SystemError("pread", EBADF) }
        var failure: SystemError?
        let bytes = [UInt8](unsafeUninitializedCapacity: Int(count)) { buffer, filled in
            let result = FileDescriptor.retrying { pread(number, buffer.baseAddress, Int(count), start) }
            if result <= 0 { failure = SystemError("pread", result < 0 ? errno : ENODATA) }
            filled = max(0, result)
        }
        if let failure { throw failure }
        return bytes
    }
}
