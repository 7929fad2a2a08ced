// SPDX-License-Identifier: ISC

import Bytes
import Glibc
import Mail
import Posix
import Synchronization
import Testing

@testable import Spool

/// A spool of which all is known.
struct Opened {
    let spool: DiskSpool
    let recovered: RecoveredSpool
}

/// A directory of its own for one test, with the spool's calls between.
final class Workshop {
    let path: String
    var calls = WatchedCalls()
    var options = SpoolOptions()

    init(segmentSize: Int = 64 << 10) throws {
        var template = Array("/tmp/martlet-spool.XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { buffer in
            buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) }
        }
        path = try #require(made)
        options.segmentSize = ByteCount(segmentSize)
        options.batchSize = ByteCount(32 << 10)
        options.minimumFree = ByteCount(0)
    }

    deinit { Workshop.remove(path) }

    static func remove(_ path: String) {
        for name in names(path) {
            let inner = path + "/" + name
            if unlink(inner) != 0 { remove(inner) }
        }
        rmdir(path)
    }

    static func names(_ path: String) -> [String] {
        guard let directory = try? FileDescriptor.open(path, O_RDONLY | O_DIRECTORY) else { return [] }
        return (try? SystemSpoolCalls().list(directory.number)) ?? []
    }

    func names(_ folder: String) -> [String] { Workshop.names(path + "/" + folder) }

    /// A spool of which all is known.
    func open(cache: Bool = true) throws -> Opened {
        if !cache { options.cacheSize = ByteCount(0) }
        let opened = try openUnread()
        return Opened(spool: opened.spool, recovered: try opened.recovery.finish())
    }

    /// A process that another test starts has a copy of the lock of the life before, until it execs.
    func openUnread() throws -> OpenedSpool {
        for _ in 0..<10_000 {
            do throws(SpoolError) { return try openOnce() } catch { if case .locked = error {} else { throw error } }
            poll(nil, 0, 1)
        }
        return try openOnce()
    }

    func openOnce() throws(SpoolError) -> OpenedSpool {
        let directory: FileDescriptor
        do throws(SystemError) { directory = try .open(path, O_RDONLY | O_DIRECTORY) } catch { throw .system(error) }
        return try DiskSpool.open(directory: directory, options: options, calls: calls)
    }

    func read(_ name: String) throws -> [UInt8] {
        let file = try FileDescriptor.open(path + "/" + name, O_RDONLY)
        return try file.readAll(limit: 1 << 28) ?? []
    }

    func write(_ name: String, _ bytes: [UInt8]) throws {
        let file = try FileDescriptor.open(path + "/" + name, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600)
        try file.writeAll(bytes)
    }

    /// Waits until the sync thread has prepared all that it wants to have.
    func settle() throws {
        for _ in 0..<5_000_000 {
            let names = names("journal")
            if names.count >= options.reservedSegments + 2, names.allSatisfy({ $0.hasSuffix(".seg") }) { return }
            sched_yield()
        }
        throw TimedOut()
    }

    /// A copy as a crash would leave it: made while the spool is open.
    func copy() throws -> Workshop {
        let other = try Workshop(segmentSize: options.segmentSize.value)
        for folder in ["journal", "bodies", "aside"] {
            mkdir(other.path + "/" + folder, 0o700)
            for name in names(folder) {
                // A segment that is being prepared may just change its name; there is nothing in it.
                guard let bytes = try? read(folder + "/" + name) else { continue }
                try other.write(folder + "/" + name, bytes)
            }
        }
        return other
    }
}

/// Counts the calls, and lets those fail that a test wants to fail.
final class WatchedCalls: SpoolCalls {
    private struct State {
        var counts: [String: Int] = [:]
        var failing: [String: Int32] = [:]
        var failures: [String: Int] = [:]
        /// Calls until the power fails; nothing works afterwards.
        var rest: Int?
        /// What stood on the disk before each write that was not synced.
        var unsynced: [Int32: [(offset: Int, old: [UInt8])]] = [:]
        var noise = Noise(state: 0)
        var files: Int?
    }

    private let system = SystemSpoolCalls()
    private let state = Mutex(State())

    func count(_ call: String) -> Int { state.withLock { $0.counts[call] ?? 0 } }

    /// The next `times` calls of that name fail with `code`.
    func fail(_ call: String, _ code: Int32, times: Int = Int.max) {
        state.withLock {
            $0.failing[call] = code
            $0.failures[call] = times
        }
    }

    /// The power is off: a process would not be there any more.
    var isDark: Bool { state.withLock { $0.rest == 0 } }

    /// Inodes that the file system has left; nil for those that it has.
    var files: Int? {
        get { state.withLock { $0.files } }
        set { state.withLock { $0.files = newValue } }
    }

    func heal() { state.withLock { $0.failures = [:] } }

    /// The power fails after `count` more changes: of what was not synced by then, any sector may be lost.
    func cutPower(after count: Int, seed: UInt64) {
        state.withLock {
            $0.rest = count
            $0.noise = Noise(state: seed)
        }
    }

    private static let changes: Set<String> = ["write", "syncData", "sync", "rename", "unlink", "allocate"]

    /// True when the power has just failed or had before.
    private static func isDark(_ state: inout State, _ call: String) -> Bool {
        guard let rest = state.rest else { return false }
        guard rest > 0 else { return true }
        if !changes.contains(call) { return false }
        state.rest = rest - 1
        if rest > 1 { return false }
        for (file, writes) in state.unsynced {
            for (offset, old) in writes.reversed() {
                for start in stride(from: 0, to: old.count, by: 512) where state.noise.next() % 2 == 0 {
                    _ = Array(old[start..<min(start + 512, old.count)]).withUnsafeBytes {
                        pwrite(file, $0.baseAddress, $0.count, offset + start)
                    }
                }
            }
        }
        return true
    }

    private func enter(_ call: String) throws(SystemError) {
        if state.withLock({ WatchedCalls.isDark(&$0, call) }) { throw SystemError("dark", EIO) }
        let code: Int32? = state.withLock {
            $0.counts[call, default: 0] += 1
            guard let rest = $0.failures[call], rest > 0 else { return nil }
            $0.failures[call] = rest - 1
            return $0.failing[call]
        }
        if let code { throw SystemError("injected", code) }
    }

    func open(_ directory: Int32, _ path: String, _ flags: Int32) throws(SystemError) -> Int32 {
        try enter("open")
        return try system.open(directory, path, flags)
    }
    func close(_ file: Int32) {
        state.withLock { $0.unsynced[file] = nil }
        system.close(file)
    }
    func write(_ file: Int32, _ bytes: UnsafeRawBufferPointer, at offset: Int) throws(SystemError) {
        if state.withLock({ $0.rest != nil }) {
            var old = [UInt8](repeating: 0, count: bytes.count)
            _ = old.withUnsafeMutableBytes { pread(file, $0.baseAddress, $0.count, offset) }
            // The call at which the power fails may have written a part.
            if state.withLock({ ($0.rest ?? 0) > 0 }) { try system.write(file, bytes, at: offset) }
            state.withLock { $0.unsynced[file, default: []].append((offset, old)) }
            return try enter("write")
        }
        try enter("write")
        try system.write(file, bytes, at: offset)
    }
    func read(_ file: Int32, _ bytes: UnsafeMutableRawBufferPointer, at offset: Int) throws(SystemError) -> Int {
        try enter("read")
        return try system.read(file, bytes, at: offset)
    }
    func allocate(_ file: Int32, _ size: Int) throws(SystemError) {
        try enter("allocate")
        try system.allocate(file, size)
    }
    func truncate(_ file: Int32, _ size: Int) throws(SystemError) { try system.truncate(file, size) }
    func syncData(_ file: Int32) throws(SystemError) {
        try enter("syncData")
        try system.syncData(file)
        state.withLock { $0.unsynced[file] = nil }
    }
    func sync(_ file: Int32) throws(SystemError) {
        try enter("sync")
        try system.sync(file)
        state.withLock { $0.unsynced[file] = nil }
    }
    func startWriting(_ file: Int32, at offset: Int, _ count: Int) {
        system.startWriting(file, at: offset, count)
    }
    func finishWriting(_ file: Int32, at offset: Int, _ count: Int) {
        system.finishWriting(file, at: offset, count)
    }
    func forgetCache(_ file: Int32) { system.forgetCache(file) }
    func size(_ file: Int32) throws(SystemError) -> Int { try system.size(file) }
    func rename(_ from: Int32, _ old: String, _ into: Int32, _ new: String) throws(SystemError) {
        try enter("rename")
        try system.rename(from, old, into, new)
    }
    func unlink(_ directory: Int32, _ path: String) throws(SystemError) {
        try enter("unlink")
        try system.unlink(directory, path)
    }
    func makeDirectory(_ directory: Int32, _ path: String) throws(SystemError) {
        try system.makeDirectory(directory, path)
    }
    func list(_ directory: Int32) throws(SystemError) -> [String] { try system.list(directory) }
    func room(_ directory: Int32) throws(SystemError) -> SpoolRoom {
        var room = try system.room(directory)
        room.files = files ?? room.files
        return room
    }
    func now() -> UInt64 { system.now() }
    func lock(_ file: Int32) throws(SystemError) -> Bool { try system.lock(file) }
}

struct TimedOut: Error {}

extension Spool {
    /// Turns the loop by hand until `condition` holds.
    func turn(until condition: () -> Bool) throws {
        while !condition() {
            var waiting = pollfd(fd: wakeDescriptor, events: Int16(POLLIN), revents: 0)
            if poll(&waiting, 1, 20_000) == 0 { throw TimedOut() }
            turn()
        }
    }

    func result<Value>(
        _ ask: (@escaping (Result<Value, SpoolError>) -> Void) -> Void
    ) throws -> Result<Value, SpoolError> {
        var answer: Result<Value, SpoolError>?
        ask { answer = $0 }
        try turn { answer != nil }
        return try #require(answer)
    }

    func commit(_ message: SpoolMessage) throws -> SpoolPosition {
        try result { commit(message, completion: $0) }.get()
    }

    func recordNow(
        _ position: SpoolPosition, envelope: UInt32 = 1, _ payload: String = "done", isFinal: Bool = true
    ) throws {
        let outcome = SpoolOutcome(
            message: position, envelope: envelope, payload: Array(payload.utf8), isFinal: isFinal)
        try result { record(outcome, durability: .now($0)) }.get()
    }

    func noteNow(_ key: String, _ value: String) throws {
        try result { note(Array(key.utf8), Array(value.utf8), durability: .now($0)) }.get()
    }

    func pieces(_ position: SpoolPosition) throws -> [SpoolPiece] {
        try result { content(of: position, completion: $0) }.get()
    }

    func text(_ position: SpoolPosition) throws -> String {
        var bytes: [UInt8] = []
        for case .bytes(let part) in try pieces(position) { bytes += part }
        return String(decoding: bytes, as: UTF8.self)
    }
}

func message(
    _ id: UInt32, _ text: String = "Subject: hello\r\n\r\n", envelopes: UInt32 = 1, filler: Int = 0
) -> SpoolMessage {
    var pieces: [SpoolPiece] = [.bytes(Array(text.utf8))]
    if filler > 0 { pieces.append(.bytes([UInt8](repeating: 0x61, count: filler))) }
    return SpoolMessage(
        id: MessageID(id), envelopeCount: envelopes, envelopes: Array("rcpt \(id)".utf8), attributes: [7],
        pieces: pieces)
}
