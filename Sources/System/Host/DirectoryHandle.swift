// SPDX-License-Identifier: ISC

import Glibc
public import Posix

/// A directory held open. Sockets in it are reached through the descriptor, so that its path may be of any length
/// (a socket's own holds 108 bytes).
public struct DirectoryHandle: ~Copyable, Sendable {
    public let descriptor: FileDescriptor

    /// Opens `path`, made with `mode` and given to `owner` where it is not there; the directories above it are made too.
    public init(
        making path: String, mode: UInt32, owner: (uid: UInt32, gid: UInt32)? = nil
    ) throws(SystemError) {
        if !DirectoryHandle.exists(path) {
            try DirectoryHandle.makeParents(of: path)
            try SystemError.check("mkdir", mkdir(path, mode_t(mode)))
            if let owner { try SystemError.check("chown", lchown(path, owner.uid, owner.gid)) }
        }
        descriptor = try FileDescriptor.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    }

    private init(existing path: String) throws(SystemError) {
        descriptor = try FileDescriptor.open(path, O_RDONLY | O_DIRECTORY)
    }

    /// A listening Unix socket with `mode` in a directory that is there. A socket that an earlier run left is replaced,
    /// and nothing else that stands in its place.
    public static func listen(at path: String, mode: UInt32) throws(SystemError) -> FileDescriptor {
        let parts = path.split(separator: "/")
        guard let name = parts.last.map(String.init) else { throw SystemError("bind", EISDIR) }
        let directory = try DirectoryHandle(existing: "/" + parts.dropLast().joined(separator: "/"))
        var status = stat()
        if fstatat(directory.descriptor.number, name, &status, AT_SYMLINK_NOFOLLOW) == 0,
            status.st_mode & S_IFMT != S_IFSOCK
        {
            throw SystemError("bind", EEXIST)
        }
        return try directory.listen(name, mode: mode)
    }

    private static func exists(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0
    }

    // Each part of a path once; the kernel bounds the length of a path.
    private static func makeParents(of path: String) throws(SystemError) {
        let parts = path.split(separator: "/").dropLast()
        var above = ""
        for part in parts {
            above += "/\(part)"
            if mkdir(above, 0o755) != 0, errno != EEXIST, errno != EISDIR { throw SystemError("mkdir") }
        }
    }

    /// A listening Unix socket `name` with `mode`; one that an earlier run left is replaced.
    public func listen(_ name: String, mode: UInt32) throws(SystemError) -> FileDescriptor {
        remove(name)
        let path = "/proc/self/fd/\(descriptor.number)/\(name)"
        let socket = try FileDescriptor.listen(on: .local(path: path), backlog: 128)
        try SystemError.check("chmod", fchmodat(descriptor.number, name, mode_t(mode), 0))
        return socket
    }

    /// A file in it for reading; never waits for one that is a pipe, and follows no link.
    public func readable(_ name: String) throws(SystemError) -> FileDescriptor {
        try FileDescriptor.open(name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW, in: descriptor.number)
    }

    /// Gives a file in it another name there.
    public func rename(_ name: String, to other: String) throws(SystemError) {
        try SystemError.check("renameat", renameat(descriptor.number, name, descriptor.number, other))
    }

    public func remove(_ name: String) { unlinkat(descriptor.number, name, 0) }

    /// The file `name`, locked for this process alone until it ends; nil when another process holds it.
    public func lock(_ name: String) throws(SystemError) -> FileDescriptor? {
        let file = try FileDescriptor.open(name, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o644, in: descriptor.number)
        if flock(file.number, LOCK_EX | LOCK_NB) == 0 { return file }
        guard errno == EWOULDBLOCK else { throw SystemError("flock") }
        return nil
    }
}

extension FileDescriptor {
    /// The names in this directory, in no order; at most `limit` of them.
    public func names(limit: Int = .max) throws(SystemError) -> [String] {
        let copy = try SystemError.check("open", openat(number, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC))
        guard let stream = fdopendir(copy) else {
            let error = SystemError("fdopendir")
            Glibc.close(copy)
            throw error
        }
        defer { closedir(stream) }
        var names: [String] = []
        while names.count < limit, let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// Makes `text` the whole content.
    public func replaceContent(_ text: String) throws(SystemError) {
        try SystemError.check("ftruncate", ftruncate(number, 0))
        try SystemError.check("lseek", lseek(number, 0, SEEK_SET))
        try writeAll(Array(text.utf8))
    }

    public func setMode(_ mode: UInt32) throws(SystemError) {
        try SystemError.check("fchmod", fchmod(number, mode_t(mode)))
    }
}
