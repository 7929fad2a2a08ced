// SPDX-License-Identifier: ISC

import Channel
import IPC
import Mail
import Posix
import Reactor

/// Behaves until it is told, and then does what its order says on every edge that it has.
final class EvilProcess: DaemonProcess {
    let child: Child
    let order: Order
    var edges: [RawEdge] = []
    var signatures = 0
    private var isUnleashed = false
    private let timer = Timer()

    init(_ child: Child, _ order: Order) {
        self.child = child
        self.order = order
    }

    var role: Role { child.assignment.role }
    // The duties are eight at the start; whoever comes later replaces one, and the house stands already.
    private var isSuccessor: Bool { child.assignment.generation > 8 }

    func begin() {
        child.peerArrived = { [self] grant, descriptor in
            let edge = RawEdge(grant, descriptor, as: role)
            edges.append(edge)
            if isUnleashed { Task { await attack(edge) } }
        }
        child.drained = { _ in Loop.stop() }
        child.ready()
        awaitOrder()
    }

    private func awaitOrder() {
        guard Order.isGiven || isSuccessor else {
            return timer.start(afterMilliseconds: 5) { [weak self] in self?.awaitOrder() }
        }
        isUnleashed = true
        for edge in edges { Task { await attack(edge) } }
        if order.mode == "parent" { Task { await attackParent() } }
    }

    func edge(to role: Role) -> RawEdge? { edges.last { $0.grant.role == role } }

    /// Says in the log what was answered, for the test to judge.
    func report(_ text: String) { child.log.info("evil: \(text)") }

    private func attack(_ edge: RawEdge) async {
        switch order.mode {
        case "nonsense": await talkNonsense(on: edge)
        case "deaf": await talkWithoutListening(on: edge)
        case "forbidden": await forbid(edge)
        case "twice" where edge.grant.role == .queue: await commitTwice(edge)
        case "outcome": await decideForOthers(edge)
        default: await edge.greet()
        }
    }

    private func forbid(_ edge: RawEdge) async {
        switch role {
        case .listener: await claim(on: edge)
        case .lookup: await misdirect(edge)
        case .queue: await command(edge)
        case .relay, .local: await pretend(on: edge)
        case .resolver: await misname(edge)
        case .keys: await missign(edge)
        case .parent, .account, .mailbox, .control, .table: await edge.greet()
        }
    }
}
