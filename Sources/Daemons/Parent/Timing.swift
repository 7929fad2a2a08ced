// SPDX-License-Identifier: ISC

import IPC

/// How long children may be silent, in milliseconds.
nonisolated struct Timing: Hashable, Sendable {
    var aliveInterval: UInt64 = 10_000
    var aliveLimit: UInt64 = 30_000
    let textInterval: UInt64 = 5_000
    /// How long a child may take until it is ready; Queue reads its whole spool, on a disk that may be slow.
    let longestStart: UInt64 = 30_000
    let longestOpening: UInt64 = 3_600_000

    func longestStart(of role: Role) -> UInt64 { max(role == .queue ? longestOpening : longestStart, aliveLimit) }

    /// Tests shorten them by the environment.
    init(variable: (String) -> String?) {
        if let value = variable("MARTLET_ALIVE_INTERVAL_MS").flatMap(UInt64.init), value >= 10 { aliveInterval = value }
        if let value = variable("MARTLET_ALIVE_LIMIT_MS").flatMap(UInt64.init), value >= 10 { aliveLimit = value }
    }
}
