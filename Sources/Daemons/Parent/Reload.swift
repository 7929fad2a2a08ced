// SPDX-License-Identifier: ISC

import Channel
import Configuration
import Host
import IPC
import Launch
import Reactor

/// A new configuration on its way: first its Lookup, then what the others must know, then its Listeners, then the old
/// ones are told to finish. Until then nothing is lost by going back.
struct Reload {
    enum Stage {
        case lookup
        case listeners
    }

    var stage = Stage.lookup
    let next: Era
    let previous: Era
    /// Of the new era, not yet trusted.
    var newcomers: [Place]
    let finished: UnsafeContinuation<String?, Never>
}

extension House {
    /// A session may go on for so long under the configuration with which it began.
    private static let sessionSeconds: UInt32 = 600
    private static let lookupSeconds: UInt32 = 10

    /// Takes the configuration file as it now is. nil when it is in force, else why it is not.
    func reloadConfiguration() async -> String? {
        guard phase == .serving else { return "not now" }
        guard reload == nil else { return "another reload is under way" }
        log.info("info: reading \(invocation.file)")
        let parsed = ConfigurationFile.read(invocation)
        guard let configuration = parsed.configuration else {
            for error in parsed.errors { log.warning("\(error)") }
            log.warning("the old configuration stays in force")
            return parsed.errors.map(\.description).joined(separator: "\n")
        }
        let refusal = await withUnsafeContinuation { continuation in begin(configuration, continuation) }
        if let refusal {
            log.warning(refusal)
            log.warning("the old configuration stays in force")
        } else {
            log.info("info: new configuration in force")
        }
        return refusal
    }

    private func begin(_ configuration: ServerConfiguration, _ finished: UnsafeContinuation<String?, Never>) {
        do {
            names.refresh()
            let configuration = try QueueKey.resolve(configuration, before: era.configuration, mayAsk: false)
            let next = try Era(era.number &+ 1, configuration, after: era, names: names)
            // Two generations at most: the one before the present one has had its time.
            dismiss { $0.era?.number != era.number }
            let lookup = Place(.lookup, worker: 0, of: 1, in: next)
            reload = Reload(next: next, previous: era, newcomers: [lookup], finished: finished)
            try enter([lookup])
        } catch {
            if reload == nil { finished.resume(returning: "\(error)") } else { giveUp("\(error)") }
        }
    }

    private func dismiss(_ isMeant: (Place) -> Bool) {
        for place in places where place.standing == .leaving && isMeant(place) { place.member?.kill(Signal.kill) }
    }

    private func enter(_ newcomers: [Place]) throws(StartFailure) {
        for place in newcomers {
            // A number belongs to one child at a time.
            places.removeAll { $0.role == place.role && $0.number == place.number && $0.standing == .leaving }
            places.append(place)
            try start(place)
        }
        for place in newcomers { try joinAndBegin(place) }
    }

    /// A child has become ready, or one of an older configuration has left.
    func reloadAdvanced() {
        guard let reload else { return dismissOldLookup() }
        guard reload.newcomers.allSatisfy({ $0.member?.isReady == true }) else { return }
        switch reload.stage {
        case .lookup:
            era = reload.next
            tellOthers()
            let workers = Self.listenerWorkers
            let listeners = (0..<workers).map { Place(.listener, worker: $0, of: workers, in: reload.next) }
            self.reload?.stage = .listeners
            self.reload?.newcomers += listeners
            do {
                try enter(listeners)
            } catch {
                giveUp("\(error)")
            }
        case .listeners:
            self.reload = nil
            for place in places where place.era?.number == reload.previous.number {
                place.standing = .leaving
                place.timer.stop()
                if place.role == .listener { place.member?.channel?.send(.drain(seconds: Self.sessionSeconds)) }
            }
            places.removeAll { $0.standing == .leaving && $0.member == nil }
            dismissOldLookup()
            reload.finished.resume(returning: nil)
        }
    }

    /// A Lookup stays as long as a Listener of its own configuration.
    private func dismissOldLookup() {
        for place in places where place.role == .lookup && place.standing == .leaving {
            let isNeeded = places.contains { $0.role == .listener && $0.era?.number == place.era?.number }
            if !isNeeded { place.member?.channel?.send(.drain(seconds: Self.lookupSeconds)) }
        }
    }

    /// The daemons that stay take their new part by message.
    private func tellOthers() {
        for place in places where place.role != .listener && place.role != .lookup {
            guard let channel = place.member?.channel else { continue }
            channel.send(.reload(generation: era.number, configuration: era.part(for: place.role)))
            // None of them is missing that was there when the configuration was read, and what is gone since is told.
            try? sendKeyFiles(channel, to: place.role, era)
        }
    }

    /// A child of the new configuration died: the old one stays. Whether the place was such a newcomer's.
    func reloadLost(_ place: Place, _ reason: String) -> Bool {
        guard let reload, reload.newcomers.contains(where: { $0 === place }) else { return false }
        giveUp(reason)
        return true
    }

    private func giveUp(_ reason: String) {
        guard let reload else { return }
        self.reload = nil
        for place in reload.newcomers {
            place.standing = .leaving
            place.member?.kill(Signal.kill)
        }
        places.removeAll { $0.standing == .leaving && $0.member == nil }
        if reload.stage == .listeners {
            era = reload.previous
            tellOthers()
        }
        reload.finished.resume(returning: reason)
    }
}
