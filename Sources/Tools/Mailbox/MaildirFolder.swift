// SPDX-License-Identifier: ISC

import Bytes
import Glibc
import Posix

/// The open directories of a Maildir. Never kept for long: its user may move or remove it at any time.
nonisolated final class MaildirFolder {
    // O_PATH of Linux, which Swift's view of the C library lacks: enough to go through a directory.
    private static let pathOnly: Int32 = 0o10000000
    private static let longestSubfolder = 200

    let temporary: FileDescriptor
    let new: FileDescriptor
    let current: FileDescriptor
    private let base: FileDescriptor
    private var junk: MaildirFolder?

    /// The Maildir at an absolute path, made with all its parents where it is not there.
    static func open(_ path: String) throws(SystemError) -> MaildirFolder {
        try MaildirFolder(try directory(path))
    }

    /// Where mail for a tag goes: the folder of that name when there is one, else this one.
    func subfolder(_ tag: String) throws(SystemError) -> MaildirFolder {
        guard let name = Self.folderName(tag) else { return self }
        do {
            return try MaildirFolder(try FileDescriptor.open(name, O_DIRECTORY | Self.pathOnly, in: base.number))
        } catch {
            switch error.code {
            case ENOENT, ENOTDIR, EACCES, ELOOP: return self
            default: throw error
            }
        }
    }

    /// The folder `.Junk`, made where it is not there.
    func junkFolder() throws(SystemError) -> MaildirFolder {
        if let junk { return junk }
        let folder = try MaildirFolder(try Self.child(".Junk", of: base.number, Self.pathOnly))
        junk = folder
        return folder
    }

    static func exists(_ name: String, in directory: Int32) -> Bool {
        var status = stat()
        return fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0
    }

    private init(_ base: consuming FileDescriptor) throws(SystemError) {
        temporary = try Self.child("tmp", of: base.number, O_RDONLY)
        new = try Self.child("new", of: base.number, O_RDONLY)
        current = try Self.child("cur", of: base.number, O_RDONLY)
        self.base = base
    }

    /// A dot and the tag, what a shell or a mail reader could stumble over replaced; nil when it is no folder's name.
    static func folderName(_ tag: String) -> String? {
        let bytes = tag.utf8.map(replaced)
        guard let first = bytes.first, first != .dot, bytes.count <= longestSubfolder else { return nil }
        guard !bytes.contains(UInt8(ascii: "/")), !bytes.contains(0) else { return nil }
        return "." + String(decoding: bytes, as: UTF8.self)
    }

    private static func replaced(_ byte: UInt8) -> UInt8 {
        switch byte {
        case UInt8(ascii: "!"), UInt8(ascii: "#"), UInt8(ascii: "$"), UInt8(ascii: "%"), UInt8(ascii: "&"),
            UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "/"), UInt8(ascii: "?"), UInt8(ascii: "^"),
            UInt8(ascii: "`"), UInt8(ascii: "{"), UInt8(ascii: "|"), UInt8(ascii: "}"), UInt8(ascii: "~"):
            .colon
        default: byte
        }
    }

    // MARK: Making

    private static func directory(_ path: String) throws(SystemError) -> FileDescriptor {
        do {
            return try FileDescriptor.open(path, O_DIRECTORY | pathOnly)
        } catch {
            guard error.code == ENOENT else { throw error }
        }
        var parent = try FileDescriptor.open("/", O_DIRECTORY | pathOnly)
        for component in path.split(separator: "/") where component != "." {
            parent = try child(String(component), of: parent.number, pathOnly)
        }
        return parent
    }

    private static func child(
        _ name: String, of parent: Int32, _ access: Int32
    ) throws(SystemError) -> FileDescriptor {
        do {
            return try FileDescriptor.open(name, O_DIRECTORY | access, in: parent)
        } catch {
            guard error.code == ENOENT else { throw error }
        }
        if mkdirat(parent, name, 0o700) != 0, errno != EEXIST { throw SystemError("mkdir") }
        // A directory that may not be read cannot be synced either; its owner syncs it sooner or later.
        if let readable = try? FileDescriptor.open(".", O_DIRECTORY | O_RDONLY, in: parent) { try readable.sync() }
        return try FileDescriptor.open(name, O_DIRECTORY | access, in: parent)
    }
}
