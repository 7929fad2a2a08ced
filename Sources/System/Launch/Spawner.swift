// SPDX-License-Identifier: ISC

import CPosix
import Glibc
public import IPC
public import Posix

/// Starts programs: descriptors 0 and 1 on /dev/null unless said otherwise, 2 on the error pipe, 3 the channel, nothing
/// else; default signals; a working environment of a few fixed variables. A child dies with the process that started it.
public struct Spawner: Sendable {
    private let programs: ProgramSet
    private let environment: ProcessEnvironment

    public init(programs: ProgramSet, environment: ProcessEnvironment = .ofThisProcess) {
        self.programs = programs
        self.environment = environment
    }

    /// Starts the program of a role with this process's own user, which it gives up itself. The pid.
    public func start(
        _ role: Role, arguments: [String] = [], channel: borrowing FileDescriptor, errors: borrowing FileDescriptor
    ) throws(LaunchError) -> Int32 {
        var start = ProcessStart(
            name: role.executable, arguments: arguments, channel: channel.number, errors: errors.number)
        // A terminal's interrupt is for Parent, which lets the others finish.
        start.session = .own
        return try run(start, program: try program(of: role), environment)
    }

    /// Starts the program of a role as `user`, in the user's home directory where that can be entered, else in `/`.
    public func start(
        _ role: Role, as user: SystemUser, arguments: [String] = [], channel: borrowing FileDescriptor,
        errors: borrowing FileDescriptor
    ) throws(LaunchError) -> Int32 {
        guard user.identity.uid != 0 else { throw .rootIdentity }
        var start = ProcessStart(
            name: role.executable, arguments: arguments, channel: channel.number, errors: errors.number)
        start.user = user
        start.session = .own
        return try run(start, program: try program(of: role), environment.adding(user))
    }

    /// Starts the program of a role as `start` says.
    public func start(_ role: Role, _ start: ProcessStart) throws(LaunchError) -> Int32 {
        if let user = start.user, user.identity.uid == 0, geteuid() == 0 { throw .rootIdentity }
        return try run(start, program: try program(of: role), start.user.map(environment.adding) ?? environment)
    }

    /// Starts any program that was opened before: a filter, a table program, a shell with a user's command.
    public func start(_ start: ProcessStart, program: borrowing FileDescriptor) throws(LaunchError) -> Int32 {
        if let user = start.user, user.identity.uid == 0, geteuid() == 0 { throw .rootIdentity }
        let environment = start.user.map(environment.adding) ?? environment
        return try run(start, program: program.number, environment.adding(start.variables))
    }

    private func program(of role: Role) throws(LaunchError) -> Int32 {
        guard let program = programs.descriptor(of: role) else {
            throw .program(role.executable, SystemError("open", ENOENT))
        }
        return program
    }

    private func run(
        _ start: ProcessStart, program: Int32, _ environment: ProcessEnvironment
    ) throws(LaunchError) -> Int32 {
        let arguments = try StringTable([start.name] + start.arguments)
        let variables = try StringTable(environment.lines)
        let directory = try StringTable([start.directory ?? start.user?.home ?? "/"])
        var child = martlet_child()
        child.executable = program
        child.channel = start.channel ?? -1
        child.errors = start.errors
        child.input = start.input ?? -1
        child.output = start.output ?? -1
        if let user = start.user, user.identity != Identity(uid: geteuid(), gid: getegid()) {
            child.changes_identity = 1
            child.uid = user.identity.uid
            child.gid = user.identity.gid
        }
        child.forbids_new_privileges = start.forbidsNewPrivileges ? 1 : 0
        child.new_session = start.session == .own ? 1 : 0
        // The tables own the memory that the child's record points to.
        let pid = withExtendedLifetime((arguments, variables, directory)) {
            child.arguments = UnsafePointer(arguments.pointer)
            child.environment = UnsafePointer(variables.pointer)
            child.directory = directory.pointer.pointee.map { UnsafePointer($0) }
            return martlet_spawn(&child)
        }
        guard pid > 0 else { throw .start(start.name, SystemError("execveat")) }
        return pid
    }
}

/// How a program is to be started. The descriptors are the caller's, who closes them afterwards.
public struct ProcessStart: Sendable {
    /// Its argument 0.
    public var name: String
    public var arguments: [String]
    /// Becomes descriptor 0; /dev/null when nil.
    public var input: Int32?
    /// Becomes descriptor 1; /dev/null when nil.
    public var output: Int32?
    /// Becomes descriptor 2.
    public var errors: Int32
    /// Becomes descriptor 3; closed when nil.
    public var channel: Int32?
    /// Whose user, group and home directory it gets; this process's when nil.
    public var user: SystemUser?
    /// Where it begins, or in `/` if that cannot be entered; the user's home directory when nil.
    public var directory: String?
    /// Beside the fixed ones: `NAME=value`.
    public var variables: [String] = []
    public var forbidsNewPrivileges = false
    public var session: Session = .inherited

    public enum Session: Sendable {
        case inherited
        /// No terminal, and a group of processes of its own, which can be ended together.
        case own
    }

    public init(
        name: String, arguments: [String] = [], input: Int32? = nil, output: Int32? = nil, channel: Int32? = nil,
        errors: Int32, user: SystemUser? = nil
    ) {
        self.name = name
        self.arguments = arguments
        self.input = input
        self.output = output
        self.channel = channel
        self.errors = errors
        self.user = user
    }
}
