// SPDX-License-Identifier: ISC

import Bytes
import Glibc
import IPC
import Mail
import Posix

@testable import Mailbox

/// A directory of a test, removed with what is in it.
final class TemporaryDirectory {
    let path: String

    init() {
        var template = Array("/tmp/martlet-test.XXXXXX".utf8CString)
        path = mkdtemp(&template).map { String(cString: $0) } ?? "/nonexistent"
    }

    deinit { Self.remove(path) }

    nonisolated private static func remove(_ path: String) {
        for name in names(path) {
            let inner = "\(path)/\(name)"
            if unlink(inner) != 0 { remove(inner) }
        }
        rmdir(path)
    }

    nonisolated private static func names(_ path: String) -> [String] {
        guard let stream = opendir(path) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    func names(_ folder: String) -> [String] { Self.names("\(path)/\(folder)") }

    func read(_ name: String) -> String? {
        guard let file = try? FileDescriptor.open("\(path)/\(name)", O_RDONLY) else { return nil }
        return (try? file.readAll(limit: 1 << 24))?.map { String(decoding: $0, as: UTF8.self) } ?? nil
    }

    func write(_ name: String, _ text: String, mode: UInt32 = 0o600) throws {
        let file = try FileDescriptor.open("\(path)/\(name)", O_WRONLY | O_CREAT | O_TRUNC, mode: mode)
        try file.writeAll(Array(text.utf8))
    }
}

func delivery(_ number: UInt32 = 1, created: Int64 = 1000, form: LocalForm = .action) -> MailboxDelivery {
    let sender = ReversePath("alice@example.org") ?? .null
    let recipient =
        Mail.Mailbox("bob+lists@example.org") ?? Mail.Mailbox(.postmaster, at: Domain(literal: .unspecified))
    return MailboxDelivery(
        id: EnvelopeID(MessageID(0xabcd), number: number), sender: sender, recipient: recipient,
        destination: recipient, subaddress: nil, form: form, created: Timestamp(seconds: created), length: 0)
}

extension IPAddress {
    static var unspecified: IPAddress { IPAddress("0.0.0.0") ?? .unspecified }
}
