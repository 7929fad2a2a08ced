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
            /// What ~/.forward or an alias says.
            case commands
        }

        let method: Method
        let knownBy: Directory
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
    static func plan(_ action: ActionDefinition?, for user: String, _ kind: AgentKind) -> Decision<Plan> {
        guard isName(user) else {
            return .refused(.failed(Reply(550, EnhancedStatus(5, 1, 1), "Not the name of a user")))
        }
        // The envelope is older than the configuration; an administrator can bring the action back.
        guard let action, case .local(let local) = action.kind else {
            return .refused(.deferred(Reply(451, EnhancedStatus(4, 3, 5), "No local action of that name")))
        }
        let method: Plan.Method
        switch (kind, user) {
        case (.commands, ForeignUser.name): return .allowed(Plan(method: .commands, knownBy: .foreign))
        case (.commands, _):
            // Another user's ~/.forward is not followed by such an action.
            guard local.user == nil || local.user == user else {
                return .refused(.deferred(Reply(451, EnhancedStatus(4, 3, 5), "The action delivers as another user")))
            }
            return .allowed(Plan(method: .commands, knownBy: directory(local, user)))
        case (.mailbox, ForeignUser.name):
            return .refused(.failed(Reply(550, EnhancedStatus(5, 7, 1), "No mailbox of a system user")))
        case (.mailbox, _): break
        }
        switch local.method {
        case .maildir(let path, let junk): method = .maildir(path: path ?? "~/Maildir", junk: junk)
        case .mbox: method = .mbox
        case .lmtp, .command, .forwardOnly, .expandOnly:
            return .refused(.deferred(Reply(451, EnhancedStatus(4, 3, 5), "The action needs no mailbox agent")))
        }
        return .allowed(Plan(method: method, knownBy: directory(local, user)))
    }

    private static func directory(_ local: LocalAction, _ user: String) -> Directory {
        if let fixed = local.user { return .system(user: fixed) }
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
        _ plan: Plan, user: String, home: String, hostName: String, mailboxes: String
    ) -> [String] {
        switch plan.method {
        case .maildir(let path, let junk):
            ["maildir", path, user, home, hostName] + (junk == .used ? ["junk"] : [])
        case .mbox:
            ["mbox", mailboxes, user, home, hostName]
        case .commands:
            ["command", "-", user, home, hostName]
        }
    }

    // It becomes part of a path.
    static func isName(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= longestName && !name.hasPrefix(".") && !name.hasPrefix("-")
            && name.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "/") }
    }
}
