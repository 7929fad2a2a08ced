// SPDX-License-Identifier: ISC

import Channel
import Host
import IPC
import Launch
import Posix

/// The users, directories and sockets that Martlet needs before any child runs; one instance per directory.
final class Estate {
    static let controlMode: UInt32 = 0o600
    static let submissionMode: UInt32 = 0o666
    // As that of /tmp.
    static let offlineMode: UInt32 = 0o1777

    /// Whom each daemon becomes; nobody else when not started by root.
    let identities: [Role: Identity]
    /// Whom foreign programs become; nil where there is no such user, or when not started by root.
    let foreignUser: SystemUser?
    let descriptorLimit: UInt64
    private let spool: DirectoryHandle
    /// Mail that users left while nobody listened.
    let offline: DirectoryHandle
    private let empty: DirectoryHandle
    private let runtime: DirectoryHandle
    private let control: DirectoryHandle
    private let pidFile: FileDescriptor
    private var controlSockets: [String: OpenSocket] = [:]
    let submission: OpenSocket?
    let instanceNote: String?

    init(_ paths: Paths) throws(StartFailure) {
        ThisProcess.setFileMask(0o022)
        descriptorLimit = ThisProcess.raiseDescriptorLimit()
        identities = ThisProcess.isRoot ? try Estate.findIdentities() : [:]
        foreignUser = ThisProcess.isRoot ? try Estate.findForeignUser() : nil
        let queue = identities[.queue]
        runtime = try Estate.directory(paths.runtime, 0o755)
        do {
            guard let lock = try runtime.lock(Paths.pidFile) else {
                throw StartFailure("already running (\(paths.runtime)/\(Paths.pidFile) is locked)")
            }
            pidFile = lock
        } catch let error as StartFailure {
            throw error
        } catch {
            throw StartFailure("\(paths.runtime)/\(Paths.pidFile): \(error)")
        }
        control = try Estate.directory(paths.control, 0o700)
        empty = try Estate.directory(paths.empty, 0o755)
        spool = try Estate.directory(paths.spool, 0o700, owner: queue)
        offline = try Estate.directory(paths.offline, Estate.offlineMode)
        // The file mask had its say.
        try? offline.descriptor.setMode(Estate.offlineMode)
        instanceNote = "spool \(paths.spool), sockets in \(paths.runtime)"
        do {
            var names = Topology.daemons.map(\.name) + [Paths.parentControl]
            names += (1..<House.listenerWorkers).map { "\(Role.listener.name).\($0)" }
            for name in names {
                controlSockets[name] = OpenSocket(try control.listen(name, mode: Estate.controlMode))
            }
            submission = OpenSocket(try runtime.listen(Paths.submission, mode: Estate.submissionMode))
        } catch {
            throw StartFailure("sockets in \(paths.runtime): \(error)")
        }
    }

    private static func directory(
        _ path: String, _ mode: UInt32, owner: Identity? = nil
    ) throws(StartFailure) -> DirectoryHandle {
        do {
            let directory = try DirectoryHandle(making: path, mode: mode, owner: owner.map { ($0.uid, $0.gid) })
            let facts = try directory.descriptor.facts()
            let user = owner?.uid ?? ThisProcess.uid
            guard facts.owner == user, facts.mode & ~mode == 0 else {
                let octal = "0" + String(mode, radix: 8)
                throw StartFailure(
                    "\(path): must belong to uid \(user) with mode \(octal) (chown \(user) \(path); chmod \(octal) \(path))"
                )
            }
            return directory
        } catch let error as StartFailure {
            throw error
        } catch {
            throw StartFailure("\(path): \(error)")
        }
    }

    /// The numbers of the daemons' users, each of whom must exist.
    private static func findIdentities() throws(StartFailure) -> [Role: Identity] {
        var identities: [Role: Identity] = [:]
        var missing: [String] = []
        for role in Topology.daemons {
            guard let name = role.user else { continue }
            do {
                guard let user = try SystemUser.named(name) else {
                    missing.append(name)
                    continue
                }
                guard user.identity.uid != 0, user.identity.gid != 0 else {
                    throw StartFailure("user \(name) must not be root, nor in root's group")
                }
                identities[role] = user.identity
            } catch let error as StartFailure {
                throw error
            } catch {
                throw StartFailure("user \(name): \(error)")
            }
        }
        if let failure = missingUsers(missing) { throw failure }
        return identities
    }

    private static func findForeignUser() throws(StartFailure) -> SystemUser? {
        for name in ForeignUser.candidates {
            do {
                guard let user = try SystemUser.named(name) else { continue }
                guard user.identity.uid != 0, user.identity.gid != 0 else {
                    throw StartFailure("user \(name) must not be root, nor in root's group")
                }
                return user
            } catch let error as StartFailure {
                throw error
            } catch {
                throw StartFailure("user \(name): \(error)")
            }
        }
        return nil
    }

    nonisolated static func missingUsers(_ names: [String]) -> StartFailure? {
        let command = "useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin"
        switch names.count {
        case 0: return nil
        case 1: return StartFailure("user \(names[0]) is missing: \(command) \(names[0])")
        default:
            let list = names.joined(separator: " ")
            return StartFailure("users \(list) are missing: for user in \(list); do \(command) $user; done")
        }
    }

    func controlSocket(_ name: String) -> OpenSocket? { controlSockets[name] }

    func takeControlSocket(_ name: String) throws(SystemError) -> FileDescriptor {
        guard let socket = controlSockets[name] else { throw SystemError("control socket", 2) }
        return try socket.descriptor.duplicate()
    }

    func emptyCopy() throws(SystemError) -> FileDescriptor { try empty.descriptor.duplicate() }
    func spoolCopy() throws(SystemError) -> FileDescriptor { try spool.descriptor.duplicate() }

    func writePid() throws(SystemError) { try pidFile.replaceContent("\(ThisProcess.pid)\n") }

    /// Removes what would make others believe that somebody listens.
    func clear() {
        for name in controlSockets.keys { control.remove(name) }
        runtime.remove(Paths.submission)
        try? pidFile.replaceContent("")
    }
}
