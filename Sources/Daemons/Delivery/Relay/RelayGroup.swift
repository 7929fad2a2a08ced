// SPDX-License-Identifier: ISC

import Mail
import Schedule

/// A set of hosts that take the mail of one domain or of many: they are one destination, however many domains lead
/// there, and so it is as a whole that they are trusted with connections.
final class RelayGroup {
    /// The names of the hosts, sorted; what it is known by.
    let name: String
    var concurrency = Concurrency()
    private(set) var connections = 0
    private var waiting = WaitingLine()

    init(_ name: String) { self.name = name }

    static func name(of endpoints: [Endpoint]) -> String {
        Set(endpoints.map { "\($0.name.canonical):\($0.port)" }).sorted().joined(separator: ",")
    }

    var mayOpen: Bool { connections < concurrency.connections }

    /// Why no more connections are opened.
    var excuse: String {
        "concurrency \(concurrency.connections)" + (concurrency.reason.map { " after: \($0)" } ?? "")
    }

    func enter() { connections += 1 }

    func leave() {
        connections -= 1
        admit()
    }

    /// A connection was greeted, or a message taken.
    func succeeded(now: Instant) {
        concurrency.succeeded(now: now)
        admit()
    }

    /// The route is told when there is room for one more connection.
    func wait(_ route: RelayRoute) { waiting.append(route) }

    /// Others wait for the connections that it has.
    var isWanted: Bool { !waiting.isEmpty && !mayOpen }

    private func admit() {
        while mayOpen, let route = waiting.popFirst() { route.pump() }
    }

    func isForgotten(now: Instant) -> Bool { connections == 0 && concurrency.isForgotten(now: now) }
}
