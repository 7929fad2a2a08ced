// SPDX-License-Identifier: ISC

import CPosix
import Glibc
import Posix

/// Every file system call of the spool, so that a test can count them, make them fail, record and replay them.
///
/// Descriptors are plain numbers here: their owners are the journal, the bodies and the lock.
protocol SpoolCalls: AnyObject, Sendable {
    func open(_ directory: Int32, _ path: String, _ flags: Int32) throws(SystemError) -> Int32
    func close(_ file: Int32)
    /// Writes all of `bytes` at `offset`.
    func write(_ file: Int32, _ bytes: UnsafeRawBufferPointer, at offset: Int) throws(SystemError)
    /// The number of bytes read at `offset`; fewer than asked for only at the end of the file.
    func read(_ file: Int32, _ bytes: UnsafeMutableRawBufferPointer, at offset: Int) throws(SystemError) -> Int
    func allocate(_ file: Int32, _ size: Int) throws(SystemError)
    func truncate(_ file: Int32, _ size: Int) throws(SystemError)
    func syncData(_ file: Int32) throws(SystemError)
    /// For directories and for files whose size matters.
    func sync(_ file: Int32) throws(SystemError)
    /// Begins to write out what was written, without waiting for it.
    func startWriting(_ file: Int32, at offset: Int, _ count: Int)
    /// Begins the same where that was not done, and waits until it is written out; this makes nothing durable.
    func finishWriting(_ file: Int32, at offset: Int, _ count: Int)
    /// Drops what the page cache holds of a file, so that a read tells what the disk has.
    func forgetCache(_ file: Int32)
    func size(_ file: Int32) throws(SystemError) -> Int
    func rename(_ from: Int32, _ old: String, _ into: Int32, _ new: String) throws(SystemError)
    func unlink(_ directory: Int32, _ path: String) throws(SystemError)
    func makeDirectory(_ directory: Int32, _ path: String) throws(SystemError)
    func list(_ directory: Int32) throws(SystemError) -> [String]
    /// What the file system would still take.
    func room(_ directory: Int32) throws(SystemError) -> SpoolRoom
    /// True when this process now has the lock of `file` alone.
    func lock(_ file: Int32) throws(SystemError) -> Bool
    /// Milliseconds of the monotonic clock.
    func now() -> UInt64
}

/// What a file system has left for us.
struct SpoolRoom: Hashable, Sendable {
    var bytes: Int
    /// Files that may still be made.
    var files: Int
}

/// The calls as the kernel does them, repeated when a signal interrupts them.
final class SystemSpoolCalls: SpoolCalls {
    func open(_ directory: Int32, _ path: String, _ flags: Int32) throws(SystemError) -> Int32 {
        try SystemError.check(
            "open", FileDescriptor.retrying { martlet_open_at(directory, path, flags | O_NOFOLLOW, 0o600) })
    }

    func close(_ file: Int32) { _ = Glibc.close(file) }

    func write(_ file: Int32, _ bytes: UnsafeRawBufferPointer, at offset: Int) throws(SystemError) {
        var done = 0
        while done < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
            let written = FileDescriptor.retrying {
                pwrite(file, rest.baseAddress, rest.count, off_t(offset &+ done))
            }
            done += try SystemError.check("pwrite", written)
        }
    }

    func read(_ file: Int32, _ bytes: UnsafeMutableRawBufferPointer, at offset: Int) throws(SystemError) -> Int {
        var done = 0
        while done < bytes.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: bytes[done...])
            let count = FileDescriptor.retrying { pread(file, rest.baseAddress, rest.count, off_t(offset &+ done)) }
            if try SystemError.check("pread", count) == 0 { break }
            done += count
        }
        return done
    }

    func allocate(_ file: Int32, _ size: Int) throws(SystemError) {
        let code = posix_fallocate(file, 0, off_t(size))
        // A file system that cannot preallocate is served by the zeros that are written afterwards.
        guard code == 0 || code == EOPNOTSUPP || code == EINVAL else { throw SystemError("posix_fallocate", code) }
    }

    func truncate(_ file: Int32, _ size: Int) throws(SystemError) {
        try SystemError.check("ftruncate", FileDescriptor.retrying { ftruncate(file, off_t(size)) })
    }

    func syncData(_ file: Int32) throws(SystemError) {
        try SystemError.check("fdatasync", FileDescriptor.retrying { fdatasync(file) })
    }

    func sync(_ file: Int32) throws(SystemError) {
        try SystemError.check("fsync", FileDescriptor.retrying { fsync(file) })
    }

    // A failure is not lost: the sync before the answer meets it again.
    func startWriting(_ file: Int32, at offset: Int, _ count: Int) {
        _ = sync_file_range(file, off64_t(offset), off64_t(count), UInt32(SYNC_FILE_RANGE_WRITE))
    }

    func finishWriting(_ file: Int32, at offset: Int, _ count: Int) {
        let flags =
            UInt32(SYNC_FILE_RANGE_WAIT_BEFORE) | UInt32(SYNC_FILE_RANGE_WRITE) | UInt32(SYNC_FILE_RANGE_WAIT_AFTER)
        _ = sync_file_range(file, off64_t(offset), off64_t(count), flags)
    }

    func forgetCache(_ file: Int32) { _ = posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) }

    func size(_ file: Int32) throws(SystemError) -> Int {
        var status = stat()
        try SystemError.check("fstat", fstat(file, &status))
        return Int(status.st_size)
    }

    func rename(_ from: Int32, _ old: String, _ into: Int32, _ new: String) throws(SystemError) {
        try SystemError.check("rename", renameat(from, old, into, new))
    }

    func unlink(_ directory: Int32, _ path: String) throws(SystemError) {
        try SystemError.check("unlink", unlinkat(directory, path, 0))
    }

    func makeDirectory(_ directory: Int32, _ path: String) throws(SystemError) {
        let result = mkdirat(directory, path, 0o700)
        guard result == 0 || errno == EEXIST else { throw SystemError("mkdir") }
    }

    func list(_ directory: Int32) throws(SystemError) -> [String] {
        // A descriptor of its own: reading a directory moves its position, and closing the stream closes it.
        let number = try open(directory, ".", O_RDONLY | O_DIRECTORY)
        guard let stream = fdopendir(number) else {
            let error = SystemError("fdopendir")
            close(number)
            throw error
        }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    func room(_ directory: Int32) throws(SystemError) -> SpoolRoom {
        var status = statvfs()
        try SystemError.check("fstatvfs", fstatvfs(directory, &status))
        // A file system without a table of files, such as btrfs, tells of none at all.
        return SpoolRoom(
            bytes: Int(clamping: UInt64(status.f_bavail) &* UInt64(status.f_frsize)),
            files: status.f_files == 0 ? Int.max : Int(clamping: status.f_favail))
    }

    func now() -> UInt64 {
        var value = timespec()
        clock_gettime(CLOCK_MONOTONIC, &value)
        return UInt64(value.tv_sec) * 1000 + UInt64(value.tv_nsec / 1_000_000)
    }

    func lock(_ file: Int32) throws(SystemError) -> Bool {
        let result = FileDescriptor.retrying { flock(file, LOCK_EX | LOCK_NB) }
        if result != 0, errno == EWOULDBLOCK { return false }
        try SystemError.check("flock", result)
        return true
    }
}
