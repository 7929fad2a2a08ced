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
    private var waiting: [RouteKey: RelayRoute] = [:]

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

    /// A connection has ended; who waited for that looks again.
    func leave() {
        connections -= 1
        let routes = waiting
        waiting = [:]
        for route in routes.values { route.pump() }
    }

    /// The route is told of the next connection that ends.
    func wait(_ route: RelayRoute) { waiting[route.key] = route }

    func isForgotten(now: Instant) -> Bool { connections == 0 && concurrency.isForgotten(now: now) }
}
