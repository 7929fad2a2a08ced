// SPDX-License-Identifier: ISC

import Host
import Posix
import Reactor

/// Copies what children log to standard error where that is a file: they may write to none.
final class LogCopy {
    private let source: FileDescriptor
    private var watch: Watch?

    init(from source: consuming FileDescriptor) {
        let number = source.number
        self.source = source
        watch = Watch(number, for: .reading) { [unowned self] _ in copy() }
        watch?.enable()
    }

    /// Copies what is there now.
    func copy() {
        // A pipe holds 64 KiB; with one such piece per turn the others get theirs.
        let bytes = [UInt8](unsafeUninitializedCapacity: 65536) { buffer, count in
            count = max(0, (try? source.read(into: UnsafeMutableRawBufferPointer(buffer))) ?? 0)
        }
        if !bytes.isEmpty { ThisProcess.say(bytes) }
    }
}
