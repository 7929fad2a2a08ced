// SPDX-License-Identifier: ISC

import Configuration
import IPC
import Mail

/// Who may be delivered to, and by what. Only names come from Delivery; everything else is the configuration's and the
/// system's word.
nonisolated struct AgentRules: Hashable, Sendable {
    /// System users such as `news` have mailboxes too; root has not.
    static let leastUID: UInt32 = 1
    static let longestName = 255

    /// Users that run a daemon of ours: mail for them would run with a daemon's rights.
    var daemonUIDs: Set<UInt32> = []

    /// What an agent will be started for.
    struct Plan: Hashable, Sendable {
        enum Method: Hashable, Sendable {
            case maildir(path: String, junk: LocalAction.JunkFolder)
            case mbox
            /// What the action says, inside of the wrapper if there is one.
            case command(String, wrapper: String?)
            /// What ~/.forward or an alias says, inside of the wrapper if there is one.
            case commands(wrapper: String?)
        }

        let method: Method
        let knownBy: Directory
        /// Who knows the user whose home a `~` or `%{user.directory}` means, where the agent becomes another one.
        var homeKnownBy: Directory?
    }

    /// Who knows the user that the agent becomes.
    enum Directory: Hashable, Sendable {
        case system(user: String)
        case userbase(table: String)
        /// Whoever foreign programs run as on this host.
        case foreign
    }

    enum Decision<Value: Hashable & Sendable>: Hashable, Sendable {
        case allowed(Value)
        case refused(DeliveryOutcome)
    }

    /// What the action says, for a delivery to `user`.
    static func plan(
        _ action: ActionDefinition?, for user: String, _ kind: AgentKind, wrappers: [WrapperDefinition] = []
    ) -> Decision<Plan> {
        guard isName(user) else {
            return .refused(.failed(Reply(550, EnhancedStatus(5, 1, 1), "Not the name of a user")))
        }
        // The envelope is older than the configuration; an administrator can bring the action back.
        guard let action, case .local(let local) = action.kind else {
            return .refused(.deferred(Reply(451, EnhancedStatus(4, 3, 5), "No local action of that name")))
        }
        let wrapper = local.wrapper.flatMap { name in wrappers.first { $0.name == name }?.command }
        switch (kind, user) {
        case (.commands, ForeignUser.name):
            return .allowed(Plan(method: .commands(wrapper: wrapper), knownBy: .foreign))
        case (.commands, _):
            // Another user's ~/.forward is not followed by such an action.
            guard local.user == nil || local.user == user else {
                return .refused(.deferred(Reply(451, EnhancedStatus(4, 3, 5), "The action delivers as another user")))
            }
            return .allowed(Plan(method: .commands(wrapper: wrapper), knownBy: directory(local, user)))
        case (.mailbox, ForeignUser.name):
            return .refused(.failed(Reply(550, EnhancedStatus(5, 7, 1), "No mailbox of a system user")))
        case (.mailbox, _): break
        }
        let method: Plan.Method
        // Texts in which a home may be named; that of the agent's own user is the usual one of a maildir.
        var texts: [(String, FormatTemplate.Use)] = []
        switch local.method {
        case .maildir(let path, let junk):
            method = .maildir(path: path ?? "~/Maildir", junk: junk)
            if let path { texts = [(path, .path)] }
        case .mbox:
            method = .mbox
        case .command(let command):
            method = .command(command, wrapper: wrapper)
            texts = [command, wrapper].compactMap(\.self).map { ($0, .command) }
        case .lmtp, .forwardOnly, .expandOnly:
            return .refused(.deferred(Reply(451, EnhancedStatus(4, 3, 5), "The action needs no mailbox agent")))
        }
        var plan = Plan(method: method, knownBy: directory(local, user))
        let namesHome = texts.contains { text, use in (try? FormatTemplate(text, for: use))?.namesHome ?? false }
        if namesHome, let fixed = local.user, fixed != user {
            plan.homeKnownBy = userbase(local, user)
        }
        return .allowed(plan)
    }

    /// Where the server of the action is, for a delivery to `user`.
    static func server(
        _ action: ActionDefinition?, for user: String, delimiters: SubaddressDelimiters
    ) -> Decision<LMTPDestination.Place> {
        guard isName(user) else {
            return .refused(.failed(Reply(550, EnhancedStatus(5, 1, 1), "Not the name of a user")))
        }
        guard let action, case .local(let local) = action.kind, case .lmtp(let text, _) = local.method else {
            return .refused(.deferred(Reply(451, EnhancedStatus(4, 3, 5), "No LMTP action of that name")))
        }
        guard let place = (try? LMTPDestination(text))?.place(for: user, delimiters: delimiters) else {
            return .refused(.failed(Reply(550, EnhancedStatus(5, 3, 5), "The name makes no LMTP destination")))
        }
        return .allowed(place)
    }

    private static func directory(_ local: LocalAction, _ user: String) -> Directory {
        if let fixed = local.user { return .system(user: fixed) }
        return userbase(local, user)
    }

    private static func userbase(_ local: LocalAction, _ user: String) -> Directory {
        switch local.userbase {
        case .builtIn: return .system(user: user)
        case .named(let table): return .userbase(table: table)
        }
    }

    /// Whether an agent may become the user that was found.
    func check(_ answer: UserAnswer, named name: String) -> Decision<UserRecord> {
        switch answer {
        case .absent:
            return .refused(.failed(Reply(550, EnhancedStatus(5, 1, 1), "No such user: \(name)")))
        case .temporaryFailure:
            return .refused(.deferred(Reply(451, EnhancedStatus(4, 3, 0), "The user database does not answer")))
        case .found(let user):
            guard user.uid != 0 else {
                return .refused(
                    .failed(Reply(550, EnhancedStatus(5, 7, 1), "No delivery as root: alias root to a person")))
            }
            // By name too: a house that does not separate privileges has no numbers of its daemons.
            guard user.uid >= Self.leastUID, !daemonUIDs.contains(user.uid),
                !Role.allCases.contains(where: { $0.user == user.name })
            else {
                return .refused(.failed(Reply(550, EnhancedStatus(5, 7, 1), "No delivery to a system user: \(name)")))
            }
            guard user.home.hasPrefix("/") else {
                return .refused(.deferred(Reply(451, EnhancedStatus(4, 3, 5), "No home directory: \(name)")))
            }
            return .allowed(user)
        }
    }

    /// The arguments of martlet-mailbox.
    static func arguments(
        _ plan: Plan, user: String, home: String, hostName: String, mailboxes: String,
        delimiters: SubaddressDelimiters, mostCommands: Int
    ) -> [String] {
        let common = [user, home, hostName, delimiters.text]
        return switch plan.method {
        case .maildir(let path, let junk): ["maildir", path] + common + (junk == .used ? ["junk"] : [])
        case .mbox: ["mbox", mailboxes] + common
        case .command(let command, let wrapper): ["mda", command] + common + ["\(mostCommands)", wrapper ?? "-"]
        case .commands(let wrapper): ["command", "-"] + common + ["\(mostCommands)", wrapper ?? "-"]
        }
    }

    // It becomes part of a path.
    static func isName(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= longestName && !name.hasPrefix(".") && !name.hasPrefix("-")
            && name.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "/") }
    }
}
