// SPDX-License-Identifier: ISC

import Channel
import Host
import IPC
import Posix
import Reactor

/// Answers martletctl about the processes themselves.
final class ControlDesk {
    private static let mostClients = 32

    private unowned let house: House
    private var acceptor: Acceptor?
    private var clients: [Int: Peer<ControlRequest, ControlAnswer>] = [:]
    private var nextNumber = 0

    init(_ house: House) { self.house = house }

    func open(_ socket: consuming FileDescriptor) {
        acceptor = Acceptor(socket) { [weak self] descriptor, _ in self?.accepted(descriptor) }
    }

    func close() {
        acceptor = nil
        for client in clients.values {
            client.flushNow()
            client.close()
        }
        clients = [:]
    }

    private func accepted(_ descriptor: consuming FileDescriptor) {
        // The directory lets in nobody else; this holds even if somebody opens it.
        guard clients.count < Self.mostClients, let peer = try? descriptor.peerCredentials(),
            peer.uid == 0 || peer.uid == ThisProcess.uid
        else { return }
        nextNumber += 1
        let number = nextNumber
        clients[number] = Peer(
            descriptor, greeting: EdgeGreeting(role: .parent, generation: 0), expecting: .control,
            handle: { [weak self] request, correlation, _ in self?.heard(request, correlation, number) },
            ended: { [weak self] _ in self?.clients[number] = nil })
    }

    private func heard(_ request: ControlRequest, _ correlation: Correlation, _ number: Int) {
        guard let client = clients[number] else { return }
        switch request {
        case .showStatus:
            let rows = house.statusRows()
            for row in rows { client.send(.record(row)) }
            client.answer(correlation, .done(count: UInt64(rows.count)))
        case .verbose(let isVerbose):
            house.setVerbose(isVerbose)
            client.answer(correlation, .done(count: 0))
        case .stop:
            client.answer(correlation, .done(count: 0))
            client.flushNow()
            house.stop()
        case .reload:
            Task {
                let refusal = await house.reloadConfiguration()
                client.answer(correlation, refusal.map(ControlAnswer.failed) ?? .done(count: 0))
            }
        case .updateTable(let name):
            Task {
                let refusal = await house.updateTable(name)
                client.answer(correlation, refusal.map(ControlAnswer.failed) ?? .done(count: 0))
            }
        case .showStatistics, .showDelivery, .queue, .pause, .resume, .explain, .showPlan, .lookUp:
            client.answer(correlation, .failed("parent does not hold the answer"))
        }
    }
}

extension House {
    /// Parent and every child, one row each.
    func statusRows() -> [[ControlField]] {
        let now = Loop.milliseconds
        var rows = [
            row("parent", ThisProcess.pid, now - started, "running", generation: era.number, worker: 0)
        ]
        for place in places {
            let state = place.standing == .leaving ? "leaving" : place.member?.isReady == true ? "running" : "starting"
            if let member = place.member {
                rows.append(
                    row(
                        place.role.name, member.pid, now - member.started, state, generation: member.generation,
                        worker: place.number))
            } else {
                rows.append(row(place.role.name, nil, 0, "waiting", generation: 0, worker: place.number))
            }
        }
        return rows
    }

    private func row(
        _ name: String, _ pid: Int32?, _ uptime: UInt64, _ state: String, generation: UInt32, worker: UInt16
    ) -> [ControlField] {
        [
            ControlField(name: "process", value: .text(name)),
            ControlField(name: "worker", value: .number(Int64(worker))),
            ControlField(name: "pid", value: pid.map { .number(Int64($0)) } ?? .absent),
            ControlField(name: "uptime", value: .number(Int64(uptime / 1000))),
            ControlField(name: "state", value: .text(state)),
            ControlField(name: "generation", value: .number(Int64(generation))),
        ]
    }

    func setVerbose(_ isVerbose: Bool) {
        self.isVerbose = isVerbose
        log.isVerbose = isVerbose
        for place in places { place.member?.channel?.send(.verbose(isVerbose)) }
    }
}
