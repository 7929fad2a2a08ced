// SPDX-License-Identifier: ISC

import Channel
import Configuration
import IPC
import Mail
import Reactor
import Schedule

/// The messages of one route and the connections that take them.
///
/// The first connection goes alone; when it stands, as many follow as there are messages that wait, as limits allow and
/// as its hosts are trusted with. A session that has delivered takes the next message.
final class RelayRoute {
    // What the reference waits at a limit.
    private static let retryMilliseconds: UInt64 = 5_000

    /// Why a connection that is wanted is not opened.
    struct Obstacle {
        var reason: String
        /// In monotonic milliseconds.
        var until: UInt64
    }

    let key: RouteKey
    let action: RelayAction
    let limits: RelayLimits
    unowned let process: RelayProcess
    private var tasks: [RelayTask] = []
    private var start = 0
    private var sessions: [ObjectIdentifier: RelaySession] = [:]
    private var connecting = 0
    private var idle: [RelaySession] = []
    private var isProven = false
    private let retryTimer = Timer()
    private(set) var obstacle: Obstacle?
    /// Where the last search led to.
    private(set) var group: RelayGroup?
    // How many connections its hosts may have by the limits of each of them.
    private var reach = 1
    /// When the last connection was opened.
    private(set) var lastConnection: UInt64?

    init(_ key: RouteKey, _ action: RelayAction, _ limits: RelayLimits, _ process: RelayProcess) {
        self.key = key
        self.action = action
        self.limits = limits
        self.process = process
    }

    var waiting: Int { tasks.count - start }
    var connections: Int { sessions.count }
    var isUnused: Bool { waiting == 0 && sessions.isEmpty && !retryTimer.isRunning }
    /// As `show relays` names it.
    var name: String { "[relay:\(key.domain.isEmpty ? key.action : key.domain)]" }
    var allSessions: [RelaySession] { Array(sessions.values) }

    private var connectionLimit: Int {
        max(1, min(limits.connectionsPerRelay, limits.connectionsPerDomain, reach))
    }

    func add(_ task: RelayTask) {
        tasks.append(task)
        pump()
    }

    /// Gives a message back that a session could not even begin.
    func giveBack(_ task: RelayTask) {
        task.isSecondAttempt = true
        tasks.append(task)
    }

    /// Adds what a session has left over, for itself or another.
    func goOn(with task: RelayTask) { tasks.append(task) }

    /// Drops recipients that had not begun.
    func drop(_ ids: Set<EnvelopeID>) {
        for task in tasks[start...] where !task.hasBegun { task.recipients.removeAll { ids.contains($0.id) } }
        tasks = tasks[start...].filter { !$0.recipients.isEmpty }
        start = 0
        if isUnused { process.forget(self) }
    }

    /// The next message, of its recipients those that are still wanted; all of them have begun then.
    func take() -> RelayTask? {
        while start < tasks.count {
            let task = tasks[start]
            start += 1
            if start == tasks.count {
                tasks.removeAll(keepingCapacity: true)
                start = 0
            } else if start >= 1024, start * 2 > tasks.count {
                tasks.removeFirst(start)
                start = 0
            }
            if !task.hasBegun { task.recipients.removeAll { !process.queue.begin($0.id) } }
            task.hasBegun = true
            if !task.recipients.isEmpty { return task }
        }
        return nil
    }

    /// Finds sessions for the messages that wait, aside from `taken` of them that have one already.
    func pump(taken: Int = 0) {
        var wanted = waiting - taken
        while wanted > 0, let session = idle.popLast() {
            session.wake()
            wanted -= 1
        }
        // Where the last connection could not be had, the next one waits too.
        guard !process.queue.isDraining, !retryTimer.isRunning else { return }
        while connecting < wanted, sessions.count < connectionLimit, isProven || sessions.isEmpty {
            guard process.mayConnect else { return retryLater(because: "too many connections") }
            if let group, !group.mayOpen { return wait(for: group) }
            open()
        }
    }

    private func open() {
        let session = RelaySession(self, turn: process.takeTurn(of: key.action))
        sessions[ObjectIdentifier(session)] = session
        connecting += 1
        lastConnection = Loop.milliseconds
        if let group { session.enter(group) }
        process.counters.add("mta.session")
        Task { [self] in
            await session.run()
            process.counters.add("mta.session", -1)
            if !session.isEstablished { connecting -= 1 }
            sessions[ObjectIdentifier(session)] = nil
            if sessions.isEmpty { isProven = false }
            session.leaveGroup()
            pump()
            if isUnused { process.forget(self) }
        }
    }

    /// Where the search of a session has led: true when it may go there now.
    func found(_ endpoints: [Endpoint], by session: RelaySession) -> Bool {
        let group = process.group(of: endpoints)
        self.group = group
        let addresses = Set(endpoints.map(\.address)).count
        reach = addresses * max(1, min(limits.connectionsPerHost, limits.connectionsPerRoute))
        if session.group === group { return true }
        session.leaveGroup()
        guard group.mayOpen else {
            wait(for: group)
            return false
        }
        session.enter(group)
        return true
    }

    private func wait(for group: RelayGroup) {
        obstacle = Obstacle(reason: group.excuse, until: Loop.milliseconds)
        group.wait(self)
        process.endIdle { $0.group === group }
    }

    /// The session has been greeted: the route leads somewhere.
    func established() {
        connecting -= 1
        isProven = true
        obstacle = nil
        // The session takes the first message itself, as soon as it is asked to.
        pump(taken: 1)
    }

    /// Puts a session on hold until `wake`, which a new message causes.
    func park(_ session: RelaySession) { idle.append(session) }
    func unpark(_ session: RelaySession) { idle.removeAll { $0 === session } }

    func wakeIdle() {
        let sessions = idle
        idle = []
        for session in sessions { session.wake() }
    }

    /// All hosts are at their limits. The end of a connection makes room, and an idle one is ended for that.
    func limited(at address: IPAddress, because reason: String) {
        retryLater(because: reason)
        process.waitForRoom(self, at: address)
    }

    /// Waits for room or for the time to pass.
    var isLimited: Bool { waiting > 0 && retryTimer.isRunning }

    /// A delay between connections has not passed yet.
    func limited(until moment: UInt64, because reason: String) {
        let now = Loop.milliseconds
        retryLater(moment > now ? moment - now : 1, because: reason)
    }

    private func retryLater(_ milliseconds: UInt64 = retryMilliseconds, because reason: String) {
        guard !retryTimer.isRunning else { return }
        obstacle = Obstacle(reason: reason, until: Loop.milliseconds + milliseconds)
        retryTimer.start(afterMilliseconds: milliseconds) { [weak self] in
            guard let self else { return }
            obstacle = nil
            pump()
            if isUnused { process.forget(self) }
        }
    }

    /// There is room, or an administrator wants to see a try now.
    func retryNow() {
        guard retryTimer.isRunning else { return }
        retryTimer.stop()
        obstacle = nil
        pump()
    }

    /// Ends one session that waits for a message and is meant; false when there is none.
    func endIdle(_ isMeant: (RelaySession) -> Bool) -> Bool {
        guard let index = idle.firstIndex(where: isMeant) else { return false }
        idle.remove(at: index).endIdle()
        return true
    }

    /// No host took the connection. Where others stand, the messages wait for them.
    func unreachable(_ outcome: DeliveryOutcome, by session: RelaySession) {
        guard sessions.count <= 1 || !isProven else { return retryLater(because: "\(outcome.reply)") }
        let lost = tasks[start...]
        tasks = []
        start = 0
        for task in lost {
            for work in task.recipients { process.decide(work, outcome, session: session.id) }
        }
    }
}
