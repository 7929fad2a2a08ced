// SPDX-License-Identifier: ISC

import Glibc
import Mail
import Posix

/// The file in a user's home directory that keeps what could not be sent, in the mbox form.
nonisolated enum DeadLetter {
    static let name = "dead.letter"

    /// Adds `message` and says where; throws when that cannot be done.
    static func save(_ message: [UInt8], for caller: Caller, at moment: Timestamp) throws(SystemError) -> String {
        let path = "\(caller.home)/\(name)"
        let flags = O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY
        let file = try FileDescriptor.open(path, flags, mode: 0o600)
        guard try file.status().isRegularFile else { throw SystemError("open", EINVAL) }
        try file.writeAll(entry(message, login: caller.login, at: date(moment)))
        try file.sync()
        return path
    }

    /// The message with its separator line before it and an empty line behind; lines that look like separators quoted.
    static func entry(_ message: [UInt8], login: String, at date: String) -> [UInt8] {
        let from = Array("From ".utf8)
        var output = Array("From \(login) \(date)\n".utf8)
        for line in message.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            if line.starts(with: from) { output.append(UInt8(ascii: ">")) }
            output += line
            output.append(UInt8(ascii: "\n"))
        }
        if message.last != UInt8(ascii: "\n") { output.append(UInt8(ascii: "\n")) }
        return output
    }

    // `Thu Jan  1 00:00:00 1970`, in UTC as mbox files have it.
    private static func date(_ moment: Timestamp) -> String {
        var seconds = time_t(moment.seconds)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
            guard let base = buffer.baseAddress, strftime(base, buffer.count, "%a %b %e %H:%M:%S %Y", &parts) > 0
            else { return "Thu Jan  1 00:00:00 1970" }
            return String(cString: base)
        }
    }
}
