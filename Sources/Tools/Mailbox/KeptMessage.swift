// SPDX-License-Identifier: ISC

import Glibc
import Posix

/// A message on its way to a command that has not read it yet: in memory while it is short, else in a file that has no
/// name, so that the agent stays small whatever people send each other.
nonisolated final class KeptMessage {
    static let mostInMemory = 256 * 1024

    private var bytes: [UInt8]
    private var file: FileDescriptor?
    private(set) var count: Int
    /// Why the message is not whole.
    private(set) var failure: SystemError?

    init(_ beginning: [UInt8]) {
        bytes = beginning
        count = beginning.count
    }

    func append(_ more: [UInt8]) {
        guard failure == nil, !more.isEmpty else { return }
        count += more.count
        do {
            if let number = file?.number {
                try Self.write(more, to: number)
            } else {
                bytes += more
                if bytes.count > Self.mostInMemory { try moveToFile() }
            }
        } catch {
            failure = error
        }
    }

    /// The bytes from `offset` on, as many as are had at once; none only at the end.
    func slice(at offset: Int, atMost most: Int) throws(SystemError) -> [UInt8] {
        if let read = try file?.read(at: UInt64(offset), count: min(most, count - offset)) { return read }
        return Array(bytes[min(offset, bytes.count)...].prefix(most))
    }

    private func moveToFile() throws(SystemError) {
        var name = Array("/tmp/martlet-mailbox.XXXXXX".utf8CString)
        let file = FileDescriptor(owning: try SystemError.check("mkostemp", mkostemp(&name, O_CLOEXEC)))
        unlink(name)
        try Self.write(bytes, to: file.number)
        self.file = consume file
        bytes = []
    }

    private static func write(_ bytes: [UInt8], to number: Int32) throws(SystemError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let result = rest.withUnsafeBytes { buffer in
                FileDescriptor.retrying { Glibc.write(number, buffer.baseAddress, buffer.count) }
            }
            rest = rest.dropFirst(try SystemError.check("write", result))
        }
    }
}
