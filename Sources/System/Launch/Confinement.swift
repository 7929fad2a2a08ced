// SPDX-License-Identifier: ISC

import CPosix
import Glibc
public import Posix

/// What of a confinement could not be had though the process goes on; a line each for the log.
public struct ConfinementReport: Hashable, Sendable {
    public var shortcomings: [Shortcoming] = []

    public enum Shortcoming: Hashable, Sendable, CustomStringConvertible {
        /// The kernel has no Landlock; true for every process of the host, so Parent says it once.
        case noLandlock
        /// The process was not started by root: it keeps its user and its root directory.
        case notRoot
        case namespace(String, SystemError)
        case memoryNotLocked(SystemError)

        public var description: String {
            switch self {
            case .noLandlock: "the kernel has no Landlock"
            case .notRoot: "not started by root: no user and no root directory of its own"
            case .namespace(let name, let error): "no \(name) namespace: \(error)"
            case .memoryNotLocked(let error): "memory may be swapped: \(error)"
            }
        }
    }
}

/// Gives up every right that `profile` does not name, for good. To be called once, by a process with one thread that has
/// opened and created everything it needs by name. Any error means: leave, do not serve.
///
/// As root the process takes `identity` and `root`; without root it keeps what it has, but for the rest of the profile.
/// `paths` stay reachable under Landlock. `descriptors` is the limit of open ones. `startThreads` is the one moment for
/// further threads: earlier ones would keep their rights, later ones are forbidden.
public func confine(
    _ profile: SandboxProfile, as identity: Identity? = nil, in root: consuming RootDirectory? = nil,
    paths: [PermittedPath] = [], descriptors: UInt64, startThreads: () throws(SystemError) -> Void = {}
) throws(LaunchError) -> ConfinementReport {
    let parent = getppid()
    var report = ConfinementReport()
    var permitted = paths
    let threads = threadCount()
    guard threads <= 1 else { throw .threads(threads) }
    if geteuid() == 0 {
        enterNamespaces(profile.namespaces, &report)
        if profile.locksMemory { lockMemory(&report) }
    }
    if profile.changesIdentity, geteuid() == 0, identity == nil { throw .rootIdentity }
    if let root {
        if profile.changesIdentity, geteuid() == 0 {
            try ConfinementStep.root.check { () throws(SystemError) in try root.enter() }
        }
        if let scope = profile.landlock, !scope.root.isEmpty {
            permitted.append(PermittedPath(descriptor: root.descriptor.number, scope.root))
        }
        try giveUp(profile, identity, permitted, parent, &report)
    } else {
        // A daemon of root's without a root directory would see the whole host.
        guard !profile.changesIdentity || geteuid() != 0 else { throw .unsafeRoot("none given") }
        try giveUp(profile, identity, permitted, parent, &report)
    }
    try ConfinementStep.threads.check(startThreads)
    try ConfinementStep.limits.check { () throws(SystemError) in try profile.limits.apply(descriptors: descriptors) }
    // The last step: hardly one of the calls above is let through afterwards.
    try profile.filter?.load()
    return report
}

private func giveUp(
    _ profile: SandboxProfile, _ identity: Identity?, _ paths: [PermittedPath], _ parent: Int32,
    _ report: inout ConfinementReport
) throws(LaunchError) {
    if profile.changesIdentity {
        if geteuid() == 0, let identity {
            // The bounding set first: dropping it needs a capability that the change of identity takes away.
            try ConfinementStep.boundingSet.check("prctl", martlet_drop_bounding_set())
            try identity.take()
        } else {
            report.shortcomings.append(.notRoot)
        }
    }
    if profile.forbidsNewPrivileges {
        try ConfinementStep.capabilities.check("capset", martlet_clear_capabilities())
        try ConfinementStep.noNewPrivileges.check("prctl", martlet_set_no_new_privileges())
    }
    // The change of identity cleared both the signal and the mark.
    try ConfinementStep.parent.check("getppid", martlet_bind_to_parent(parent))
    if let scope = profile.landlock {
        if Landlock.version == nil {
            report.shortcomings.append(.noLandlock)
        } else {
            try ConfinementStep.landlock.check { () throws(SystemError) in
                try Landlock.restrict(to: paths, allowingNetwork: scope.network)
            }
        }
    }
}

/// The threads of this process: each has a directory in /proc. 0 where there is no /proc.
private func threadCount() -> Int {
    var status = stat()
    guard stat("/proc/self/task", &status) == 0 else { return 0 }
    return Int(status.st_nlink) - 2
}

private func enterNamespaces(_ namespaces: SandboxProfile.Namespaces, _ report: inout ConfinementReport) {
    let each: [(SandboxProfile.Namespaces, String)] = [(.network, "network"), (.ipc, "ipc"), (.mount, "mount")]
    for (namespace, name) in each where namespaces.contains(namespace) {
        let result = martlet_unshare(
            namespace == .network ? 1 : 0, namespace == .ipc ? 1 : 0, namespace == .mount ? 1 : 0)
        if result != 0 { report.shortcomings.append(.namespace(name, SystemError("unshare"))) }
    }
}

// Without root the limit of locked memory is small, and every allocation beyond it would fail; so not even tried.
private func lockMemory(_ report: inout ConfinementReport) {
    do {
        try ResourceLimits.raiseLockedMemory()
        try SystemError.check("mlockall", martlet_memory_lock_all())
    } catch {
        report.shortcomings.append(.memoryNotLocked(error))
    }
}
