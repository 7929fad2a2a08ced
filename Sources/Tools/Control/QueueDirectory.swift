// SPDX-License-Identifier: ISC

import Glibc
import Host
import Mail
import Posix

/// The queue directory of an OpenSMTPD: `XX/MSGID/EVPID`, and beside the envelopes the content, `message`.
///
/// Everything is opened below the directory that was named, without following links.
nonisolated final class QueueDirectory {
    final class Message {
        let bucket: String
        let name: String
        private let directory: FileDescriptor

        init(bucket: String, name: String, _ directory: consuming FileDescriptor) {
            self.bucket = bucket
            self.name = name
            self.directory = directory
        }

        var number: Int32 { directory.number }

        /// The names of its envelopes, in order.
        func envelopes() throws(SystemError) -> [String] {
            try directory.names().filter { EnvelopeID($0) != nil }.sorted()
        }

        func read(_ name: String, limit: Int) throws(SystemError) -> [UInt8] {
            let file = try QueueDirectory.open(name, in: directory.number, O_RDONLY)
            return try file.read(at: 0, count: limit)
        }

        /// What has left is on the disk gone, too.
        func sync() throws(SystemError) { try directory.sync() }

        func openContent() throws(SystemError) -> FileDescriptor {
            try QueueDirectory.open("message", in: directory.number, O_RDONLY)
        }
    }

    private let root: FileDescriptor

    init(_ path: String) throws(SystemError) {
        root = try FileDescriptor.open(path, O_RDONLY | O_DIRECTORY)
    }

    /// All messages, opened one after another would be gentler; a queue that is moved is not that large.
    func messages() throws(SystemError) -> [Message] {
        var found: [Message] = []
        for bucket in try root.names().sorted() where bucket.utf8.count == 2 {
            let directory = try Self.open(bucket, in: root.number, O_RDONLY | O_DIRECTORY)
            for name in try directory.names().sorted() where MessageID(name) != nil {
                found.append(
                    Message(
                        bucket: bucket, name: name,
                        try Self.open(name, in: directory.number, O_RDONLY | O_DIRECTORY)))
            }
        }
        return found
    }

    /// Moves envelopes below `place`, and the content with the last of them. Afterwards they are there for certain: one
    /// that a crash puts back would come twice.
    func moveAside(_ message: Message, _ envelopes: [String], to place: String) throws(SystemError) {
        for path in [place, "\(place)/\(message.name)"] {
            if mkdir(path, 0o700) != 0, errno != EEXIST { throw SystemError("mkdir") }
        }
        let target = try FileDescriptor.open("\(place)/\(message.name)", O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        for name in envelopes {
            try SystemError.check("renameat", renameat(message.number, name, target.number, name))
        }
        let isLast = try message.envelopes().isEmpty
        if isLast { try SystemError.check("renameat", renameat(message.number, "message", target.number, "message")) }
        try target.sync()
        for path in [place, "\(place)/.."] { try FileDescriptor.open(path, O_RDONLY | O_DIRECTORY).sync() }
        try message.sync()
        if isLast { _ = unlinkat(root.number, "\(message.bucket)/\(message.name)", AT_REMOVEDIR) }
    }

    static func open(_ name: String, in directory: Int32, _ flags: Int32) throws(SystemError) -> FileDescriptor {
        let number = openat(directory, name, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
        return FileDescriptor(owning: try SystemError.check("open", number))
    }
}
