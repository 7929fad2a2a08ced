// SPDX-License-Identifier: ISC

import Bytes
import Glibc
import Host
import Mail
import Posix

/// Mail that waits until the server is up: a file of the user's own in a directory that all may write to.
///
/// Its first line tells the arguments, and that sendmail wrote it: a file of root's that somebody linked there has no
/// such line.
nonisolated enum OfflineStore {
    private static let mark = "martlet-offline 1"
    // The directory is as open as /tmp: more than this is no backlog of a host.
    private static let mostWaiting = 1000
    private static let longestLine = 65536

    enum Failure: Error {
        /// An argument that the first line cannot hold.
        case argument
        case full
        case system(SystemError)

        var text: String {
            switch self {
            case .argument: "an argument has a character that cannot be kept"
            case .full: "too many messages wait already"
            case .system(let error): "\(error)"
            }
        }
    }

    /// Keeps a message with the arguments that it came with.
    static func save(
        _ arguments: [String], _ message: [UInt8], in path: String, at moment: Timestamp
    ) throws(Failure) {
        guard let line = firstLine(arguments) else { throw .argument }
        do {
            let directory = try FileDescriptor.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            guard try directory.names(limit: mostWaiting + 1).count <= mostWaiting else { throw Failure.full }
            let name = "\(moment.seconds).\(Hexadecimal.text(Randomness.integer(UInt64.self), width: 16))"
            let hidden = ".\(name)"
            let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW
            let file = try FileDescriptor.open(hidden, flags, mode: 0o600, in: directory.number)
            do {
                try file.writeAll(line)
                try file.writeAll(message)
                try file.sync()
                try SystemError.check("renameat", renameat(directory.number, hidden, directory.number, name))
                try directory.sync()
            } catch {
                unlinkat(directory.number, hidden, 0)
                throw error
            }
        } catch let failure as Failure {
            throw failure
        } catch let error as SystemError {
            throw .system(error)
        } catch {
            throw .full
        }
    }

    static func firstLine(_ arguments: [String]) -> [UInt8]? {
        guard arguments.allSatisfy({ $0.utf8.allSatisfy { $0 != UInt8(ascii: "|") && $0 != .lineFeed && $0 != 0 } })
        else { return nil }
        let line = ([mark] + arguments).joined(separator: "|")
        return line.utf8.count < longestLine ? Array("\(line)\n".utf8) : nil
    }

    /// The arguments and the message of a file; nil when sendmail has not written it.
    static func parts(of content: [UInt8]) -> (arguments: [String], message: [UInt8])? {
        guard let end = content.prefix(longestLine).firstIndex(of: .lineFeed),
            let line = String(validating: content[..<end], as: UTF8.self)
        else { return nil }
        let words = line.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
        guard words.first == mark else { return nil }
        return (Array(words.dropFirst()), Array(content[(end + 1)...]))
    }
}
