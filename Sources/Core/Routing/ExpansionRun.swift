// SPDX-License-Identifier: ISC

import Configuration
import Mail

/// One expansion under way: what is still to be looked at, what has been seen, and the envelopes so far.
struct ExpansionRun<World: ExpansionWorld> {
    typealias Node = ExpansionNode

    let expansion: Expansion
    let request: Expansion.Request
    let world: World

    private var waiting: [Node] = []
    private var seen: Set<ExpansionKey> = []
    private var results: [Envelope] = []
    private var destinations: Set<Destination> = []

    private struct Destination: Hashable {
        let dispatch: Dispatch
        let address: Mailbox
    }

    init(expansion: Expansion, request: Expansion.Request, world: World) {
        self.expansion = expansion
        self.request = request
        self.world = world
    }

    mutating func envelopes() async throws(ExpansionRefusal) -> [Envelope] {
        try add(Node(content: .address(request.recipient), depth: 0, parent: .recipient))
        var next = 0
        while next < waiting.count {
            let node = waiting[next]
            next += 1
            // Rules may need no answer from anybody, and a list has thousands of members: others have their turn, too.
            if next % 64 == 0 { await world.pause() }
            guard node.depth <= Expansion.deepest else { throw .listProblem }
            switch node.content {
            case .address(let mailbox): try await expand(address: mailbox, node)
            case .user(let name): try await expand(user: name, node)
            case .include(let path): try await expand(include: path, node)
            case .command(let text): try submit(foreign: "|" + text, node)
            case .file(let path): try submit(foreign: path, node)
            case .error(let reply): throw isForwardOnly(node) ? .temporaryListProblem : .worded(reply)
            }
        }
        guard !results.isEmpty else { throw .listProblem }
        return results
    }

    mutating func add(items: [ExpansionItem], below node: Node) throws(ExpansionRefusal) {
        for item in items { try add(Self.content(of: item), below: node) }
    }

    mutating func add(_ content: Node.Content, below node: Node) throws(ExpansionRefusal) {
        var child = node
        child.content = content
        child.depth += 1
        try add(child)
    }

    mutating func add(_ node: Node) throws(ExpansionRefusal) {
        var owner: String?
        if case .forward(let user, ordinal: _) = node.parent {
            switch node.content {
            case .command, .file: owner = user.name
            case .address, .user, .include, .error: break
            }
        }
        let key = ExpansionKey(
            content: node.content, address: node.address, owner: owner, sameUser: sameUser(node))
        guard seen.insert(key).inserted else { return }
        guard seen.count <= Expansion.mostNodes else { throw .temporaryListProblem }
        waiting.append(node)
    }

    static func content(of item: ExpansionItem) -> Node.Content {
        switch item {
        case .error(let reply): .error(reply)
        case .include(let path): .include(path)
        case .command(let text): .command(text)
        case .file(let path): .file(path)
        case .mailbox(let mailbox): .address(mailbox)
        case .user(let name): .user(name)
        }
    }

    func isForwardOnly(_ node: Node) -> Bool {
        guard case .local(let local)? = node.action?.kind else { return false }
        return local.method == .forwardOnly
    }

    mutating func submit(
        _ user: UserRecord, _ subaddress: String?, _ node: Node, _ local: LocalAction
    ) throws(ExpansionRefusal) {
        guard let action = node.action else { throw .temporary }
        switch local.method {
        case .forwardOnly: throw .temporaryListProblem
        case .expandOnly: throw .listProblem
        case .maildir, .lmtp, .command: guard user.uid != 0 || local.user != nil else { throw .unfitUser }
        case .mbox: break
        }
        submit(.local(action: action.name, user: user.name, subaddress: subaddress, form: .action), node)
    }

    mutating func submit(foreign item: String, _ node: Node) throws(ExpansionRefusal) {
        guard let action = node.action else { throw .temporary }
        if isForwardOnly(node) { throw .temporaryListProblem }
        if case .forward(let user, let ordinal) = node.parent {
            submit(
                .local(action: action.name, user: user.name, subaddress: nil, form: .forward(line: ordinal)), node)
        } else {
            submit(
                .local(
                    action: action.name, user: expansion.foreignUser, subaddress: nil, form: .alias(item: item)), node)
        }
    }

    mutating func submit(_ dispatch: Dispatch, _ node: Node, isInternal: Bool = true) {
        let address = node.address ?? request.recipient
        guard destinations.insert(Destination(dispatch: dispatch, address: address)).inserted else { return }
        var origin = request.origin
        origin.isInternal = origin.isInternal || isInternal
        results.append(
            Envelope(
                sender: request.sender, recipient: request.recipient, destination: address, dispatch: dispatch,
                report: request.report, origin: origin))
    }
}
