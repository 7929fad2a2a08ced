// SPDX-License-Identifier: ISC

import Bytes
import Channel
import Host
import IPC
import Launch
import Reactor

/// What children say to Parent, and what becomes of those that die or fall silent.
extension House {
    func heard(_ message: ChildToParent, from member: Member, in place: Place) {
        // What comes from one that is being killed changes nothing more.
        guard !member.isCondemned else { return }
        member.lastHeard = Loop.milliseconds
        switch message {
        case .ready:
            guard !member.isReady else { return condemn(place, "is ready twice") }
            member.isReady = true
            ready(place)
        case .alive:
            break
        case .fatal(let reason):
            member.reason = "\(VisibleText(reason))"
        case .violated(let role, let worker, let generation, let what):
            violated(place, role, worker, generation, "\(VisibleText(what))")
        case .notice(let text):
            notice("\(VisibleText(text))")
        case .paused(let service, let isPaused):
            let owner: Role =
                switch service {
                case .mda, .mta: .queue
                case .smtp: .listener
                }
            guard place.role == owner else { return condemn(place, "pauses what is not its own") }
            if isPaused { paused.insert(service) } else { paused.remove(service) }
        }
    }

    private func ready(_ place: Place) {
        log.debug("\(place.name) is ready")
        switch phase {
        case .starting:
            if places.allSatisfy({ $0.member?.isReady == true }) { serve() }
        case .serving:
            reloadAdvanced()
        case .stopping:
            break
        }
    }

    // Every process of a host says the same of its kernel.
    private func notice(_ text: String) {
        guard !saidNotices.contains(text), saidNotices.count < 100 else { return }
        saidNotices.insert(text)
        log.warning(text)
    }

    /// Kills the one of two peers that has the lower rank; its successor gets new edges.
    private func violated(_ place: Place, _ role: Role, _ worker: UInt16, _ generation: UInt32, _ what: String) {
        if role == .parent { return condemn(place, "complains of parent (\(what))") }
        // Who was never joined with such a peer has none to complain of; one of a joined role may just have left.
        guard Topology.peers(of: place.role).contains(role) else {
            return condemn(place, "complains of a \(role.name), which it does not know")
        }
        guard let other = places.first(where: { $0.role == role && $0.number == worker }) else {
            log.debug("\(place.name) complains of a \(role.name) that is not there")
            return
        }
        guard place.isJoined(with: other) else { return }
        let guilty = place.role.rank < role.rank ? place : other
        // A complaint that comes late must not fall upon a successor.
        if guilty === other, other.member?.generation != generation { return }
        guard guilty.member?.isCondemned == false else { return }
        log.warning("nonsense between \(place.name) and \(other.name) (\(what)): \(guilty.name) is replaced")
        guilty.member?.condemn()
    }

    // Nothing outranks Parent: whoever says nonsense to it is replaced.
    func condemn(_ place: Place, _ why: String) {
        guard place.member?.isCondemned == false else { return }
        log.warning("\(place.name) \(why) and is replaced")
        place.member?.condemn()
    }

    func lost(_ member: Member, _ status: ExitStatus, in place: Place) {
        let reason = member.reason ?? (status.isSuccess ? nil : member.errors.last)
        let detail = reason.map { ": \($0)" } ?? ""
        let words = tables.lastWords(ofProgramsFor: member.pid).map { " (\($0))" } ?? ""
        if case .starting = phase {
            return fail("\(place.name): \(reason ?? "exited before it was ready: \(status)")\(words)")
        }
        if case .stopping = phase {
            if !status.isSuccess { log.warning("lost child: \(place.name) exited abnormally (\(status))\(detail)") }
            return drainAdvanced()
        }
        if place.standing == .leaving {
            places.removeAll { $0 === place }
            return reloadAdvanced()
        }
        if reloadLost(place, "\(place.name): \(reason ?? "\(status)")\(words)") { return }
        log.warning("lost child: \(place.name) exited abnormally (\(status))\(detail)")
        refill(place, after: place.replacement.died(atAge: Loop.milliseconds - member.started))
    }

    private func refill(_ place: Place, after milliseconds: UInt64) {
        place.timer.start(afterMilliseconds: milliseconds) { [weak self, weak place] in
            guard let self, let place, phase == .serving, place.member == nil else { return }
            do {
                try start(place)
                try joinAndBegin(place)
            } catch {
                log.warning("\(error)")
                // One that was started is reaped and comes back that way.
                if place.member == nil {
                    refill(place, after: place.replacement.died(atAge: 0))
                } else {
                    place.member?.kill(Signal.kill)
                }
            }
        }
    }

    // MARK: Silence

    func startWatching() {
        lastWatch = Loop.milliseconds
        lastTexts = lastWatch
        planWatch()
    }

    private func planWatch() {
        watch.start(afterMilliseconds: min(timing.aliveInterval, timing.textInterval)) { [weak self] in
            self?.look()
            self?.planWatch()
        }
    }

    // Killing a Queue because its spool is large would keep it from ever opening it.
    private func sayOpening(_ member: Member, _ place: Place, _ now: UInt64) {
        guard now - member.lastSaid >= timing.longestStart else { return }
        member.lastSaid = now
        log.warning("\(place.name) has been opening the spool for \((now - member.started) / 1000) s")
    }

    private func look() {
        let now = Loop.milliseconds
        if now - lastTexts >= timing.textInterval {
            lastTexts = now
            refreshKeyFiles()
            rotateTicketSecrets()
            for file in texts.refresh() {
                for place in places where place.role == .resolver {
                    place.member?.channel?.send(.text(file, texts.contents[file] ?? []))
                }
            }
        }
        guard now - lastWatch >= timing.aliveInterval else { return }
        // A host that slept, or one so loaded that Parent itself was late, says nothing of the children.
        let wasLate = now - lastWatch > 2 * timing.aliveInterval + timing.textInterval
        lastWatch = now
        aliveNumber += 1
        for place in places {
            guard let member = place.member, member.status == nil else { continue }
            if wasLate { member.lastHeard = now }
            let limit = member.isReady ? timing.aliveLimit : timing.longestStart(of: place.role)
            if !member.isReady, place.role == .queue { sayOpening(member, place, now) }
            if now - member.lastHeard > limit {
                member.reason = "did not answer for \((now - member.lastHeard) / 1000) s"
                member.kill(Signal.kill)
            } else if member.isReady || place.role == .lookup {
                // A Lookup may have large tables to read first, and answers meanwhile.
                member.channel?.send(.alive(aliveNumber))
            }
        }
    }
}
