// SPDX-License-Identifier: ISC

import Glibc

/// Memory that must not be read by anyone later.
public enum Memory {
    /// Overwrites `buffer` with zeros; never left out by the compiler, as a plain loop before a free might be.
    public static func erase(_ buffer: UnsafeMutableRawBufferPointer) {
        if let base = buffer.baseAddress { explicit_bzero(base, buffer.count) }
    }
}
