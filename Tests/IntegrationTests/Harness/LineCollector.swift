// SPDX-License-Identifier: ISC

import Foundation
import Glibc

/// Reads a pipe to its end on a thread of its own, so that its writer never waits, and keeps the lines.
final class LineCollector: @unchecked Sendable {
    // The lock guards all that follows it.
    private let condition = NSCondition()
    private var bytes: [UInt8] = []
    private var collected: [String] = []
    private var start = 0
    private var hasEnded = false

    /// Takes the descriptor over.
    init(_ descriptor: Int32) {
        Thread.detachNewThread { [self] in
            var buffer = [UInt8](repeating: 0, count: 65536)
            while true {
                let count = read(descriptor, &buffer, buffer.count)
                if count < 0 && errno == EINTR { continue }
                take(buffer[..<max(0, count)])
                if count <= 0 { break }
            }
            close(descriptor)
        }
    }

    private func take(_ more: ArraySlice<UInt8>) {
        condition.lock()
        defer { condition.unlock() }
        bytes += more
        while let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
            collected.append(String(decoding: bytes[start..<end], as: UTF8.self))
            start = end + 1
        }
        if more.isEmpty {
            if start < bytes.count { collected.append(String(decoding: bytes[start...], as: UTF8.self)) }
            start = bytes.count
            hasEnded = true
        }
        condition.broadcast()
    }

    var lines: [String] {
        condition.lock()
        defer { condition.unlock() }
        return collected
    }

    var text: String {
        condition.lock()
        defer { condition.unlock() }
        return String(decoding: bytes, as: UTF8.self)
    }

    func lines(containing part: String) -> [String] { lines.filter { $0.contains(part) } }

    /// The first line from number `first` on that contains `part`; nil when none came in time.
    func wait(for part: String, from first: Int = 0, seconds: Double = 60) -> String? {
        var index = first
        var found: String?
        wait(seconds) {
            while index < collected.count, found == nil {
                if collected[index].contains(part) { found = collected[index] }
                index += 1
            }
            return found != nil
        }
        return found
    }

    /// Whether at least `count` lines that contain `part` came in time.
    func wait(for count: Int, containing part: String, seconds: Double = 60) -> Bool {
        var index = 0
        var found = 0
        return wait(seconds) {
            while index < collected.count {
                if collected[index].contains(part) { found += 1 }
                index += 1
            }
            return found >= count
        }
    }

    @discardableResult
    func waitForEnd(seconds: Double = 60) -> Bool { wait(seconds) { hasEnded } }

    @discardableResult
    private func wait(_ seconds: Double, _ isDone: () -> Bool) -> Bool {
        let date = Date(timeIntervalSinceNow: seconds)
        condition.lock()
        defer { condition.unlock() }
        while !isDone() {
            if hasEnded || !condition.wait(until: date) { return isDone() }
        }
        return true
    }
}
