// SPDX-License-Identifier: ISC

import Glibc

/// What the process is to do: a mode and a word for it.
nonisolated struct Order: Sendable {
    let mode: String
    let word: String

    // Set by a signal handler, read by the loop.
    nonisolated(unsafe) private static var hasBegun = false

    static func awaitSignal() { signal(SIGUSR1) { _ in Order.hasBegun = true } }
    static var isGiven: Bool { hasBegun }

    /// The file `evil-order` in the directory of the program.
    static func read() -> Order {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let length = buffer.withUnsafeMutableBytes { buffer in
            buffer.baseAddress.map { readlink("/proc/self/exe", $0, buffer.count) } ?? -1
        }
        let program = String(decoding: buffer.prefix(max(0, length)), as: UTF8.self)
        let parts = program.split(separator: "/", omittingEmptySubsequences: false)
        let directory = parts.dropLast().joined(separator: "/")
        let file = open("\(directory)/evil-order", O_RDONLY | O_CLOEXEC)
        let count = buffer.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress, $0.count) }
        close(file)
        let text = String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
        let words = text.split(whereSeparator: \.isWhitespace)
        return Order(mode: words.first.map(String.init) ?? "quiet", word: words.count > 1 ? String(words[1]) : "")
    }
}
