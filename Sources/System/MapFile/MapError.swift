// SPDX-License-Identifier: ISC

import CLMDB
public import Posix

/// Why a database file is of no use.
public enum MapError: Error, Hashable, Sendable, CustomStringConvertible {
    case system(SystemError)
    /// What LMDB says.
    case database(String)
    /// As the makemap of other mail systems writes them.
    case berkeley(path: String)
    case longKey(String)

    public var description: String {
        switch self {
        case .system(let error): "\(error)"
        case .database(let reason): reason
        case .berkeley(let path):
            "\(path): a Berkeley DB file, which Martlet does not read: make it again from its text, "
                + "makemap -o \(path) \(path.hasSuffix(".db") ? String(path.dropLast(3)) : "TEXT")"
        case .longKey(let key): "key too long for a database: \(key.prefix(40))..."
        }
    }

    static func check(_ call: StaticString, _ result: Int32) throws(MapError) {
        guard result != 0 else { return }
        throw .database("\(call): \(String(cString: mdb_strerror(result)))")
    }
}
