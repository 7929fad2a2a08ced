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

/// Starts the agents of each user that Delivery has mail for, as that user.
final class AgentDesk {
    // Of the whole host; Delivery keeps fewer.
    private static let mostAgents = 500

    private struct Agent {
        let action: String
        let user: String
        let kind: AgentKind
        let asker: Peer<LocalToParent, ParentToLocal>
        /// Runs from the end of its stream until it has left.
        let patience = Timer()
    }

    private let spawner: Spawner
    private let errors: FileDescriptor
    private let log: Log
    private let accounts: AccountPool
    private let rules: AgentRules
    private let paths: Paths
    private let hostName: String
    private let timing: Timing
    /// The configuration in force.
    private let era: () -> Era
    /// Asks Lookup for a user whom a table knows.
    private let userOfTable: (_ table: String, _ user: String) async -> UserAnswer
    private var agents: [Int32: Agent] = [:]
    private var planned = 0
    private var hasSaidUnprivileged = false
    private var isClosed = false

    init(
        spawner: Spawner, errors: consuming FileDescriptor, log: Log, accounts: AccountPool, rules: AgentRules,
        paths: Paths, hostName: String, timing: Timing, era: @escaping () -> Era,
        userOfTable: @escaping (_ table: String, _ user: String) async -> UserAnswer
    ) {
        self.userOfTable = userOfTable
        self.spawner = spawner
        self.errors = errors
        self.log = log
        self.accounts = accounts
        self.rules = rules
        self.paths = paths
        self.hostName = hostName
        self.timing = timing
        self.era = era
    }

    var count: Int { agents.count }

    /// Answers a request of Delivery for an agent.
    func answer(
        _ asker: Peer<LocalToParent, ParentToLocal>, _ correlation: Correlation, action: String, user: String,
        kind: AgentKind
    ) async {
        guard !isClosed, agents.count + planned < Self.mostAgents else {
            return asker.answer(
                correlation, .refused(.deferred(Reply(451, EnhancedStatus(4, 3, 2), "Too many deliveries"))))
        }
        planned += 1
        defer { planned -= 1 }
        let configuration = era().configuration
        switch AgentRules.plan(
            configuration.action(named: action), for: user, kind, wrappers: configuration.wrappers)
        {
        case .refused(let outcome):
            asker.answer(correlation, .refused(outcome))
        case .allowed(let plan):
            let (answer, name) = await find(plan.knownBy, for: user)
            if plan.knownBy == .foreign, answer == .absent {
                log.warning("no user \(ForeignUser.name): commands and files of aliases wait")
                return asker.answer(
                    correlation,
                    .refused(.deferred(Reply(451, EnhancedStatus(4, 3, 5), "No user for foreign programs"))))
            }
            switch rules.check(answer, named: name) {
            case .refused(let outcome):
                asker.answer(correlation, .refused(outcome))
            case .allowed(let account):
                switch await home(plan, account, for: user) {
                case .refused(let outcome):
                    asker.answer(correlation, .refused(outcome))
                case .allowed(let home):
                    start(
                        plan, asker, correlation, action: action, user: user, kind, account: account, home: home)
                }
            }
        }
    }

    private func find(_ directory: AgentRules.Directory, for user: String) async -> (UserAnswer, String) {
        switch directory {
        case .system(let name):
            guard case .user(let answer) = await accounts.ask(.user(named: name)) else {
                return (.temporaryFailure, name)
            }
            return (answer, name)
        case .foreign:
            for name in ForeignUser.candidates {
                guard case .user(let answer) = await accounts.ask(.user(named: name)) else {
                    return (.temporaryFailure, name)
                }
                if answer != .absent { return (answer, name) }
            }
            return (.absent, user)
        case .userbase(let table):
            return (await userOfTable(table, user), user)
        }
    }

    // An action that delivers as one user may still speak of the homes of those that it delivers to.
    private func home(
        _ plan: AgentRules.Plan, _ account: UserRecord, for user: String
    ) async -> AgentRules.Decision<String> {
        guard let directory = plan.homeKnownBy else { return .allowed(account.home) }
        let (answer, name) = await find(directory, for: user)
        switch rules.check(answer, named: name) {
        case .refused(let outcome): return .refused(outcome)
        case .allowed(let person): return .allowed(person.home)
        }
    }

    private func start(
        _ plan: AgentRules.Plan, _ asker: Peer<LocalToParent, ParentToLocal>, _ correlation: Correlation,
        action: String, user: String, _ kind: AgentKind, account: UserRecord, home: String
    ) {
        guard asker.isOpen, !isClosed else { return }
        let configuration = era().configuration
        let arguments = AgentRules.arguments(
            plan, user: plan.knownBy == .foreign ? account.name : user, home: home, hostName: hostName,
            mailboxes: paths.mailboxes, delimiters: configuration.smtp.delimiters,
            mostCommands: configuration.localLimits.sessionsPerUser)
        // Delivery has one of a kind at a time: it has given up any other, though it may not have heard of it.
        closed(by: asker, action: action, user: user, kind: kind, .leaving)
        do {
            let pair = try FileDescriptor.streamPair()
            let pid = try spawner.start(
                .mailbox, as: systemUser(account, plan.method), arguments: arguments, channel: pair.right,
                errors: errors)
            agents[pid] = Agent(action: action, user: user, kind: kind, asker: asker)
            let limit = timing.agentLimit(of: plan.method)
            pair.split { ours, _ in asker.answer(correlation, .agent(limit: limit), passing: ours) }
        } catch {
            log.warning("mailbox agent for \(VisibleText(user)): \(error)")
            asker.answer(
                correlation, .refused(.deferred(Reply(451, EnhancedStatus(4, 3, 0), "No mailbox agent can be started")))
            )
        }
    }

    private func systemUser(_ account: UserRecord, _ method: AgentRules.Plan.Method) -> SystemUser {
        guard ThisProcess.isRoot else {
            if !hasSaidUnprivileged {
                hasSaidUnprivileged = true
                log.warning("not started by root: mailboxes of all users are written as uid \(ThisProcess.uid)")
            }
            let identity = Identity(uid: ThisProcess.uid, gid: ThisProcess.gid)
            return SystemUser(name: account.name, identity: identity, home: account.home)
        }
        var gid = account.gid
        if method == .mbox, let facts = FileFacts(at: paths.mailboxes), facts.mode & 0o020 != 0, facts.group != 0 {
            // Only that group may make a lock beside a mailbox.
            gid = facts.group
        }
        return SystemUser(name: account.name, identity: Identity(uid: account.uid, gid: gid), home: account.home)
    }

    /// Answers a request of Delivery for a connection to an LMTP server. Never waits: the connection may still be on its
    /// way, and what the configuration calls by name was looked up at the start.
    func connect(
        _ asker: Peer<LocalToParent, ParentToLocal>, _ correlation: Correlation, action: String, user: String,
        skipping: UInt8
    ) {
        let era = era()
        let delimiters = era.configuration.smtp.delimiters
        switch AgentRules.server(era.configuration.action(named: action), for: user, delimiters: delimiters) {
        case .refused(let outcome):
            asker.answer(correlation, .refused(outcome))
        case .allowed(let place):
            var failure = SystemError("connect", Self.noSuchHost)
            for address in era.addresses(of: place).dropFirst(Int(skipping)) {
                do {
                    return asker.answer(correlation, .connection, passing: try FileDescriptor.connect(to: address))
                } catch {
                    failure = error
                }
            }
            asker.answer(
                correlation, .refused(.deferred(Reply(451, EnhancedStatus(4, 4, 1), "LMTP server: \(failure)"))))
        }
    }

    // EHOSTUNREACH: no address is left.
    private static let noSuchHost: Int32 = 113

    // MARK: Ends

    /// Delivery has closed its stream to an agent, or gives it up: its place must come back, whatever it does.
    func closed(
        by asker: Peer<LocalToParent, ParentToLocal>, action: String, user: String, kind: AgentKind,
        _ ending: AgentEnding
    ) {
        for (pid, agent) in agents
        where agent.asker === asker && agent.action == action && agent.user == user && agent.kind == kind {
            end(agent, pid, ending)
        }
    }

    /// The Delivery that had them has gone, and with it its streams to all of its agents.
    func closed(by asker: Peer<LocalToParent, ParentToLocal>) {
        for (pid, agent) in agents where agent.asker === asker { end(agent, pid, .leaving) }
    }

    private func end(_ agent: Agent, _ pid: Int32, _ ending: AgentEnding) {
        switch ending {
        case .hung:
            kill(agent, pid, "does not answer")
        case .leaving:
            guard !agent.patience.isRunning else { return }
            agent.patience.start(afterMilliseconds: timing.aliveLimit) { [unowned self] in
                kill(agent, pid, "does not leave")
            }
        }
    }

    // With all that it has started and that stayed in its group. Its number is its own until `ended`.
    private func kill(_ agent: Agent, _ pid: Int32, _ why: StaticString) {
        log.warning("mailbox agent for \(VisibleText(agent.user)) \(why) and is killed")
        // The group is not there yet when the agent has only just begun.
        try? ChildProcess.send(Signal.kill, to: pid)
        try? ChildProcess.send(Signal.kill, toGroupOf: pid)
    }

    /// Whether the child that ended was an agent.
    func ended(_ child: ReapedChild) -> Bool {
        guard let agent = agents.removeValue(forKey: child.pid) else { return false }
        agent.asker.send(.exited(action: agent.action, user: agent.user, kind: agent.kind, status: "\(child.status)"))
        return true
    }

    /// Starts no more, and ends those that run: what they have not confirmed is delivered again.
    func close() {
        isClosed = true
        for pid in agents.keys { try? ChildProcess.send(Signal.terminate, to: pid) }
    }
}
