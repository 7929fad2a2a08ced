// SPDX-License-Identifier: ISC

import Channel
import Configuration
import Host
import IPC
import Launch
import Posix
import Reactor

/// All of Martlet that runs: Parent's view of it. Starts the children, joins them, and puts another where one dies.
final class House {
    // Two, so that one is there while the other is replaced, and both cores of a small host have one.
    static let listenerWorkers: UInt16 = 2

    let invocation: Invocation
    /// What waits for an administrator to resume it, whoever does it at the moment.
    var paused: Set<PausableService>
    let paths: Paths
    let log: Log
    let logsToStream: Bool
    private let logDescriptor: FileDescriptor
    private let logFile: LogCopy?
    let names: HostDirectory
    let estate: Estate
    let spawner: Spawner
    let accounts: AccountPool
    /// For what is slow by intention.
    let passwords: AccountPool
    private(set) lazy var agents = makeAgentDesk()
    private(set) lazy var offline = OfflineDesk(self)
    let tables: TableDesk
    private let helperErrors: ErrorLines
    let agentErrors: FileDescriptor

    var era: Era
    var places: [Place] = []
    var lastGeneration: UInt32 = 0
    var phase = Phase.starting
    var reload: Reload?
    var lookupEdges: [Int32: Peer<LookupToParent, ParentToLookup>] = [:]
    var localEdges: [Int32: Peer<LocalToParent, ParentToLocal>] = [:]
    var isVerbose: Bool
    let texts = SystemTexts()
    let watch = Timer()
    var lastWatch: UInt64 = 0
    var aliveNumber: UInt64 = 0
    let timing: Timing
    let drainTimer = Timer()
    var drainStart: UInt64 = 0
    var lastTexts: UInt64 = 0
    var saidNotices: Set<String> = []
    /// The newest first.
    var ticketSecrets: [[UInt8]] = []
    var lastTicketSecret: UInt64 = 0
    /// How the files of keys and certificates were at the last look, by path.
    var seenKeyMarks: [String: [Int64]] = [:]
    private var signals: [SignalWatch] = []
    private(set) lazy var desk = ControlDesk(self)
    let started: UInt64
    var served: () -> Void

    enum Phase: Hashable {
        case starting
        case serving
        case stopping(Drain)
    }

    /// Takes everything that can be wrong: whatever fails here is one line and the end. `served` is called once, when all
    /// children are ready.
    init(_ invocation: Invocation, served: @escaping () -> Void) throws(StartFailure) {
        self.invocation = invocation
        paused = Set(invocation.paused)
        self.served = served
        started = Loop.milliseconds
        isVerbose = invocation.isVerbose
        timing = Timing(variable: ThisProcess.variable)
        paths = Paths(instance: invocation.instance.map(ThisProcess.absolute))
        let parsed = ConfigurationFile.read(invocation)
        guard let written = parsed.configuration else { throw House.failure(parsed) }
        let configuration = try QueueKey.resolve(written, mayAsk: invocation.task != .serveInBackground)
        estate = try Estate(paths)
        do {
            let system = invocation.task == .serveForPerson ? nil : try? SystemLog.connect()
            // In a container without a log the lines still have somewhere to go.
            let isStream = system == nil && invocation.task != .serveInBackground
            logsToStream = isStream
            let descriptor = try House.logDescriptor(system, isStream: isStream)
            if logsToStream, try descriptor.facts().isRegular {
                let pipe = try FileDescriptor.pipe()
                logDescriptor = try pipe.right.duplicate()
                try pipe.left.setNonblocking()
                var copy: LogCopy?
                pipe.split { left, _ in copy = LogCopy(from: left) }
                logFile = copy
            } else {
                logDescriptor = try descriptor.duplicate()
                logFile = nil
            }
            log = Log(
                descriptor, isStream: logsToStream, ident: "smtpd", name: "parent", isVerbose: invocation.isVerbose)
        } catch {
            throw StartFailure("log: \(error)")
        }
        names = HostDirectory()
        era = try Era(0, configuration, after: nil, names: names)
        names.stopAsking()
        let programs = try House.programDirectory()
        spawner = Spawner(programs: try House.openPrograms(in: programs))
        tables = TableDesk(
            spawner: spawner, directories: [programs] + paths.tablePrograms, user: estate.foreignUser, log: log)
        let log = log
        do {
            let pipe = try FileDescriptor.pipe()
            try pipe.left.setNonblocking()
            agentErrors = try pipe.right.duplicate()
            let accountErrors = try pipe.right.duplicate()
            let passwordErrors = try pipe.right.duplicate()
            var lines: ErrorLines?
            pipe.split { left, _ in lines = ErrorLines(left) { log.warning("helper: \($0)") } }
            guard let lines else { throw StartFailure("pipe") }
            helperErrors = lines
            accounts = try AccountPool(spawner: spawner, errors: accountErrors, log: log)
            passwords = try AccountPool(spawner: spawner, errors: passwordErrors, log: log)
        } catch let error as StartFailure {
            throw error
        } catch {
            throw StartFailure("\(error)")
        }
        for name in parsed.unusedMacros { log.warning("macro '\(name)' not used") }
    }

    private static func logDescriptor(
        _ system: consuming FileDescriptor?, isStream: Bool
    ) throws(SystemError) -> FileDescriptor {
        if let system { return system }
        return isStream ? try ThisProcess.standardError() : try SystemLog.nowhere()
    }

    private static func failure(_ parsed: ParsedConfiguration) -> StartFailure {
        StartFailure(parsed.errors.map(\.description).joined(separator: "\n"))
    }

    private static func programDirectory() throws(StartFailure) -> String {
        guard let executable = ThisProcess.executable else { throw StartFailure("/proc is not there") }
        let directories = Paths.programDirectories(executable: executable)
        return directories.first { FileFacts(at: "\($0)/\(Role.queue.executable)") != nil } ?? directories[0]
    }

    // Programs of different versions never mix: all are opened now.
    private static func openPrograms(in directory: String) throws(StartFailure) -> ProgramSet {
        do {
            return try ProgramSet(directory: directory, roles: ProgramSet.children)
        } catch {
            throw StartFailure("\(error)")
        }
    }

    private func makeAgentDesk() -> AgentDesk {
        // A number for each agent is kept here; the descriptor is the house's as long as it stands.
        let errors = (try? agentErrors.duplicate()) ?? FileDescriptor(owning: -1)
        return AgentDesk(
            spawner: spawner, errors: errors, log: log, accounts: accounts,
            rules: AgentRules(daemonUIDs: Set(estate.identities.values.map(\.uid))), paths: paths,
            hostName: names.serverName, timing: timing, era: { [unowned self] in era },
            userOfTable: { [unowned self] table, user in await userOfTable(table, user) })
    }

    /// What children have said last, before Parent's own last line.
    func copyLog() { logFile?.copy() }

    func logCopy() throws(SystemError) -> FileDescriptor { try logDescriptor.duplicate() }

    /// Starts everything; from then on events do the rest.
    func open() {
        signals = [
            SignalWatch(Signal.childEnded) { [unowned self] in reap() },
            SignalWatch(Signal.terminate) { [unowned self] in stop() },
            SignalWatch(Signal.interrupt) { [unowned self] in stop() },
            SignalWatch(Signal.hangUp) { [unowned self] in Task { _ = await self.reloadConfiguration() } },
        ]
        if !ThisProcess.isRoot { log.warning("not started by root: privileges are not separated") }
        do {
            for role in Topology.daemons {
                let workers = role == .listener ? Self.listenerWorkers : 1
                for worker in 0..<workers { places.append(Place(role, worker: worker, of: workers, in: era)) }
            }
            for place in places { try start(place) }
            for (index, place) in places.enumerated() {
                for other in places[..<index] where place.isJoined(with: other) { try join(place, other) }
            }
            for place in places { try joinWithParent(place) }
            for place in places { place.member?.channel?.send(.begin) }
        } catch {
            return fail("\(error)")
        }
        startWatching()
    }

    /// The end before the beginning: one line, and the status that says so.
    func fail(_ reason: String) {
        guard phase == .starting else { return }
        phase = .stopping(.ended)
        for place in places { place.member?.kill(Signal.kill) }
        accounts.close()
        tables.close()
        passwords.close()
        if !logsToStream { log.critical(reason) }
        log.flush()
        ThisProcess.say("martletd: \(reason)\n")
        estate.clear()
        Loop.stop(status: 1)
    }

    /// All children are ready.
    func serve() {
        phase = .serving
        log.info("info: Martlet \(Invocation.version) starting")
        for service in invocation.paused { log.info("info: \(service) is paused (martletctl resume \(service))") }
        do {
            try estate.writePid()
            try desk.open(estate.takeControlSocket(Paths.parentControl))
        } catch {
            log.warning("\(error)")
        }
        if let directory = estate.instanceNote { log.debug(directory) }
        log.flush()
        offline.begin()
        served()
    }
}
