// SPDX-License-Identifier: ISC

import Channel
import Configuration
import IPC
import Mail
import Posix
import Reactor

/// Recipients of one message who go to an LMTP server together.
final class LMTPTask {
    let jobs: [LocalJob]
    /// It was given back once by a connection that the server had closed.
    var isSecondAttempt = false

    init(_ jobs: [LocalJob]) { self.jobs = jobs }

    /// The same message for those of its recipients for whom one transaction had no room.
    func rest(_ surplus: Set<Int>) -> LMTPTask {
        LMTPTask(jobs.enumerated().filter { surplus.contains($0.offset) }.map(\.element))
    }
}

/// The deliveries to one LMTP server, and the connections that take them.
///
/// The first connection goes alone; when the server has greeted it, as many follow as there are messages that wait, up
/// to the limit. A connection that has delivered takes the next message, and is kept for a while when there is none.
final class LMTPLine {
    struct Key: Hashable {
        let action: String
        /// nil where one server serves all.
        let user: String?
    }

    // What the relay has for one host; more do not make a server faster.
    private static let mostConnections = 10
    // RFC 5321 section 4.5.3.1.8: what every server takes.
    private static let mostRecipients = 100
    private static let keptMilliseconds: UInt64 = 30_000
    // What the relay waits at a limit.
    private static let pauseMilliseconds: UInt64 = 5_000

    let key: Key
    let recipient: LocalAction.LMTPRecipient
    // Whose server it is, or anybody's name where it serves all.
    let user: String
    unowned let process: LocalProcess
    private let limit: Int
    private var waiting: [LocalJob] = []
    private var waitingStart = 0
    private var returned: [LMTPTask] = []
    private var connections: [ObjectIdentifier: LMTPConnection] = [:]
    private var connecting = 0
    private var idle: [LMTPConnection] = []
    private var isProven = false
    private var isStale = false
    private var isPumpPlanned = false
    private let pauseTimer = Timer()

    init(
        _ key: Key, _ recipient: LocalAction.LMTPRecipient, user: String, limit: Int, _ process: LocalProcess
    ) {
        self.key = key
        self.recipient = recipient
        self.user = user
        self.limit = max(1, min(limit, Self.mostConnections))
        self.process = process
    }

    private var waitingCount: Int { waiting.count - waitingStart + returned.count }

    func add(_ job: LocalJob) {
        waiting.append(job)
        planPump()
    }

    /// Drops recipients that had not begun.
    func drop(_ ids: Set<EnvelopeID>) {
        waiting = waiting[waitingStart...].filter { !ids.contains($0.work.id) }
        waitingStart = 0
    }

    // More recipients of the same message may come in this turn.
    private func planPump() {
        guard !isPumpPlanned else { return }
        isPumpPlanned = true
        Loop.atEndOfTurn { [weak self] in self?.pump() }
    }

    private func pump() {
        isPumpPlanned = false
        guard !isStale else { return }
        var wanted = waitingCount
        while wanted > 0, let connection = idle.popLast() {
            connection.wake()
            wanted -= 1
        }
        // Where a connection could not be had beside others, the next one waits.
        guard !pauseTimer.isRunning || connections.isEmpty else { return }
        while connecting < wanted, connections.count < limit, isProven || connections.isEmpty { open() }
    }

    private func open() {
        let connection = LMTPConnection(self)
        connections[ObjectIdentifier(connection)] = connection
        connecting += 1
        Task { [self] in
            let failure = await connection.run()
            if !connection.isEstablished { connecting -= 1 }
            connections[ObjectIdentifier(connection)] = nil
            if connections.isEmpty { isProven = false }
            if let failure {
                if connections.isEmpty {
                    refuse(failure)
                } else {
                    pauseTimer.start(afterMilliseconds: Self.pauseMilliseconds) { [weak self] in self?.pump() }
                }
            }
            if isStale { renewIfDone() } else { pump() }
            if connections.isEmpty, waitingCount == 0, !isStale { process.forget(key) }
        }
    }

    /// The server has greeted us.
    func established() {
        connecting -= 1
        isProven = true
        planPump()
    }

    // Nobody else is there to take them.
    private func refuse(_ outcome: DeliveryOutcome) {
        let session = SessionID(Randomness.integer())
        let tasks = returned
        returned = []
        for task in tasks { for job in task.jobs { process.decide(job, outcome, session) } }
        for job in takeAll() { process.decide(job, outcome, session) }
    }

    private func takeAll() -> ArraySlice<LocalJob> {
        let jobs = waiting[waitingStart...]
        waiting = []
        waitingStart = 0
        return jobs
    }

    // MARK: For a connection

    /// The next message, with all recipients of it that wait; all of them have begun then.
    func take() -> LMTPTask? {
        guard !isStale else { return nil }
        if let task = returned.popLast() { return task }
        var jobs: [LocalJob] = []
        while waitingStart < waiting.count, jobs.count < Self.mostRecipients {
            let job = waiting[waitingStart]
            if let first = jobs.first?.work,
                first.id.message != job.work.id.message || first.sender != job.work.sender
            {
                break
            }
            waitingStart += 1
            if process.queue.begin(job.work.id) { jobs.append(job) }
        }
        if waitingStart == waiting.count {
            waiting.removeAll(keepingCapacity: true)
            waitingStart = 0
        } else if waitingStart >= 1024, waitingStart * 2 > waiting.count {
            waiting.removeFirst(waitingStart)
            waitingStart = 0
        }
        return jobs.isEmpty ? nil : LMTPTask(jobs)
    }

    /// Gives a message back that a connection could not even begin.
    func giveBack(_ task: LMTPTask) {
        task.isSecondAttempt = true
        returned.append(task)
    }

    /// Adds what a connection has left over, for itself or another.
    func goOn(with task: LMTPTask) { returned.append(task) }

    var mayKeep: Bool { !isStale && !process.queue.isDraining }
    func park(_ connection: LMTPConnection) { idle.append(connection) }
    func unpark(_ connection: LMTPConnection) { idle.removeAll { $0 === connection } }
    static var keptTime: UInt64 { keptMilliseconds }

    // MARK: Another configuration

    func retire() {
        isStale = true
        let connections = idle
        idle = []
        for connection in connections { connection.wake() }
        renewIfDone()
    }

    private func renewIfDone() {
        guard connections.isEmpty else { return }
        // What was given back has begun: it ends as it would have.
        let tasks = returned
        returned = []
        for task in tasks {
            for job in task.jobs {
                let reply = Reply(451, EnhancedStatus(4, 4, 2), "Connection lost")
                process.decide(job, .deferred(reply), SessionID(Randomness.integer()))
            }
        }
        process.renew(key, waiting: takeAll())
    }
}
