// SPDX-License-Identifier: ISC

import Channel
import Configuration
import Host
import IPC
import Launch
import Posix
import Reactor

/// Why Martlet cannot start, or a new configuration cannot be taken: one sentence for the administrator.
nonisolated struct StartFailure: Error, Hashable, CustomStringConvertible {
    let reason: String
    init(_ reason: String) { self.reason = reason }
    var description: String { reason }
}

/// One duty that is always filled: when its child dies, another takes the place.
final class Place {
    let role: Role
    /// Its number among all that may live at one time, those of an older configuration included.
    let number: UInt16
    /// The name of its control socket, the same under each configuration.
    let controlName: String
    /// The configuration under which a Listener and its Lookup live and die; nil for others, which take the newest one.
    let era: Era?
    var member: Member?
    var replacement = Replacement()
    let timer = Timer()
    var standing = Standing.kept

    enum Standing: Hashable {
        case kept
        /// Was told to finish; not filled again.
        case leaving
    }

    init(_ role: Role, worker: UInt16, of workers: UInt16, in era: Era) {
        self.role = role
        // Two configurations live side by side at most, so two sets of numbers are enough.
        let isOfEra = role == .listener || role == .lookup
        self.era = isOfEra ? era : nil
        number = isOfEra ? UInt16(era.number % 2) * workers + worker : worker
        controlName = worker == 0 ? role.name : "\(role.name).\(worker)"
    }

    var name: String { number == 0 ? role.name : "\(role.name).\(number)" }

    /// Whether an edge joins this place with `other`.
    func isJoined(with other: Place) -> Bool {
        let isEdge = Topology.edges.contains(Edge(role, other.role)) || Topology.edges.contains(Edge(other.role, role))
        // A session ends under the rules under which it began.
        let mustShareEra = Set([role, other.role]) == [.listener, .lookup]
        return isEdge && (!mustShareEra || era?.number == other.era?.number)
    }
}

/// The child that fills a place now.
final class Member {
    let pid: Int32
    /// Never the same for two children of one Parent: transactions are named by it.
    let generation: UInt32
    let started: UInt64
    var channel: Peer<ChildToParent, ParentToChild>?
    let errors: ErrorLines
    var isReady = false
    /// It said what it may not say: it is being killed, and is heard no more.
    private(set) var isCondemned = false
    var lastHeard: UInt64
    /// When the log was last told that it is not ready.
    var lastSaid: UInt64
    /// What it said before it left.
    var reason: String?
    var status: ExitStatus?
    var isChannelOpen = true
    /// Known for every child that was reaped: what was said over the channel has been heard, too.
    var isConcluded = false

    init(pid: Int32, generation: UInt32, errors: ErrorLines, now: UInt64) {
        self.pid = pid
        self.generation = generation
        self.errors = errors
        started = now
        lastSaid = now
        lastHeard = now
    }

    func condemn() {
        isCondemned = true
        kill(Signal.kill)
    }

    func kill(_ signal: Int32) {
        if status == nil { try? ChildProcess.send(signal, to: pid) }
    }
}
