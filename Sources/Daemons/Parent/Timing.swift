// SPDX-License-Identifier: ISC

/// How long children may be silent, in milliseconds.
nonisolated struct Timing: Hashable, Sendable {
    var aliveInterval: UInt64 = 10_000
    var aliveLimit: UInt64 = 30_000
    let textInterval: UInt64 = 5_000
    /// How long a child may take until it is ready.
    let longestStart: UInt64 = 30_000

    /// Tests shorten them by the environment.
    init(variable: (String) -> String?) {
        if let value = variable("MARTLET_ALIVE_INTERVAL_MS").flatMap(UInt64.init), value >= 10 { aliveInterval = value }
        if let value = variable("MARTLET_ALIVE_LIMIT_MS").flatMap(UInt64.init), value >= 10 { aliveLimit = value }
    }
}
