// SPDX-License-Identifier: ISC

import IPC

/// How long children may be silent, in milliseconds.
nonisolated struct Timing: Hashable, Sendable {
    var aliveInterval: UInt64 = 10_000
    var aliveLimit: UInt64 = 30_000
    /// How long an agent may take for a delivery; the reference's limit, as martlet-delivery(8) promises it.
    var agentLimit: UInt64 = 300_000
    // An agent of commands ends each of them itself by that limit, and goes on with the others.
    private let commandsGrace: UInt64 = 30_000
    let textInterval: UInt64 = 5_000
    /// How long a child may take until it is ready; Queue reads its whole spool, on a disk that may be slow.
    let longestStart: UInt64 = 30_000
    let longestOpening: UInt64 = 3_600_000

    func agentLimit(of method: AgentRules.Plan.Method) -> UInt64 {
        switch method {
        case .maildir, .mbox: agentLimit
        case .command, .commands: agentLimit + commandsGrace
        }
    }

    func longestStart(of role: Role) -> UInt64 { max(role == .queue ? longestOpening : longestStart, aliveLimit) }

    /// Tests shorten them by the environment.
    init(variable: (String) -> String?) {
        if let value = variable("MARTLET_ALIVE_INTERVAL_MS").flatMap(UInt64.init), value >= 10 { aliveInterval = value }
        if let value = variable("MARTLET_ALIVE_LIMIT_MS").flatMap(UInt64.init), value >= 10 { aliveLimit = value }
        if let value = variable("MARTLET_AGENT_LIMIT_MS").flatMap(UInt64.init), value >= 10 { agentLimit = value }
    }
}
