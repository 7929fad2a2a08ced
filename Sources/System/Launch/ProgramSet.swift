// SPDX-License-Identifier: ISC

import Glibc
public import IPC
public import Posix

/// The programs of the house, opened once: one that is replaced on disk while Martlet runs is not run before the next
/// start, and versions never mix.
public final class ProgramSet: Sendable {
    private let descriptors: [Role: Int32]

    /// Opens the program of each role in `directory`. All must be there.
    public init(directory: String, roles: [Role]) throws(LaunchError) {
        var opened: [Role: Int32] = [:]
        do {
            for role in roles {
                opened[role] = try ProgramSet.open("\(directory)/\(role.executable)").release()
            }
        } catch {
            for descriptor in opened.values { close(descriptor) }
            throw error
        }
        descriptors = opened
    }

    /// No program: for a process that starts others than those of the house.
    public init() { descriptors = [:] }

    deinit {
        for descriptor in descriptors.values { close(descriptor) }
    }

    /// The children that Parent starts: the daemons and the helpers.
    public static let children: [Role] = Topology.daemons + [.account, .mailbox, .table]

    /// The descriptor of the role's program, which stays the set's.
    public func descriptor(of role: Role) -> Int32? { descriptors[role] }

    /// Opens one program for `Spawner`. A script cannot be run this way; its interpreter can.
    public static func open(_ path: String) throws(LaunchError) -> FileDescriptor {
        do {
            // A program need not be readable to be run.
            let program = try FileDescriptor.open(path, ProgramSet.pathOnly)
            let status = try program.status()
            guard status.isRegularFile, status.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH) != 0 else {
                throw LaunchError.program(path, SystemError("open", EACCES))
            }
            guard status.st_mode & S_IWOTH == 0 else { throw LaunchError.writableProgram(path) }
            return program
        } catch let error as SystemError {
            throw .program(path, error)
        } catch let error as LaunchError {
            throw error
        } catch {
            preconditionFailure("an error that no call above throws")
        }
    }

    /// O_PATH, which Swift sees only under _GNU_SOURCE.
    private static let pathOnly: Int32 = 0o10000000
}
