// SPDX-License-Identifier: ISC

import Configuration
import IPC
import Mail
import Reactor
import Schedule

/// What an administrator is shown of outgoing mail.
struct RelayView {
    private let process: RelayProcess
    private let now: UInt64

    init(_ process: RelayProcess) {
        self.process = process
        now = Loop.milliseconds
    }

    func answers(_ view: DeliveryView) -> [ControlAnswer] {
        let records =
            switch view {
            case .hosts: hosts
            case .routes: routes
            case .relays: relays
            case .hostStatistics: hostStatistics
            case .destinations: destinations
            }
        return records.map { .record($0) } + [.done(count: UInt64(records.count))]
    }

    private var sessions: [RelaySession] { process.allRoutes.flatMap(\.allSessions) }

    private var names: [IPAddress: String] {
        Dictionary(
            sessions.compactMap { session in session.endpoint.map { ($0.address, $0.name.text) } },
            uniquingKeysWith: { first, _ in first })
    }

    private func since(_ moment: Instant?) -> ControlValue {
        guard let moment else { return .absent }
        return .number(max(0, Int64(clamping: now) - moment.milliseconds) / 1000)
    }

    private func until(_ moment: UInt64?) -> ControlValue {
        guard let moment, moment > now else { return .absent }
        return .number(Int64(clamping: (moment - now + 999) / 1000))
    }

    // MARK: Hosts

    private var hosts: [[ControlField]] {
        let names = names
        return process.book.lines.compactMap { scope, line -> (IPAddress, ConnectionBook.Line)? in
            guard case .host(let address) = scope else { return nil }
            return (address, line)
        }.sorted { $0.0.description < $1.0.description }.map { address, line in
            [
                ControlField(name: "address", value: .text(address.hostText)),
                ControlField(name: "name", value: .text(names[address] ?? "-")),
                ControlField(name: "refcount", value: .number(Int64(line.count))),
                ControlField(name: "nconn", value: .number(Int64(line.count))),
                ControlField(name: "lastconn", value: since(line.opened)),
            ]
        }
    }

    private var hostStatistics: [[ControlField]] {
        process.recentStates.map { domain, state in
            [
                ControlField(name: "domain", value: .text(domain)),
                ControlField(name: "time", value: .number(state.time.seconds)),
                ControlField(name: "status", value: .text(state.text)),
            ]
        }
    }

    // MARK: Routes

    private struct Pair: Hashable {
        let source: IPAddress?
        let address: IPAddress
    }

    private struct Line {
        var connections = 0
        var penalty: Penalties.Entry?
    }

    private var routes: [[ControlField]] {
        let names = names
        var lines: [Pair: Line] = [:]
        for (scope, line) in process.book.lines {
            guard case .route(let source, let host) = scope else { continue }
            lines[Pair(source: source, address: host), default: Line()].connections = line.count
        }
        for (key, entry) in process.penalties.entries {
            let pair = Pair(source: key.source, address: key.address)
            // The worst, where several ports or policies have failed.
            if (lines[pair]?.penalty?.until ?? 0) < entry.until { lines[pair, default: Line()].penalty = entry }
        }
        func order(_ key: Pair) -> String { "\(key.address) \(key.source?.hostText ?? "")" }
        return lines.sorted { order($0.key) < order($1.key) }.enumerated().map { number, item in
            let (key, line) = item
            let isDisabled = line.penalty.map { $0.until > now } ?? false
            let isQuiet = line.connections == 0
            // D: left alone. Q: no connection. K: kept in mind because of failures. N is a route that was never used,
            // and such are not here.
            let flags = "-\(isDisabled ? "D" : "-")\(isQuiet ? "Q" : "-")\(line.penalty != nil ? "K" : "-")"
            return [
                ControlField(name: "id", value: .number(Int64(number + 1))),
                ControlField(name: "source", value: .text(key.source?.hostText ?? "[]")),
                ControlField(name: "address", value: .text(key.address.hostText)),
                ControlField(name: "name", value: .text(names[key.address] ?? "-")),
                ControlField(name: "flags", value: .text(flags)),
                ControlField(name: "nconn", value: .number(Int64(line.connections))),
                ControlField(name: "nerror", value: .number(Int64(clamping: line.penalty?.count ?? 0))),
                ControlField(name: "penalty", value: .number(Int64(clamping: line.penalty?.count ?? 0))),
                ControlField(name: "timeout", value: until(line.penalty?.until)),
                ControlField(name: "reason", value: line.penalty.map { .text($0.reason) } ?? .absent),
            ]
        }
    }

    // MARK: Relays

    private var relays: [[ControlField]] {
        process.allRoutes.sorted { $0.name < $1.name }.flatMap { route in
            [relay(route)] + connectors(route)
        }
    }

    private func relay(_ route: RelayRoute) -> [ControlField] {
        [
            ControlField(name: "relay", value: .text(route.name)),
            ControlField(name: "refcount", value: .number(Int64(route.connections + route.waiting))),
            ControlField(name: "ntask", value: .number(Int64(route.waiting))),
            ControlField(name: "nconn", value: .number(Int64(route.connections))),
            ControlField(
                name: "lastconn",
                value: since(route.lastConnection.map { Instant(milliseconds: Int64(clamping: $0)) })),
            ControlField(name: "timeout", value: until(route.obstacle?.until)),
            ControlField(name: "wait", value: route.obstacle.map { .text($0.reason) } ?? .absent),
        ]
    }

    private func connectors(_ route: RelayRoute) -> [[ControlField]] {
        let bySource = Dictionary(grouping: route.allSessions, by: \.source)
        return bySource.sorted { ($0.key?.hostText ?? "") < ($1.key?.hostText ?? "") }.map { source, sessions in
            let stages = Set(sessions.map { $0.stage.rawValue.uppercased() }).sorted().joined(separator: ",")
            return [
                ControlField(name: "connector", value: .text(source?.hostText ?? "[]")),
                ControlField(name: "relay", value: .text(route.name)),
                ControlField(name: "refcount", value: .number(Int64(sessions.count))),
                ControlField(name: "nconn", value: .number(Int64(sessions.count))),
                ControlField(name: "flags", value: .text(stages)),
            ]
        }
    }

    // MARK: Destinations

    private var destinations: [[ControlField]] {
        process.allRoutes.sorted { ($0.key.domain, $0.key.action) < ($1.key.domain, $1.key.action) }.map { route in
            [
                ControlField(name: "action", value: .text(route.key.action)),
                ControlField(name: "domain", value: .text(route.key.domain)),
                ControlField(name: "hosts", value: route.group.map { .text($0.name) } ?? .absent),
                ControlField(name: "connections", value: .number(Int64(route.connections))),
                ControlField(
                    name: "concurrency", value: .number(Int64(route.group?.concurrency.connections ?? 1))),
                ControlField(name: "handed", value: .number(Int64(route.waiting))),
                ControlField(name: "state", value: .text(state(of: route))),
            ]
        }
    }

    private func state(of route: RelayRoute) -> String {
        if let obstacle = route.obstacle {
            let wait = obstacle.until > now ? " for \((obstacle.until - now + 999) / 1000)s" : ""
            return "waiting\(wait): \(obstacle.reason)"
        }
        let stages = Dictionary(grouping: route.allSessions, by: \.stage).sorted { $0.key.rawValue < $1.key.rawValue }
        let text = stages.map { "\($0.value.count) \($0.key.rawValue)" }.joined(separator: ", ")
        guard let reason = route.group?.concurrency.reason else { return text.isEmpty ? "idle" : text }
        return (text.isEmpty ? "idle" : text) + ", slowed after: \(reason)"
    }
}
