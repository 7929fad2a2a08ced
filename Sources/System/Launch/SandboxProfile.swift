// SPDX-License-Identifier: ISC

public import IPC

/// Everything that one duty is allowed. What is not named here is denied.
public struct SandboxProfile: Hashable, Sendable {
    public let role: Role
    /// Empty where no filter is loaded.
    public let groups: Set<SystemCallGroup>
    /// Empty ones are entered at the start, where the kernel lets us.
    public let namespaces: Namespaces
    /// nil where Landlock is not used.
    public let landlock: LandlockScope?
    /// Without it a set-id program that the process runs gains its rights.
    public let forbidsNewPrivileges: Bool
    /// Whether the process leaves root behind: it is given an identity and a root directory of its own.
    public let changesIdentity: Bool
    public let limits: ResourceLimits
    /// Whether no page may ever reach the swap.
    public let locksMemory: Bool

    /// The kernel's views of the host that a process can have for itself.
    public struct Namespaces: OptionSet, Hashable, Sendable {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        public static let network = Namespaces(rawValue: 1)
        public static let ipc = Namespaces(rawValue: 2)
        public static let mount = Namespaces(rawValue: 4)
    }

    /// What Landlock leaves beside the paths that are handed in.
    public struct LandlockScope: Hashable, Sendable {
        /// The rights below the process's own root directory.
        public let root: LandlockRights
        /// Whether TCP sockets may be bound and connected.
        public let network: Bool
    }

    public static func profile(for role: Role) -> SandboxProfile {
        switch role {
        case .listener: daemon(role, [.base, .socketPairs])
        case .lookup: daemon(role, [.base, .positionedReading])
        case .resolver: daemon(role, [.base, .streamSockets, .datagramSockets])
        case .queue: daemon(role, [.base, .files, .memoryFiles])
        case .relay: daemon(role, [.base, .positionedReading, .streamSockets])
        case .local: daemon(role, [.base, .positionedReading])
        case .keys: daemon(role, [.base, .lockedMemory])
        case .mailbox: mailbox(.ownFiles)
        case .account: account
        case .table: table
        case .parent, .control: unconfined(role)
        }
    }

    /// What an agent of a user has been started for.
    public enum Agency: Hashable, Sendable {
        /// Maildir, mbox, a file of ~/.forward.
        case ownFiles
        /// A command, which the user's set-id programs (procmail and others) may be part of.
        case commands
    }

    /// The profile of the agent that is already the user. It needs no root directory and no identity: it has them.
    public static func mailbox(_ agency: Agency) -> SandboxProfile {
        switch agency {
        case .ownFiles:
            // Landlock is left out: a mailbox may be anywhere that its user may write.
            SandboxProfile(
                role: .mailbox, groups: [.base, .files, .sharedFiles], namespaces: [], landlock: nil,
                forbidsNewPrivileges: true, changesIdentity: false,
                limits: ResourceLimits(mayFork: false, mayWriteFiles: true), locksMemory: false)
        case .commands:
            // A filter or Landlock would need no_new_privs, which the commands of users may not have.
            SandboxProfile(
                role: .mailbox, groups: [], namespaces: [], landlock: nil, forbidsNewPrivileges: false,
                changesIdentity: false, limits: ResourceLimits(mayFork: true, mayWriteFiles: true), locksMemory: false)
        }
    }

    /// The filter that the groups make; nil where there is none.
    public var filter: SystemCallFilter? {
        groups.isEmpty ? nil : SystemCallFilter(SystemCallGroup.allCases.filter(groups.contains).flatMap(\.rules))
    }

    private static func daemon(_ role: Role, _ groups: Set<SystemCallGroup>) -> SandboxProfile {
        let usesNetwork = groups.contains(.streamSockets)
        let usesFiles = groups.contains(.files)
        return SandboxProfile(
            role: role,
            groups: groups,
            namespaces: usesNetwork ? [] : [.network, .ipc, .mount],
            landlock: LandlockScope(root: usesFiles ? [.read, .write] : [], network: usesNetwork),
            forbidsNewPrivileges: true,
            changesIdentity: true,
            limits: ResourceLimits(mayFork: false, mayWriteFiles: usesFiles),
            locksMemory: groups.contains(.lockedMemory))
    }

    // PAM modules and name services do what they like, run set-id helpers too; the network is what they cannot have.
    private static var account: SandboxProfile {
        SandboxProfile(
            role: .account, groups: [], namespaces: [.network], landlock: nil, forbidsNewPrivileges: false,
            changesIdentity: false, limits: ResourceLimits(mayFork: true, mayWriteFiles: true), locksMemory: false)
    }

    // It is already its user and keeps the root directory. What it may read there is handed in.
    private static var table: SandboxProfile {
        SandboxProfile(
            role: .table, groups: [.base, .readOnlyFiles], namespaces: [],
            landlock: LandlockScope(root: [], network: false), forbidsNewPrivileges: true, changesIdentity: false,
            limits: ResourceLimits(mayFork: false, mayWriteFiles: false), locksMemory: false)
    }

    private static func unconfined(_ role: Role) -> SandboxProfile {
        SandboxProfile(
            role: role, groups: [], namespaces: [], landlock: nil, forbidsNewPrivileges: false, changesIdentity: false,
            limits: ResourceLimits(mayFork: true, mayWriteFiles: true), locksMemory: false)
    }
}
