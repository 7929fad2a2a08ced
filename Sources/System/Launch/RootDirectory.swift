// SPDX-License-Identifier: ISC

import Glibc
public import Posix

/// The directory that becomes a daemon's `/`. Held by descriptor: a path could come to mean something else.
public struct RootDirectory: ~Copyable, Sendable {
    let descriptor: FileDescriptor

    /// A directory with nothing in it which only root could change. Other than that it is refused.
    public static func empty(at path: String) throws(LaunchError) -> RootDirectory {
        let root = RootDirectory(descriptor: try open(path))
        try root.checkOwnership(of: path, allowing: 0)
        guard try root.isEmpty() else { throw .unsafeRoot("\(path) is not empty") }
        return root
    }

    /// The spool, which belongs to its daemon and to no one else.
    public static func spool(at path: String, of identity: Identity?) throws(LaunchError) -> RootDirectory {
        let root = RootDirectory(descriptor: try open(path))
        try root.checkOwnership(of: path, allowing: identity?.uid ?? getuid())
        return root
    }

    /// A directory that Parent has opened, checked and passed.
    public init(descriptor: consuming FileDescriptor) { self.descriptor = descriptor }

    private static func open(_ path: String) throws(LaunchError) -> FileDescriptor {
        do {
            return try FileDescriptor.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        } catch {
            throw .step(.root, error)
        }
    }

    private func checkOwnership(of path: String, allowing owner: UInt32) throws(LaunchError) {
        let status = try ConfinementStep.root.check { () throws(SystemError) in try descriptor.status() }
        // Where everything runs as one user there is no root whose it could be.
        guard status.st_uid == 0 || status.st_uid == owner || geteuid() != 0 else {
            throw .unsafeRoot("\(path) belongs to uid \(status.st_uid)")
        }
        guard status.st_mode & (S_IWGRP | S_IWOTH) == 0 else {
            throw .unsafeRoot("\(path) may be written by others")
        }
    }

    private func isEmpty() throws(LaunchError) -> Bool {
        let copy = try ConfinementStep.root.check { () throws(SystemError) in try descriptor.duplicate().release() }
        guard let directory = fdopendir(copy) else {
            let error = SystemError("fdopendir")
            close(copy)
            throw .step(.root, error)
        }
        defer { closedir(directory) }
        var count = 0
        // Only `.` and `..`; a third entry ends the loop.
        while count <= 2, readdir(directory) != nil { count += 1 }
        return count <= 2
    }

    /// Makes the directory this process's root and working directory.
    func enter() throws(SystemError) {
        try SystemError.check("fchdir", fchdir(descriptor.number))
        try SystemError.check("chroot", chroot("."))
        try SystemError.check("chdir", chdir("/"))
    }
}
