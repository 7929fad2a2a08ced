// SPDX-License-Identifier: ISC

import Glibc
import Posix
import Reactor

/// What a scenario found not to be as it should.
enum Check {
    private(set) static var failures: [String] = []

    static func fail(_ what: String) {
        if failures.count < 20 { failures.append(what) }
    }

    static func that(_ claim: Bool, _ what: String) {
        if !claim { fail("not so: \(what)") }
    }

    static func equal<Value: Equatable>(_ found: Value, _ expected: Value, _ what: String) {
        if found != expected { fail("\(what): \(found) instead of \(expected)") }
    }
}

/// What the system says of this process.
enum System {
    static var threads: Int { entries("/proc/self/task") }
    /// The directory itself is open while it is counted.
    static var descriptors: Int { entries("/proc/self/fd") - 1 }

    private static func entries(_ path: String) -> Int {
        guard let directory = opendir(path) else { return -1 }
        defer { closedir(directory) }
        var count = 0
        while readdir(directory) != nil { count += 1 }
        return count - 2
    }

    /// In bytes.
    static var residentMemory: Int {
        guard let file = try? FileDescriptor.open("/proc/self/statm", O_RDONLY),
            let bytes = try? file.readAll(limit: 4096)
        else { return 0 }
        let words = String(decoding: bytes, as: UTF8.self).split(separator: " ")
        return (words.count > 1 ? Int(words[1]) ?? 0 : 0) * 4096
    }

    /// Both ends of a stream, as numbers that the caller owns.
    static func pair() throws -> (left: Int32, right: Int32) {
        var numbers: (Int32, Int32) = (-1, -1)
        try FileDescriptor.streamPair().split { numbers = ($0.release(), $1.release()) }
        return numbers
    }

    /// Reads at most `count` bytes, without waiting.
    static func read(_ number: Int32, _ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            filled = max(0, Glibc.read(number, buffer.baseAddress, count))
        }
    }

    static func write(_ number: Int32, _ bytes: [UInt8]) {
        let count = bytes.withUnsafeBytes { Glibc.write(number, $0.baseAddress, $0.count) }
        if count != bytes.count { Check.fail("wrote \(count) of \(bytes.count) bytes") }
    }
}

/// Waits until `claim` holds, a few seconds at most.
func eventually(_ what: String, _ claim: () -> Bool) async {
    for _ in 0..<1000 {
        if claim() { return }
        await Loop.pause(milliseconds: 5)
    }
    Check.fail("never: \(what)")
}
