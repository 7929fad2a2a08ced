// SPDX-License-Identifier: ISC

import Glibc

extension [UInt8] {
    /// The first place of `byte` at or behind `start`, by the library's own search: texts of a hundred megabytes are read.
    public func firstIndex(of byte: UInt8, from start: Int) -> Int? {
        withUnsafeBytes { buffer in
            guard start < buffer.count, let base = buffer.baseAddress,
                let place = memchr(base + start, Int32(byte), buffer.count - start)
            else { return nil }
            return UnsafeRawPointer(place) - base
        }
    }
}
