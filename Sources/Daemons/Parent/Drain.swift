// SPDX-License-Identifier: ISC

import Channel
import Host
import IPC
import Reactor

/// How far the end has come: mail stops coming in first, and Queue hears of every outcome before it leaves.
nonisolated enum Drain: Int, Hashable, Sendable {
    case listeners
    case deliveries
    case stores
    case ended

    var roles: [Role] {
        switch self {
        case .listeners: [.listener]
        case .deliveries: [.lookup, .relay, .local]
        case .stores: [.queue, .resolver, .keys]
        case .ended: []
        }
    }

    /// Milliseconds after the beginning of the end at which this stage begins though the one before has not ended.
    var latestStart: UInt64 {
        switch self {
        case .listeners: 0
        case .deliveries: 10_000
        case .stores: 13_000
        case .ended: 15_000
        }
    }

    var next: Drain { Drain(rawValue: rawValue + 1) ?? .ended }
}

extension House {
    // What a child needs between the end of its patience and its own end, in milliseconds.
    private static let leavingTime: UInt64 = 1_000

    /// Lets every child finish what it has in hand, within a bound, and ends Martlet.
    func stop() {
        if case .stopping = phase { return }
        if case .starting = phase { return fail("stopped before it had started") }
        watch.stop()
        drainStart = Loop.milliseconds
        for place in places { place.timer.stop() }
        begin(.listeners)
    }

    private func begin(_ stage: Drain) {
        phase = .stopping(stage)
        if stage == .ended { return end() }
        let elapsed = Loop.milliseconds - drainStart
        let remaining = stage.next.latestStart - min(elapsed, stage.next.latestStart)
        // Who is killed while it waits, Queue above all, cannot write what it still has.
        let patience = UInt32((remaining - min(Self.leavingTime, remaining)) / 1000)
        for place in places where stage.roles.contains(place.role) {
            place.member?.channel?.send(.drain(seconds: patience))
        }
        drainTimer.start(afterMilliseconds: remaining) { [weak self] in self?.begin(stage.next) }
        drainAdvanced()
    }

    /// A child has left.
    func drainAdvanced() {
        guard case .stopping(let stage) = phase, stage != .ended else { return }
        let remaining = places.contains { stage.roles.contains($0.role) && $0.member != nil }
        if !remaining { begin(stage.next) }
    }

    private func end() {
        drainTimer.stop()
        for place in places {
            guard let member = place.member else { continue }
            log.warning("\(place.name) did not leave in time: killed")
            member.kill(Signal.kill)
        }
        agents.close()
        accounts.close()
        tables.close()
        passwords.close()
        desk.close()
        estate.clear()
        copyLog()
        log.info("Exiting")
        log.flush()
        Loop.stop(status: 0)
    }
}
