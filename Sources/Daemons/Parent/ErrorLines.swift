// SPDX-License-Identifier: ISC

import Host
import Posix
import Reactor

/// What a child writes to its standard error, line by line: the last words of one that crashes.
final class ErrorLines {
    private static let longestLine = 1000
    // A child that has gone mad must not fill the log.
    private static let mostLines = 200
    private static let periodMilliseconds: UInt64 = 10_000

    private let descriptor: FileDescriptor
    private var watch: Watch?
    private let heard: (String) -> Void
    private var partial: [UInt8] = []
    private var periodStart: UInt64 = 0
    private var count = 0
    private(set) var last: String?

    init(_ descriptor: consuming FileDescriptor, heard: @escaping (String) -> Void) {
        let number = descriptor.number
        self.descriptor = descriptor
        self.heard = heard
        watch = Watch(number, for: .reading) { [unowned self] _ in drain() }
        watch?.enable()
    }

    /// Reads what is there.
    func drain() {
        guard watch != nil else { return }
        // A few pages per turn: others wait.
        for _ in 0..<4 {
            var count = -1
            let bytes = [UInt8](unsafeUninitializedCapacity: 4096) { buffer, initialized in
                count = (try? descriptor.read(into: UnsafeMutableRawBufferPointer(buffer))) ?? -1
                initialized = max(0, count)
            }
            if count == 0 { finish() }
            if count <= 0 { return }
            take(bytes)
        }
    }

    /// The other end has gone.
    func finish() {
        watch = nil
        if !partial.isEmpty { say() }
    }

    private func take(_ bytes: [UInt8]) {
        for byte in bytes {
            if byte == 10 || partial.count >= Self.longestLine { say() }
            if byte != 10 { partial.append(byte) }
        }
    }

    private func say() {
        let line = String(decoding: partial, as: UTF8.self)
        partial = []
        guard !line.isEmpty else { return }
        last = line
        let now = Loop.milliseconds
        if now - periodStart >= Self.periodMilliseconds {
            periodStart = now
            count = 0
        }
        count += 1
        if count <= Self.mostLines { heard(line) }
    }
}
