// SPDX-License-Identifier: ISC

import Glibc
public import IPC
import Launch
public import Posix
import Reactor

/// What a child does once it is confined.
public protocol DaemonProcess: AnyObject {
    /// Takes its grants, sets what is to happen on events, and calls `Child.ready`.
    func begin() async throws
}

/// One end of an edge as Parent handed it out.
public struct PeerGrant: Hashable, Sendable {
    public let role: Role
    public let generation: UInt32
    public let worker: UInt16

    public init(role: Role, generation: UInt32, worker: UInt16) {
        self.role = role
        self.generation = generation
        self.worker = worker
    }
}

/// A child of Parent from its first instruction to its last: hears its assignment over descriptor 3, takes what it is
/// given, gives up what it does not need, and begins.
public final class Child {
    // Set by Parent when it starts a child.
    private static let channelNumber: Int32 = 3

    public let assignment: Assignment
    public let log: Log
    /// Sockets and files that were given before the beginning; each is taken once.
    public private(set) var grants = Grants()

    private let parent: Peer<ParentToChild, ChildToParent>
    private var waitingPeers: [(PeerGrant, Held)] = []

    // Each is set by the daemon before `ready`.
    public var peerArrived: (PeerGrant, consuming FileDescriptor) -> Void = { _, _ in }
    public var reloaded: (_ generation: UInt32, _ configuration: String) -> Void = { _, _ in }
    public var textChanged: (ParentToChild.SystemFile, [UInt8]) -> Void = { _, _ in }
    public var fileArrived: (ParentToChild.FilePurpose, String, consuming FileDescriptor) -> Void = { _, _, _ in }
    public var ticketsChanged: ([[UInt8]]) -> Void = { _ in }
    public var drained: (_ seconds: UInt32) -> Void = { _ in Loop.stop() }
    private var isReady = false
    // The loop holds the child, and the child what it is for.
    private var process: (any DaemonProcess)?

    /// Runs a daemon: it is made and begins inside the sandbox, with everything that Parent gave.
    /// `startThreads` runs just before the door closes behind which no thread can be started any more.
    public nonisolated static func run(
        as roles: Set<Role>, startThreads: @escaping @MainActor (Child) -> Void = { _ in },
        make: @escaping @MainActor (Child) throws -> any DaemonProcess
    ) -> Never {
        Loop.run {
            // Parent names the role as the only argument; a person who starts this by hand is told so.
            let role = CommandLine.arguments.dropFirst().first.flatMap(Role.init(named:))
            guard let role, roles.contains(role), fcntl(channelNumber, F_GETFD) >= 0 else {
                print("started by martletd only")
                exit(1)
            }
            let child = await Arrival(role).wait(on: FileDescriptor(owning: channelNumber))
            guard child.assignment.role == role else { child.leave(because: "assigned to another role") }
            do {
                SystemClock.prepare()
                try child.enterSandbox(startThreads)
                let process = try make(child)
                child.process = process
                try await process.begin()
            } catch {
                child.leave(because: "\(error)")
            }
        }
    }

    fileprivate init(assignment: Assignment, log: Log, parent: Peer<ParentToChild, ChildToParent>) {
        self.assignment = assignment
        self.log = log
        self.parent = parent
    }

    public var name: String {
        assignment.worker == 0 ? assignment.role.name : "\(assignment.role.name).\(assignment.worker)"
    }

    private func enterSandbox(_ startThreads: (Child) -> Void) throws(LaunchError) {
        let identity: Identity? =
            if let uid = assignment.uid, let gid = assignment.gid { Identity(uid: uid, gid: gid) } else { nil }
        let report = try confine(
            SandboxProfile.profile(for: assignment.role), as: identity, in: try grants.rootDirectory(),
            descriptors: assignment.descriptorLimit, startThreads: { startThreads(self) })
        for shortcoming in report.shortcomings { parent.send(.notice("\(shortcoming)")) }
    }

    /// Says that this child serves, and hears of peers from now on.
    public func ready() {
        isReady = true
        parent.send(.ready)
        let peers = waitingPeers
        waitingPeers = []
        for (grant, held) in peers {
            if let descriptor = held.take() { peerArrived(grant, descriptor) }
        }
    }

    /// Tells Parent why this child cannot go on, and leaves.
    public func leave(because reason: String) -> Never {
        parent.send(.fatal(reason))
        parent.flushNow()
        log.flush()
        exit(1)
    }

    /// A notice for the whole host, said once by Parent.
    public func notice(_ text: String) { parent.send(.notice(text)) }

    /// An edge to the peer of `grant`. When nonsense comes over it, Parent is told and decides who is replaced.
    public func edge<Incoming: EdgeMessage, Outgoing: EdgeMessage>(
        _ grant: PeerGrant, _ descriptor: consuming FileDescriptor,
        handle: @escaping (Incoming, Correlation, consuming FileDescriptor?) -> Void,
        ended: @escaping () -> Void
    ) -> Peer<Incoming, Outgoing> {
        let greeting = EdgeGreeting(role: assignment.role, generation: assignment.generation)
        return Peer(descriptor, greeting: greeting, expecting: grant.role, handle: handle) { [weak self] end in
            if case .violated(let what) = end { self?.violated(grant, what) }
            ended()
        }
    }

    /// Has Parent remember what an administrator has paused or resumed.
    public func paused(_ service: PausableService, _ isPaused: Bool) { parent.send(.paused(service, isPaused)) }

    /// Reports what a peer may not have said. The caller closes the edge.
    public func violated(_ grant: PeerGrant, _ what: String) {
        log.warning("\(name): edge to \(grant.role.name) closed: \(what)")
        parent.send(
            .violated(grant.role, worker: grant.worker, generation: grant.generation, what: what))
    }

    fileprivate func heard(_ message: ParentToChild, _ descriptor: consuming FileDescriptor?) {
        switch message {
        case .assignment, .root, .spool, .begin:
            leave(because: "told to begin twice")
        case .socket(let socket):
            if let descriptor { grants.sockets.append((socket, Held(descriptor))) }
        case .file(let purpose, let name):
            if let descriptor { fileArrived(purpose, name, descriptor) }
        case .peer(let role, let generation, let worker):
            guard let descriptor else { return }
            let grant = PeerGrant(role: role, generation: generation, worker: worker)
            if isReady { peerArrived(grant, descriptor) } else { waitingPeers.append((grant, Held(descriptor))) }
        case .ticketSecrets(let secrets):
            ticketsChanged(secrets)
        case .text(let file, let bytes):
            textChanged(file, bytes)
        case .reload(let generation, let configuration):
            reloaded(generation, configuration)
        case .verbose(let isVerbose):
            log.isVerbose = isVerbose
        case .alive(let number):
            parent.send(.alive(number))
        case .drain(let seconds):
            drained(seconds)
        }
    }

    /// What Parent gave before the beginning.
    public struct Grants {
        public internal(set) var sockets: [(ParentToChild.Socket, Held)] = []
        public internal(set) var files: [(ParentToChild.FilePurpose, String, Held)] = []
        public internal(set) var texts: [ParentToChild.SystemFile: [UInt8]] = [:]
        public internal(set) var ticketSecrets: [[UInt8]] = []
        public internal(set) var spool: Held?
        var root: Held?

        /// The empty directory; for Queue the spool, of which it keeps another descriptor.
        func rootDirectory() throws(LaunchError) -> RootDirectory? {
            if let descriptor = root?.take() { return RootDirectory(descriptor: descriptor) }
            guard let spool else { return nil }
            do {
                return RootDirectory(descriptor: try spool.duplicate())
            } catch {
                throw .step(.root, error)
            }
        }
    }

    /// Gathers what Parent says until it says `begin`.
    private final class Arrival {
        private var channel: Peer<ParentToChild, ChildToParent>?
        private var assignment: Assignment?
        private var logDescriptor: Held?
        private var grants = Grants()
        private var peers: [(PeerGrant, Held)] = []
        private var child: Child?
        private var waiting: UnsafeContinuation<Child, Never>?
        private let role: Role

        init(_ role: Role) { self.role = role }

        func wait(on descriptor: consuming FileDescriptor) async -> Child {
            channel = Peer(
                descriptor, greeting: EdgeGreeting(role: role, generation: 0), expecting: .parent,
                handle: { [self] message, _, descriptor in heard(message, descriptor) },
                // Without Parent there is nothing to serve for.
                ended: { _ in exit(0) })
            return await withUnsafeContinuation { waiting = $0 }
        }

        private func heard(_ message: ParentToChild, _ descriptor: consuming FileDescriptor?) {
            if let child { return child.heard(message, descriptor) }
            switch message {
            case .assignment(let told):
                assignment = told
                logDescriptor = held(descriptor)
            case .root:
                grants.root = held(descriptor)
            case .spool:
                grants.spool = held(descriptor)
            case .socket(let socket):
                if let descriptor { grants.sockets.append((socket, Held(descriptor))) }
            case .peer(let role, let generation, let worker):
                guard let descriptor else { return }
                peers.append((PeerGrant(role: role, generation: generation, worker: worker), Held(descriptor)))
            case .file(let purpose, let name):
                if let descriptor { grants.files.append((purpose, name, Held(descriptor))) }
            case .ticketSecrets(let secrets):
                grants.ticketSecrets = secrets
            case .text(let file, let bytes):
                grants.texts[file] = bytes
            case .alive(let number):
                channel?.send(.alive(number))
            case .verbose, .reload:
                break
            case .drain:
                exit(0)
            case .begin:
                begin()
            }
        }

        private func begin() {
            guard let assignment, let channel, let log = logDescriptor?.take() else { exit(1) }
            let name = assignment.role.name
            let child = Child(
                assignment: assignment,
                log: Log(
                    log, isStream: assignment.logsToStream, ident: "smtpd", name: name, isVerbose: assignment.logsDebug),
                parent: channel)
            child.grants = grants
            child.waitingPeers = peers
            self.child = child
            waiting?.resume(returning: child)
            waiting = nil
        }
    }
}

/// A descriptor in a place where values are copied; given away once.
public final class Held {
    private var descriptor: FileDescriptor?

    public init(_ descriptor: consuming FileDescriptor) { self.descriptor = consume descriptor }

    public func take() -> FileDescriptor? {
        let taken = descriptor.take()
        return taken
    }

    func duplicate() throws(SystemError) -> FileDescriptor {
        guard let number = descriptor?.number else { throw SystemError("dup", EBADF) }
        return try FileDescriptor.duplicate(number)
    }
}

private func held(_ descriptor: consuming FileDescriptor?) -> Held? {
    guard let descriptor else { return nil }
    return Held(descriptor)
}
