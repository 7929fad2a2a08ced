// SPDX-License-Identifier: ISC

import CZlib

/// Payloads made smaller: the length before, then a stream of zlib (RFC 1950).
///
///     plain length:4 stream
enum Compression {
    // Below this the stream's own bytes eat what is won.
    private static let least = 256
    // The sync thread does this: speed counts for more than the last percent.
    private static let level: Int32 = 3
    // Deflate makes at most 1032 bytes of one (zlib's technical details); a length beyond is a lie.
    private static let mostGrowth = 1032

    /// nil when it would not be smaller by an eighth.
    static func deflated(_ plain: UnsafeRawBufferPointer) -> [UInt8]? {
        guard plain.count >= least, let count = UInt32(exactly: plain.count) else { return nil }
        let room = plain.count - plain.count / 8
        var isSmaller = false
        let packed = [UInt8](unsafeUninitializedCapacity: room) { buffer, filled in
            var written = uLongf(room - 4)
            let result = compress2(
                buffer.baseAddress.map { $0 + 4 }, &written, plain.baseAddress?.assumingMemoryBound(to: UInt8.self),
                uLong(plain.count), level)
            isSmaller = result == Z_OK
            guard isSmaller else { return }
            UnsafeMutableRawBufferPointer(buffer).storeBytes(of: count.littleEndian, as: UInt32.self)
            filled = Int(written) + 4
        }
        return isSmaller ? packed : nil
    }

    /// nil when it is not what `deflated` made.
    static func inflated(_ packed: UnsafeRawBufferPointer) -> [UInt8]? {
        guard packed.count > 4 else { return nil }
        let count = Int(packed.integer(UInt32.self, at: 0))
        guard count > 0, count <= (packed.count - 4) * mostGrowth else { return nil }
        var isRight = false
        let plain = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            var written = uLongf(count)
            let result = uncompress(
                buffer.baseAddress, &written, packed.baseAddress?.assumingMemoryBound(to: UInt8.self).advanced(by: 4),
                uLong(packed.count - 4))
            isRight = result == Z_OK && Int(written) == count
            filled = isRight ? count : 0
        }
        return isRight ? plain : nil
    }
}
