// SPDX-License-Identifier: ISC

import Bytes
import Channel
import Configuration
import Host
import IPC
import Launch
import Mail
import Posix
import Reactor

/// Starting and joining: the same for the first child of a place and for each that follows.
extension House {
    // The least time over which a child's last words are waited for once it was reaped.
    private static let lastWordsMilliseconds: UInt64 = 200

    /// Starts a child in an empty place and tells it everything but its peers and `begin`.
    func start(_ place: Place) throws(StartFailure) {
        do {
            let pipe = try FileDescriptor.pipe()
            try pipe.left.setNonblocking()
            let pair = try FileDescriptor.streamPair()
            let pid = try spawner.start(
                place.role, arguments: [place.role.name], channel: pair.right, errors: pipe.right)
            lastGeneration += 1
            let name = place.name
            var lines: ErrorLines?
            pipe.split { left, _ in lines = ErrorLines(left) { [log] in log.warning("\(name): \($0)") } }
            guard let lines else { return }
            let member = Member(pid: pid, generation: lastGeneration, errors: lines, now: Loop.milliseconds)
            pair.split { ours, _ in member.channel = channel(to: member, in: place, ours) }
            place.member = member
            try furnish(member, place)
        } catch let error as StartFailure {
            throw error
        } catch {
            place.member?.kill(Signal.kill)
            throw StartFailure("\(place.name): \(error)")
        }
    }

    private func channel(
        to member: Member, in place: Place, _ descriptor: consuming FileDescriptor
    ) -> Peer<ChildToParent, ParentToChild> {
        Peer(
            descriptor, greeting: EdgeGreeting(role: .parent, generation: 0), expecting: place.role,
            handle: { [weak self, weak place, weak member] message, _, _ in
                guard let self, let place, let member else { return }
                heard(message, from: member, in: place)
            },
            ended: { [weak self, weak place, weak member] end in
                guard let self, let place, let member else { return }
                if case .violated(let what) = end { log.warning("\(place.name) said nonsense to parent: \(what)") }
                member.isChannelOpen = false
                member.kill(Signal.kill)
                conclude(member, in: place)
            })
    }

    private func furnish(_ member: Member, _ place: Place) throws {
        guard let channel = member.channel else { return }
        let identity = estate.identities[place.role]
        let assignment = Assignment(
            role: place.role, worker: place.number, generation: member.generation,
            configuration: (place.era ?? era).part(for: place.role), serverName: names.serverName,
            localAddresses: names.localAddresses, logsDebug: isVerbose, logsToStream: logsToStream,
            uid: identity?.uid, gid: identity?.gid, descriptorLimit: estate.descriptorLimit,
            paused: PausableService.allCases.filter(paused.contains))
        channel.send(.assignment(assignment), passing: try logCopy())
        if identity != nil {
            channel.send(.root, passing: try place.role == .queue ? estate.spoolCopy() : estate.emptyCopy())
        }
        if let control = estate.controlSocket(place.controlName) {
            channel.send(.socket(.control), passing: try control.descriptor.duplicate())
        }
        switch place.role {
        case .queue: channel.send(.spool, passing: try estate.spoolCopy())
        case .listener: try furnishListener(channel, place.era ?? era)
        case .lookup: try sendTables(channel, member.pid, place.era ?? era)
        case .keys: try sendKeyFiles(channel, to: .keys, era)
        case .relay: try sendKeyFiles(channel, to: .relay, era)
        case .resolver: for (file, content) in texts.contents { channel.send(.text(file, content)) }
        case .local, .parent, .account, .mailbox, .control, .table: break
        }
    }

    private func furnishListener(_ channel: Peer<ChildToParent, ParentToChild>, _ era: Era) throws {
        for entry in era.listening {
            channel.send(
                .socket(.listen(statement: entry.statement)), passing: try entry.socket.descriptor.duplicate())
        }
        if let submission = estate.submission, era.hasSubmission {
            channel.send(.socket(.submission), passing: try submission.descriptor.duplicate())
        }
        try sendKeyFiles(channel, to: .listener, era)
        if !era.configuration.pkiOfListeners.isEmpty { sendTicketSecrets(channel) }
    }

    // MARK: Joining

    /// Gives both places an end of a new edge.
    func join(_ place: Place, _ other: Place) throws(StartFailure) {
        guard let left = place.member, let right = other.member, left.status == nil, right.status == nil else { return }
        do {
            try FileDescriptor.streamPair().split { one, two in
                left.channel?.send(
                    .peer(other.role, generation: right.generation, worker: other.number), passing: one)
                right.channel?.send(
                    .peer(place.role, generation: left.generation, worker: place.number), passing: two)
            }
        } catch {
            throw StartFailure("edge of \(place.name) and \(other.name): \(error)")
        }
    }

    /// Joins a child with all that live, then lets it begin.
    func joinAndBegin(_ place: Place) throws(StartFailure) {
        for other in places where other !== place && place.isJoined(with: other) { try join(place, other) }
        try joinWithParent(place)
        place.member?.channel?.send(.begin)
    }

    func joinWithParent(_ place: Place) throws(StartFailure) {
        guard let member = place.member, place.role == .lookup || place.role == .local else { return }
        do {
            try FileDescriptor.streamPair().split { ours, theirs in
                member.channel?.send(.peer(.parent, generation: 0, worker: 0), passing: theirs)
                if place.role == .lookup {
                    lookupEdges[member.pid] = lookupEdge(ours, member, place)
                } else {
                    localEdges[member.pid] = localEdge(ours, member, place)
                }
            }
        } catch {
            throw StartFailure("edge of \(place.name): \(error)")
        }
    }

    private func localEdge(
        _ descriptor: consuming FileDescriptor, _ member: Member, _ place: Place
    ) -> Peer<LocalToParent, ParentToLocal> {
        let pid = member.pid
        return Peer(
            descriptor, greeting: EdgeGreeting(role: .parent, generation: 0), expecting: .local,
            handle: { [weak self] request, correlation, _ in
                guard let self, let edge = localEdges[pid] else { return }
                switch request {
                case .agent(let action, let user, let kind):
                    Task { await self.agents.answer(edge, correlation, action: action, user: user, kind: kind) }
                case .connection(let action, let user, let skipping):
                    agents.connect(edge, correlation, action: action, user: user, skipping: skipping)
                case .closed(let action, let user, let kind, let ending):
                    agents.closed(by: edge, action: action, user: user, kind: kind, ending)
                }
            },
            ended: { [weak self, weak member, weak place] end in
                self?.edgeEnded(end, member, place)
            })
    }

    func edgeEnded(_ end: PeerEnd, _ member: Member?, _ place: Place?) {
        guard case .violated(let what) = end, let member, let place, place.member === member else { return }
        condemn(place, "said nonsense to parent (\(what))")
    }

    // MARK: Ends

    /// Takes note of every child that has ended.
    func reap() {
        while let child = (try? ChildProcess.reap()) ?? nil {
            if let place = places.first(where: { $0.member?.pid == child.pid }), let member = place.member {
                member.status = child.status
                place.timer.start(afterMilliseconds: Self.lastWordsMilliseconds) { [weak self, weak place] in
                    guard let self, let place else { return }
                    member.isChannelOpen = false
                    conclude(member, in: place)
                }
                conclude(member, in: place)
            } else if !accounts.ended(child), !passwords.ended(child), !tables.ended(child), !agents.ended(child) {
                offline.ended(child)
            }
        }
    }

    /// Once a child was reaped and its last words were heard, its place is free.
    func conclude(_ member: Member, in place: Place) {
        guard let status = member.status, !member.isChannelOpen, !member.isConcluded else { return }
        member.isConcluded = true
        place.timer.stop()
        member.errors.drain()
        member.errors.finish()
        member.channel?.close()
        lookupEdges.removeValue(forKey: member.pid)?.close()
        if let edge = localEdges.removeValue(forKey: member.pid) {
            edge.close()
            agents.closed(by: edge)
        }
        place.member = nil
        lost(member, status, in: place)
        tables.ended(owner: member.pid)
    }
}
