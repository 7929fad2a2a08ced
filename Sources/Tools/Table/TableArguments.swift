// SPDX-License-Identifier: ISC

import Configuration

/// What martlet-table serves.
nonisolated struct TableArguments: Hashable, Sendable {
    enum Kind: String, Hashable, Sendable {
        case database = "db"
        case sqlite
    }

    let kind: Kind
    /// The database file, or for SQLite the file that names it and its queries.
    let path: String
    let delimiters: SubaddressDelimiters

    init?(_ arguments: [String]) {
        guard (2...3).contains(arguments.count), let kind = Kind(rawValue: arguments[0]), arguments[1].hasPrefix("/")
        else { return nil }
        self.kind = kind
        path = arguments[1]
        delimiters = arguments.count == 3 ? SubaddressDelimiters(arguments[2]) : .plus
    }
}
