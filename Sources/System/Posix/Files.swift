// SPDX-License-Identifier: ISC

import CPosix
public import Glibc

/// Files by descriptor. Every call is retried when a signal interrupts it.
extension FileDescriptor {
    /// Opens `path` below `directory` (the working directory when nil); always close-on-exec.
    public static func open(
        _ path: String, _ flags: Int32, mode: UInt32 = 0, in directory: Int32? = nil
    ) throws(SystemError) -> FileDescriptor {
        let number = retrying { martlet_open_at(directory ?? AT_FDCWD, path, flags, mode) }
        return FileDescriptor(owning: try SystemError.check("open", number))
    }

    /// Opens `path` without leaving `directory` and without following any link.
    public static func openBeneath(
        _ directory: Int32, _ path: String, _ flags: Int32, mode: UInt32 = 0
    ) throws(SystemError) -> FileDescriptor {
        let number = retrying { martlet_open_beneath(directory, path, flags, mode) }
        return FileDescriptor(owning: try SystemError.check("openat2", number))
    }

    /// The number of bytes read into the front of `buffer`; 0 at the end.
    public func read(into buffer: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int {
        try SystemError.check("read", FileDescriptor.retrying { Glibc.read(number, buffer.baseAddress, buffer.count) })
    }

    /// The number of bytes of `buffer` that were written.
    public func write(_ buffer: UnsafeRawBufferPointer) throws(SystemError) -> Int {
        try SystemError.check(
            "write", FileDescriptor.retrying { Glibc.write(number, buffer.baseAddress, buffer.count) })
    }

    /// Writes all of `bytes`, however often it takes; for files, not for sockets.
    public func writeAll(_ bytes: ArraySlice<UInt8>) throws(SystemError) {
        var rest = bytes
        while !rest.isEmpty {
            let result = rest.withUnsafeBytes { buffer in
                FileDescriptor.retrying { Glibc.write(number, buffer.baseAddress, buffer.count) }
            }
            rest = rest.dropFirst(try SystemError.check("write", result))
        }
    }

    public func writeAll(_ bytes: [UInt8]) throws(SystemError) { try writeAll(bytes[...]) }

    /// All that can be read, at most `limit` bytes; nil when there is more.
    public func readAll(limit: Int) throws(SystemError) -> [UInt8]? {
        var content: [UInt8] = []
        while true {
            let room = min(65536, limit + 1 - content.count)
            var failure: SystemError?
            let chunk = [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
                let result = FileDescriptor.retrying { Glibc.read(number, buffer.baseAddress, room) }
                if result < 0 { failure = SystemError("read") }
                count = max(0, result)
            }
            if let failure { throw failure }
            if chunk.isEmpty { return content }
            content += chunk
            if content.count > limit { return nil }
        }
    }

    /// At most `count` bytes from `offset` on; fewer only at the end.
    public func read(at offset: UInt64, count: Int) throws(SystemError) -> [UInt8] {
        var failure: SystemError?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let start = off_t(clamping: offset + UInt64(filled))
                let result = FileDescriptor.retrying {
                    pread(number, buffer.baseAddress.map { $0 + filled }, count - filled, start)
                }
                if result < 0 { failure = SystemError("pread") }
                if result <= 0 { return }
                filled += result
            }
        }
        if let failure { throw failure }
        return bytes
    }

    public func status() throws(SystemError) -> stat {
        var status = stat()
        try SystemError.check("fstat", fstat(number, &status))
        return status
    }

    public func syncData() throws(SystemError) {
        try SystemError.check("fdatasync", FileDescriptor.retrying { fdatasync(number) })
    }

    public func sync() throws(SystemError) {
        try SystemError.check("fsync", FileDescriptor.retrying { fsync(number) })
    }

    /// Repeats `call` while a signal interrupts it.
    @inlinable
    public static func retrying<Value: SignedInteger>(_ call: () -> Value) -> Value {
        while true {
            let result = call()
            if result >= 0 || errno != EINTR { return result }
        }
    }
}

extension stat {
    public var isRegularFile: Bool { st_mode & S_IFMT == S_IFREG }
    public var isDirectory: Bool { st_mode & S_IFMT == S_IFDIR }
}
