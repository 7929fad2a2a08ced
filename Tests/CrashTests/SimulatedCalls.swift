// SPDX-License-Identifier: ISC

import Glibc
import Posix

@testable import Spool

/// The spool's system calls on a file system in memory: recorded, made to fail, or answered too early.
///
/// Unchecked because only one thread is there: these spools have none of their own.
final class SimulatedCalls: SpoolCalls, @unchecked Sendable {
    /// Defects that a spool could have, made here so that the spool itself needs not have them.
    enum Defect: CaseIterable {
        case batchSyncLeftOut
        case bodySyncLeftOut
        case bodyNameSyncLeftOut
        case segmentNameSyncLeftOut
        case renameBeforeSync
        case answerBeforeSync
    }

    /// What happens at a call instead of what should.
    enum Fault: CaseIterable {
        case inputOutputError
        case noSpace
        /// A part is written, and then there is no room.
        case shortWrite
    }

    private(set) var image: DiskImage
    private(set) var log: [LogEntry] = []
    var isRecording = true
    var milliseconds: UInt64 = 1_000_000
    var capacity = 1 << 30
    var filesLeft = 1 << 20
    var defect: Defect?
    /// Memory is wrong where the disk is right: reads give another byte until the cache is dropped.
    var isCacheWrong = false
    /// The calls at which a fault happens, counted over those that change something.
    var faults: (calls: Range<Int>, fault: Fault)?
    private(set) var changes = 0
    /// The reads that fail, counted over all that are asked for; opening a file that is there is one.
    var failingReads: Range<Int> = 0..<0
    private(set) var reads = 0
    /// A file of which the disk gives nothing.
    var unreadableFile: Int?
    private var descriptors: [Int32: Int] = [:]
    // Far above all that a process can have open: closing one of them by mistake closes nothing.
    private var nextDescriptor: Int32 = 1 << 30
    private var lateSync: Int?

    init(_ image: DiskImage) { self.image = image }

    func note(_ fact: Fact) { record(.fact(fact)) }

    private func record(_ entry: LogEntry) { if isRecording { log.append(entry) } }

    /// The fault that is due at this call.
    private func change() -> Fault? {
        defer { changes += 1 }
        guard let (calls, fault) = faults, calls.contains(changes) else { return nil }
        return fault
    }

    private func enter(_ call: StaticString) throws(SystemError) {
        switch change() {
        case .inputOutputError: throw SystemError(call, EIO)
        case .noSpace, .shortWrite: throw SystemError(call, ENOSPC)
        case nil: break
        }
    }

    private func enterRead(_ call: StaticString, _ file: Int) throws(SystemError) {
        defer { reads += 1 }
        if failingReads.contains(reads) || file == unreadableFile { throw SystemError(call, EIO) }
    }

    private func number(_ descriptor: Int32) throws(SystemError) -> Int {
        guard let number = descriptors[descriptor] else { throw SystemError("simulated", EBADF) }
        return number
    }

    private func descriptor(of number: Int) -> Int32 {
        nextDescriptor += 1
        descriptors[nextDescriptor] = number
        return nextDescriptor
    }

    func openRoot() -> FileDescriptor { FileDescriptor(owning: descriptor(of: DiskImage.root)) }

    func open(_ directory: Int32, _ path: String, _ flags: Int32) throws(SystemError) -> Int32 {
        let directory = try number(directory)
        if let known = image.directories[directory]?[path] {
            if image.files[known] != nil, known != unreadableFile { try enterRead("open", known) }
            if flags & O_EXCL != 0 { throw SystemError("open", EEXIST) }
            if flags & O_TRUNC != 0, image.files[known]?.isEmpty == false {
                image.resize(known, 0)
                record(.resize(file: known, size: 0))
            }
            return descriptor(of: known)
        }
        guard flags & O_CREAT != 0 else { throw SystemError("open", ENOENT) }
        try enter("open")
        guard filesLeft > 0 else { throw SystemError("open", ENOSPC) }
        filesLeft -= 1
        let new = image.newNumber()
        image.files[new] = []
        image.directories[directory]?[path] = new
        record(.create(directory: directory, name: path, file: new, isDirectory: false))
        return descriptor(of: new)
    }

    func close(_ file: Int32) { descriptors[file] = nil }

    func write(_ file: Int32, _ bytes: UnsafeRawBufferPointer, at offset: Int) throws(SystemError) {
        let file = try number(file)
        var count = bytes.count
        let fault = change()
        if fault == .inputOutputError { throw SystemError("pwrite", EIO) }
        if fault == .noSpace { throw SystemError("pwrite", ENOSPC) }
        if fault == .shortWrite { count /= 2 }
        let room = capacity - image.usedBytes
        count = min(count, max(0, (image.files[file]?.count ?? 0) - offset + room))
        let written = Array(bytes.prefix(count))
        image.write(file, written[...], at: offset)
        record(.write(file: file, offset: offset, bytes: written))
        if count < bytes.count { throw SystemError("pwrite", ENOSPC) }
    }

    func read(_ file: Int32, _ bytes: UnsafeMutableRawBufferPointer, at offset: Int) throws(SystemError) -> Int {
        let file = try number(file)
        try enterRead("pread", file)
        let content = image.files[file] ?? []
        let count = max(0, min(bytes.count, content.count - offset))
        content.withUnsafeBytes { source in
            if count > 0 { bytes.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[offset..<offset + count])) }
        }
        if isCacheWrong, count > 0 { bytes[count - 1] ^= 1 }
        return count
    }

    func allocate(_ file: Int32, _ size: Int) throws(SystemError) {
        try enter("posix_fallocate")
        let file = try number(file)
        guard size - (image.files[file]?.count ?? 0) <= capacity - image.usedBytes else {
            throw SystemError("posix_fallocate", ENOSPC)
        }
        if image.files[file]?.count ?? 0 < size { resize(file, size) }
    }

    func truncate(_ file: Int32, _ size: Int) throws(SystemError) {
        try enter("ftruncate")
        let file = try number(file)
        if image.files[file]?.count != size { resize(file, size) }
    }

    private func resize(_ file: Int, _ size: Int) {
        image.resize(file, size)
        record(.resize(file: file, size: size))
    }

    func syncData(_ file: Int32) throws(SystemError) {
        let file = try number(file)
        payLateSync()
        switch defect {
        case .batchSyncLeftOut where !isBody(file), .bodySyncLeftOut where isBody(file): return
        case .answerBeforeSync: lateSync = file
        case .batchSyncLeftOut, .bodySyncLeftOut, .bodyNameSyncLeftOut, .segmentNameSyncLeftOut, .renameBeforeSync, nil:
            try finishSync(file)
        }
    }

    func sync(_ file: Int32) throws(SystemError) {
        let file = try number(file)
        guard let names = image.directories[file] else {
            if defect == .renameBeforeSync { lateSync = file } else { try finishSync(file) }
            return
        }
        let holdsBodies = names.keys.contains { $0.hasSuffix(".body") }
        let holdsSegments = names.keys.contains { $0.hasSuffix(".seg") }
        if defect == .bodyNameSyncLeftOut, holdsBodies { return }
        if defect == .segmentNameSyncLeftOut, holdsSegments { return }
        try enter("fsync")
        record(.syncDirectory(file))
        if defect == .renameBeforeSync { payLateSync() }
    }

    private func isBody(_ file: Int) -> Bool {
        image.directories.values.contains { $0.contains { $0.value == file && $0.key.hasSuffix(".body") } }
    }

    private func finishSync(_ file: Int) throws(SystemError) {
        do throws(SystemError) {
            try enter("fdatasync")
        } catch {
            record(.failedSync(file: file))
            throw error
        }
        record(.sync(file: file))
    }

    private func payLateSync() {
        if let lateSync { record(.sync(file: lateSync)) }
        lateSync = nil
    }

    func startWriting(_ file: Int32, at offset: Int, _ count: Int) {}
    func finishWriting(_ file: Int32, at offset: Int, _ count: Int) {}
    func forgetCache(_ file: Int32) { isCacheWrong = false }

    func size(_ file: Int32) throws(SystemError) -> Int {
        let file = try number(file)
        if file != unreadableFile { try enterRead("fstat", file) }
        return image.files[file]?.count ?? 0
    }

    func rename(_ from: Int32, _ old: String, _ into: Int32, _ new: String) throws(SystemError) {
        let directory = try number(from)
        let target = try number(into)
        guard let file = image.directories[directory]?[old] else { throw SystemError("rename", ENOENT) }
        try enter("rename")
        image.directories[directory]?[old] = nil
        image.directories[target]?[new] = file
        record(.rename(directory: directory, old: old, into: target, new: new))
    }

    func unlink(_ directory: Int32, _ path: String) throws(SystemError) {
        let directory = try number(directory)
        guard let file = image.directories[directory]?[path] else { throw SystemError("unlink", ENOENT) }
        try enter("unlink")
        image.directories[directory]?[path] = nil
        let isNamed = image.directories.values.contains { $0.values.contains(file) }
        if !isNamed, !descriptors.values.contains(file) { image.files[file] = nil }
        filesLeft += 1
        record(.unlink(directory: directory, name: path))
    }

    func makeDirectory(_ directory: Int32, _ path: String) throws(SystemError) {
        let directory = try number(directory)
        if image.directories[directory]?[path] != nil { return }
        try enter("mkdir")
        let new = image.newNumber()
        image.directories[directory]?[path] = new
        image.directories[new] = [:]
        record(.create(directory: directory, name: path, file: new, isDirectory: true))
    }

    func list(_ directory: Int32) throws(SystemError) -> [String] {
        (image.directories[try number(directory)] ?? [:]).keys.sorted()
    }

    func room(_ directory: Int32) throws(SystemError) -> SpoolRoom {
        SpoolRoom(bytes: max(0, capacity - image.usedBytes), files: filesLeft)
    }

    func lock(_ file: Int32) throws(SystemError) -> Bool { true }
    func now() -> UInt64 { milliseconds }
}
