// SPDX-License-Identifier: ISC

import Posix
import Reactor

/// The file of a table, read in parts: it may be large and its disk slow, and others have their turn in between.
enum TableFile {
    static let largest = 256 << 20
    private static let bytesPerTurn = 1 << 20

    /// All of `file`; `name` is for the reason why not.
    static func content(of file: consuming FileDescriptor, _ name: String) async throws(TableFault) -> [UInt8] {
        var bytes: [UInt8] = []
        do {
            while true {
                let part = try file.read(at: UInt64(bytes.count), count: bytesPerTurn)
                if part.isEmpty { return bytes }
                bytes += part
                guard bytes.count <= largest else { break }
                await Loop.pause(milliseconds: 0)
            }
        } catch {
            throw TableFault(description: "table \"\(name)\": \(error)")
        }
        throw TableFault(description: "table \"\(name)\": the file is larger than \(largest >> 20) MB")
    }
}
