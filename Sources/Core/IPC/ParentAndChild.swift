// SPDX-License-Identifier: ISC

/// What every child is told when it starts; its first frame after the greeting.
public struct Assignment: Hashable, Sendable {
    public var role: Role
    /// The number among several workers of one role.
    public var worker: UInt16
    public var generation: UInt32
    /// The configuration printed for this role, in its own language.
    public var configuration: String
    public var serverName: String
    /// Addresses of this host: what `local` and `localnames` mean, and where a relay must not connect.
    public var localAddresses: [String]
    public var logsDebug: Bool
    /// The log descriptor is a stream that a person reads, not the system's log socket.
    public var logsToStream: Bool
    /// Numbers to become; nil where the caller's own are kept.
    public var uid: UInt32?
    public var gid: UInt32?
    /// The most descriptors it may have.
    public var descriptorLimit: UInt64
    /// What is paused from the beginning, until an administrator resumes it.
    public var paused: [PausableService]

    public init(
        role: Role, worker: UInt16, generation: UInt32, configuration: String, serverName: String,
        localAddresses: [String], logsDebug: Bool, logsToStream: Bool, uid: UInt32?, gid: UInt32?,
        descriptorLimit: UInt64, paused: [PausableService]
    ) {
        self.role = role
        self.worker = worker
        self.generation = generation
        self.configuration = configuration
        self.serverName = serverName
        self.localAddresses = localAddresses
        self.logsDebug = logsDebug
        self.logsToStream = logsToStream
        self.uid = uid
        self.gid = gid
        self.descriptorLimit = descriptorLimit
        self.paused = paused
    }
}

/// Parent - each: what a child is told.
public enum ParentToChild: Hashable, Sendable {
    /// With the log's descriptor.
    case assignment(Assignment)
    /// With the descriptor of the directory that becomes its root; only when privileges are separated.
    case root
    /// With the spool's directory; only to Queue.
    case spool
    /// With a listening socket: of the listen statement of that number, of the submission socket, or for martletctl.
    case socket(Socket)
    /// With one end of an edge.
    case peer(Role, generation: UInt32, worker: UInt16)
    /// With a file opened for reading, named as the configuration names it.
    case file(FilePurpose, name: String)
    /// The hosts or resolver file of the system, now or changed.
    case text(SystemFile, [UInt8])
    /// Secrets from which every Listener makes the keys of its session tickets, the newest first.
    case ticketSecrets([[UInt8]])
    /// All that it needs to begin has been said.
    case begin
    case reload(generation: UInt32, configuration: String)
    case verbose(Bool)
    case alive(UInt64)
    /// Finish what is under way, at most for so many seconds, and leave.
    case drain(seconds: UInt32)

    public enum Socket: Hashable, Sendable {
        case listen(statement: UInt16)
        case submission
        case control
    }

    public enum FilePurpose: UInt8, Hashable, Sendable, WireValue {
        case table = 1
        /// The private key of a pki name, for the server side of TLS.
        case serverKey = 2
        case certificate = 3
        /// The private key of a pki name, for the certificate that is shown to other servers.
        case clientKey = 4
        /// Those whom a ca name stands for; those of the system under the name `systemAuthorities`.
        case authorities = 5
        /// Not a file but the stream to the program behind a table.
        case tableProgram = 6
    }

    /// No ca statement can have this name.
    public static let systemAuthorities = ""

    public enum SystemFile: UInt8, Hashable, Sendable, WireValue {
        case hosts = 1
        case resolvers = 2
    }
}

/// Each - Parent: what a child tells.
public enum ChildToParent: Hashable, Sendable {
    case ready
    case alive(UInt64)
    /// Why it cannot start or go on; it leaves after this.
    case fatal(String)
    /// Nonsense came over the edge to that role; it was closed here.
    case violated(Role, worker: UInt16, generation: UInt32, what: String)
    /// A warning that the whole host should hear once.
    case notice(String)
    /// An administrator has paused or resumed it: what takes the place of the child is to begin so, too.
    case paused(PausableService, Bool)
}

extension ParentToChild: EdgeMessage {
    private enum Tag: UInt8 {
        case assignment = 1
        case root = 2
        case spool = 3
        case socket = 4
        case peer = 5
        case file = 6
        case text = 7
        case begin = 8
        case reload = 9
        case verbose = 10
        case alive = 11
        case drain = 12
        case ticketSecrets = 13
    }

    private var kind: Tag {
        switch self {
        case .assignment: .assignment
        case .root: .root
        case .spool: .spool
        case .socket: .socket
        case .peer: .peer
        case .file: .file
        case .text: .text
        case .begin: .begin
        case .reload: .reload
        case .verbose: .verbose
        case .alive: .alive
        case .drain: .drain
        case .ticketSecrets: .ticketSecrets
        }
    }

    public var tag: UInt8 { kind.rawValue }

    public var carriesDescriptor: Bool {
        switch self {
        case .assignment, .root, .spool, .socket, .peer, .file: true
        case .text, .begin, .reload, .verbose, .alive, .drain, .ticketSecrets: false
        }
    }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .assignment(let assignment):
            assignment.encode(to: &output)
        case .root, .spool, .begin:
            break
        case .socket(let socket):
            socket.encode(to: &output)
        case .peer(let role, let generation, let worker):
            role.encode(to: &output)
            generation.encode(to: &output)
            worker.encode(to: &output)
        case .file(let purpose, let name):
            purpose.encode(to: &output)
            name.encode(to: &output)
        case .text(let file, let bytes):
            file.encode(to: &output)
            bytes.encode(to: &output)
        case .reload(let generation, let configuration):
            generation.encode(to: &output)
            configuration.encode(to: &output)
        case .verbose(let isVerbose):
            isVerbose.encode(to: &output)
        case .alive(let number):
            number.encode(to: &output)
        case .drain(let seconds):
            seconds.encode(to: &output)
        case .ticketSecrets(let secrets):
            UInt32(secrets.count).encode(to: &output)
            for secret in secrets { secret.encode(to: &output) }
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .assignment: self = .assignment(try reader.value())
        case .root: self = .root
        case .spool: self = .spool
        case .socket: self = .socket(try reader.value())
        case .peer: self = .peer(try reader.value(), generation: try reader.value(), worker: try reader.value())
        case .file: self = .file(try reader.value(), name: try reader.value())
        case .text: self = .text(try reader.value(), try reader.value())
        case .begin: self = .begin
        case .reload: self = .reload(generation: try reader.value(), configuration: try reader.value())
        case .verbose: self = .verbose(try reader.value())
        case .alive: self = .alive(try reader.value())
        case .drain: self = .drain(seconds: try reader.value())
        case .ticketSecrets:
            // Each has its length in front.
            let count = try reader.count(ofAtLeast: 4)
            var secrets: [[UInt8]] = []
            for _ in 0..<count { secrets.append(try reader.value()) }
            self = .ticketSecrets(secrets)
        }
    }
}

extension ChildToParent: EdgeMessage {
    private enum Tag: UInt8 {
        case ready = 1
        case alive = 2
        case fatal = 3
        case violated = 4
        case notice = 5
        case paused = 6
    }

    public var tag: UInt8 {
        switch self {
        case .ready: Tag.ready.rawValue
        case .alive: Tag.alive.rawValue
        case .fatal: Tag.fatal.rawValue
        case .violated: Tag.violated.rawValue
        case .notice: Tag.notice.rawValue
        case .paused: Tag.paused.rawValue
        }
    }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .ready:
            break
        case .alive(let number):
            number.encode(to: &output)
        case .fatal(let reason), .notice(let reason):
            reason.encode(to: &output)
        case .paused(let service, let isPaused):
            service.encode(to: &output)
            isPaused.encode(to: &output)
        case .violated(let role, let worker, let generation, let what):
            role.encode(to: &output)
            worker.encode(to: &output)
            generation.encode(to: &output)
            what.encode(to: &output)
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .ready: self = .ready
        case .alive: self = .alive(try reader.value())
        case .fatal: self = .fatal(try reader.value())
        case .violated:
            self = .violated(
                try reader.value(), worker: try reader.value(), generation: try reader.value(),
                what: try reader.value())
        case .notice: self = .notice(try reader.value())
        case .paused: self = .paused(try reader.value(), try reader.value())
        }
    }
}

extension Assignment: WireValue {
    public func encode(to output: inout [UInt8]) {
        role.encode(to: &output)
        worker.encode(to: &output)
        generation.encode(to: &output)
        configuration.encode(to: &output)
        serverName.encode(to: &output)
        localAddresses.encode(to: &output)
        logsDebug.encode(to: &output)
        logsToStream.encode(to: &output)
        uid.encode(to: &output)
        gid.encode(to: &output)
        descriptorLimit.encode(to: &output)
        paused.encode(to: &output)
    }

    public init(from reader: inout WireReader) throws(WireError) {
        self.init(
            role: try reader.value(), worker: try reader.value(), generation: try reader.value(),
            configuration: try reader.value(), serverName: try reader.value(), localAddresses: try reader.value(),
            logsDebug: try reader.value(), logsToStream: try reader.value(), uid: try reader.value(),
            gid: try reader.value(), descriptorLimit: try reader.value(), paused: try reader.value())
    }
}

extension ParentToChild.Socket: WireValue {
    public func encode(to output: inout [UInt8]) {
        switch self {
        case .listen(let statement):
            UInt8(1).encode(to: &output)
            statement.encode(to: &output)
        case .submission:
            UInt8(2).encode(to: &output)
        case .control:
            UInt8(3).encode(to: &output)
        }
    }

    public init(from reader: inout WireReader) throws(WireError) {
        switch try reader.value(UInt8.self) {
        case 1: self = .listen(statement: try reader.value())
        case 2: self = .submission
        case 3: self = .control
        default: throw .valueOutOfRange
        }
    }
}
