// SPDX-License-Identifier: ISC

/// The duties of the house; a process has one.
public enum Role: UInt8, CaseIterable, Hashable, Sendable, WireValue {
    case parent = 1
    case listener = 2
    case lookup = 3
    case resolver = 4
    case queue = 5
    case relay = 6
    case local = 7
    case keys = 8
    case account = 9
    case mailbox = 10
    case control = 11
    /// A table of the configuration, for which it speaks as any foreign program does.
    case table = 12

    public var name: String {
        switch self {
        case .parent: "parent"
        case .listener: "listener"
        case .lookup: "lookup"
        case .resolver: "resolver"
        case .queue: "queue"
        case .relay: "relay"
        case .local: "local"
        case .keys: "keys"
        case .account: "account"
        case .mailbox: "mailbox"
        case .control: "control"
        case .table: "table"
        }
    }

    public init?(named name: String) {
        guard let role = Role.allCases.first(where: { $0.name == name }) else { return nil }
        self = role
    }

    /// The file name of its program.
    public var executable: String {
        switch self {
        case .parent: "martletd"
        case .listener: "martlet-listener"
        case .lookup: "martlet-lookup"
        case .resolver: "martlet-resolver"
        case .queue: "martlet-queue"
        case .relay, .local: "martlet-delivery"
        case .keys: "martlet-keys"
        case .account: "martlet-account"
        case .mailbox: "martlet-mailbox"
        case .control: "martletctl"
        case .table: "martlet-table"
        }
    }

    /// The system user it runs as; nil for those that run as root, as the user served, as the caller, or as
    /// foreign programs do.
    public var user: String? {
        switch self {
        case .parent, .account, .mailbox, .control, .table: nil
        case .listener: "_martlet"
        case .lookup: "_martletl"
        case .resolver: "_martletr"
        case .queue: "_martletq"
        case .relay: "_martletx"
        case .local: "_martletd"
        case .keys: "_martletk"
        }
    }

    /// Among two peers of an edge on which nonsense was said, the one with the lower rank is replaced.
    public var rank: Int {
        switch self {
        case .parent: 10
        case .queue: 9
        case .lookup: 8
        case .keys: 7
        case .resolver: 6
        case .account: 5
        case .relay, .local: 4
        case .listener: 3
        case .mailbox: 2
        case .control: 1
        case .table: 0
        }
    }
}

/// An edge of the house: two duties that may speak, and nothing else may.
public struct Edge: Hashable, Sendable {
    public let left: Role
    public let right: Role

    public init(_ left: Role, _ right: Role) {
        self.left = left
        self.right = right
    }
}

/// Every pair that Parent joins. A test compares it with the channels that running daemons have.
public enum Topology {
    public static let edges: [Edge] = [
        Edge(.listener, .lookup),
        Edge(.listener, .queue),
        Edge(.listener, .resolver),
        Edge(.listener, .keys),
        Edge(.lookup, .queue),
        Edge(.lookup, .resolver),
        Edge(.queue, .relay),
        Edge(.queue, .local),
        Edge(.relay, .resolver),
        Edge(.relay, .lookup),
        Edge(.relay, .keys),
        Edge(.lookup, .parent),
        Edge(.local, .parent),
    ]

    /// The children that Parent starts and keeps, in the order of starting.
    public static let daemons: [Role] = [.keys, .resolver, .queue, .lookup, .relay, .local, .listener]

    public static func peers(of role: Role) -> [Role] {
        edges.compactMap { $0.left == role ? $0.right : $0.right == role ? $0.left : nil }
    }
}
