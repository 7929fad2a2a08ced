// SPDX-License-Identifier: ISC

public import Configuration
public import Mail

/// Turns the recipient of a RCPT into envelopes: rules, aliases, virtual tables, ~/.forward, included files.
///
/// A recipient is a tree of nodes (addresses, names of users, commands, files, included files, errors), worked off level by
/// level. It is accepted whole or refused whole. Loops end because a node that was seen before under the same address
/// is not looked at again; chains end at ``deepest``.
public struct Expansion: Sendable {
    /// A recipient and what is known of the transaction it is part of.
    public struct Request: Hashable, Sendable {
        public var sender: ReversePath
        public var recipient: Mailbox
        public var origin: Origin
        /// Whether the session was under TLS when the transaction began.
        public var isEncrypted: Bool
        public var report: ReportRequest

        public init(
            sender: ReversePath, recipient: Mailbox, origin: Origin, isEncrypted: Bool,
            report: ReportRequest = ReportRequest()
        ) {
            self.sender = sender
            self.recipient = recipient
            self.origin = origin
            self.isEncrypted = isEncrypted
            self.report = report
        }
    }

    public enum Outcome: Hashable, Sendable {
        /// At least one, no two of the same destination.
        case accepted([Envelope])
        case refused(Reply)
    }

    // EXPAND_DEPTH of the reference.
    public static let deepest = 10
    public static let mostNodes = 100_000

    private(set) var ruleset: Ruleset
    let actions: [String: ActionDefinition]
    let delimiters: SubaddressDelimiters
    let daemonUsers: Set<String>
    let foreignUser: String

    /// No mail addressed to one of `daemonUsers` is delivered. Commands and files of alias tables are delivered as
    /// `foreignUser`, who gets no mail of his own either.
    public init(
        ruleset: Ruleset, actions: [ActionDefinition], delimiters: SubaddressDelimiters, daemonUsers: Set<String>,
        foreignUser: String = "_martletu"
    ) {
        self.ruleset = ruleset
        self.actions = Dictionary(actions.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        self.delimiters = delimiters
        self.daemonUsers = daemonUsers.union([foreignUser])
        self.foreignUser = foreignUser
    }

    /// Decides by the content of `tables` from now on: all tables in memory, of which some was read again.
    public mutating func use(_ tables: [String: TableContent]) { ruleset = ruleset.with(tables) }

    /// The criterion for which a rule that was not even tried cannot hold.
    public func criterion(ofLeftOut rule: Int) -> RuleCriterion? { ruleset.criterion(ofLeftOut: rule) }

    public func expand(_ request: Request, in world: some ExpansionWorld) async -> Outcome {
        var run = ExpansionRun(expansion: self, request: request, world: world)
        do throws(ExpansionRefusal) {
            return .accepted(try await run.envelopes())
        } catch {
            return .refused(error.reply(for: request.recipient))
        }
    }
}

/// Why a recipient is refused, before it is put into words.
enum ExpansionRefusal: Error, Hashable {
    case noSuchRecipient
    case temporary
    case listProblem
    case temporaryListProblem
    /// The user is one that no mail is delivered to.
    case unfitUser
    case worded(Reply)

    func reply(for recipient: Mailbox) -> Reply {
        switch self {
        case .noSuchRecipient:
            Reply(550, nil, "Invalid recipient: <\(recipient)>")
        case .temporary:
            Reply(451, EnhancedStatus(4, 3, 0), "Temporary failure: <\(recipient)>")
        case .listProblem:
            Reply(524, EnhancedStatus(5, 2, 4), "Mailing list expansion problem: <\(recipient)>")
        case .temporaryListProblem:
            Reply(424, EnhancedStatus(4, 2, 4), "Mailing list expansion problem: <\(recipient)>")
        case .unfitUser:
            Reply(
                550, EnhancedStatus(5, 2, 1),
                "No mail is delivered to this system account; alias it to a person: <\(recipient)>")
        case .worded(let reply):
            reply
        }
    }
}

/// One thing that a recipient expands to.
struct ExpansionNode {
    enum Content: Hashable {
        case address(Mailbox)
        /// In lower case, tag included.
        case user(String)
        case command(String)
        case file(String)
        case include(String)
        case error(Reply)
    }

    /// What the node stands in.
    enum Parent: Hashable {
        case recipient
        case address
        /// Found under the name of a user in an alias or virtual table.
        case user(String)
        /// An item of the ~/.forward of a user.
        case forward(UserRecord, ordinal: UInt16)
        case include
    }

    var content: Content
    var depth: Int
    var parent: Parent
    /// The nearest address above, which is the destination of what comes of this node.
    var address: Mailbox?
    /// What that address' rule decided.
    var action: ActionDefinition?
}

/// Two nodes with the same key would expand to the same.
struct ExpansionKey: Hashable {
    let content: ExpansionNode.Content
    let address: Mailbox?
    /// For a command or a file, whose ~/.forward it stands in.
    let owner: String?
    let sameUser: SameUser

    /// A user who names himself: in a table that is the user, whose ~/.forward is read then; in the ~/.forward it is the
    /// mailbox.
    enum SameUser: Hashable {
        case not
        case inTable
        case inForward
    }
}
