// SPDX-License-Identifier: ISC

import Glibc
public import Posix

/// What the kernel says of a file.
public struct FileFacts: Hashable, Sendable {
    public let owner: UInt32
    public let group: UInt32
    /// The permission bits, set-id and sticky included.
    public let mode: UInt32
    public let isRegular: Bool
    public let isDirectory: Bool
    public let size: Int64
    /// Names that the file has.
    public let links: Int
    /// Which file it is, and when it last changed: together a mark that differs after each change.
    public let mark: [Int64]

    public var isWritableByOthers: Bool { mode & 0o022 != 0 }
    public var isWritableByEveryone: Bool { isRegular && mode & 0o002 != 0 }

    init(_ status: stat) {
        owner = status.st_uid
        group = status.st_gid
        mode = UInt32(status.st_mode) & 0o7777
        isRegular = status.isRegularFile
        isDirectory = status.isDirectory
        size = Int64(status.st_size)
        links = Int(status.st_nlink)
        mark = [
            Int64(bitPattern: UInt64(status.st_dev)), Int64(bitPattern: UInt64(status.st_ino)),
            Int64(status.st_mtim.tv_sec), Int64(status.st_mtim.tv_nsec), Int64(status.st_size),
        ]
    }

    /// Of the file at `path`, links followed; nil when there is none.
    public init?(at path: String) {
        var status = stat()
        guard fstatat(AT_FDCWD, path, &status, 0) == 0 else { return nil }
        self.init(status)
    }
}

extension FileDescriptor {
    public func facts() throws(SystemError) -> FileFacts { FileFacts(try status()) }

    /// Whether nobody has written to the file since then.
    func isUnchanged(since facts: FileFacts) throws(SystemError) -> Bool { try self.facts().mark == facts.mark }

    /// Opens a regular file for reading; never waits for one that is a device or a pipe.
    public static func readable(_ path: String) throws(SystemError) -> FileDescriptor {
        let file = try open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY)
        guard try file.facts().isRegular else { throw SystemError("open: no regular file", EINVAL) }
        return file
    }

    /// The content of a regular file; nil when it is longer than `limit` bytes.
    public static func content(of path: String, limit: Int) throws(SystemError) -> [UInt8]? {
        try readable(path).readAll(limit: limit)
    }
}
