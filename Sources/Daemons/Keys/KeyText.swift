// SPDX-License-Identifier: ISC

import Posix

/// The text of a key file in memory of its own, which is overwritten when it has been used.
///
/// An array could leave copies behind when it grows; this is one piece, never moved.
nonisolated struct KeyText: ~Copyable {
    private let buffer: UnsafeMutableRawBufferPointer
    private let count: Int

    init(_ descriptor: consuming FileDescriptor, limit: Int) throws(KeyFault) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: limit + 1, alignment: 16)
        var count = 0
        do {
            while count <= limit {
                let read = try descriptor.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[count...]))
                if read == 0 { break }
                count += read
            }
        } catch {
            Self.free(buffer)
            throw KeyFault(description: "\(error)")
        }
        guard count <= limit else {
            Self.free(buffer)
            throw KeyFault(description: "the key file is too large")
        }
        self.buffer = buffer
        self.count = count
    }

    deinit { Self.free(buffer) }

    func withBytes<Result>(_ body: (Span<UInt8>) throws(KeyFault) -> Result) throws(KeyFault) -> Result {
        let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<count]).bindMemory(to: UInt8.self)
        return try body(bytes.span)
    }

    private static func free(_ buffer: UnsafeMutableRawBufferPointer) {
        Memory.erase(buffer)
        buffer.deallocate()
    }
}
