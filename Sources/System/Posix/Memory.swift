// SPDX-License-Identifier: ISC

import CPosix
import Glibc

/// Memory that must not be read by anyone later.
public enum Memory {
    /// Overwrites `buffer` with zeros; never left out by the compiler, as a plain loop before a free might be.
    public static func erase(_ buffer: UnsafeMutableRawBufferPointer) {
        if let base = buffer.baseAddress { explicit_bzero(base, buffer.count) }
    }

    /// From now on whatever the heap takes back is overwritten, the memory of libraries too. A password is copied by each
    /// layer that it goes through; so none of the copies outlives its use.
    public static func eraseWhatIsFreed() { martlet_erase_freed() }
}
