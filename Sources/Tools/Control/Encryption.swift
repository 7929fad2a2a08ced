// SPDX-License-Identifier: ISC

import Host
import Posix

/// `encrypt [string]`: prints the hash of a password, or of each line of standard input.
enum Encryption {
    private static let mostLines = 10_000
    private static let largestInput = 4 << 20

    /// The status to exit with.
    static func run(_ password: String?, write: ([UInt8]) -> Void, complain: (String) -> Void) -> Int32 {
        do {
            guard let passwords = try password.map({ [Array($0.utf8)] }) ?? linesOfInput() else {
                complain("too much input")
                return 1
            }
            for password in passwords { write(Array("\(try PasswordHash.make(of: password))\n".utf8)) }
            return 0
        } catch {
            complain("\(error)")
            return 1
        }
    }

    private static func linesOfInput() throws(SystemError) -> [[UInt8]]? {
        guard let input = try FileDescriptor.duplicate(0).readAll(limit: largestInput) else { return nil }
        var lines = input.split(separator: 10, omittingEmptySubsequences: false).map { Array($0) }
        // Behind the last line's end there is no other.
        if lines.last?.isEmpty ?? false { lines.removeLast() }
        return lines.count <= mostLines ? lines : nil
    }
}
