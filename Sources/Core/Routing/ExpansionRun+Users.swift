// SPDX-License-Identifier: ISC

import Bytes
import Configuration
import Mail

extension ExpansionRun {
    mutating func expand(user name: String, _ node: Node) async throws(ExpansionRefusal) {
        guard let action = node.action, case .local(let local) = action.kind else { throw .temporary }
        let base = expansion.delimiters.base(of: name)
        if sameUser(node) == .not, let value = try await aliasValue(of: name, base, local.expansion) {
            var parent = node
            parent.parent = .user(name)
            return try add(items: try items(in: value), below: parent)
        }
        let user = try await record(of: base, local.userbase)
        let subaddress = expansion.delimiters.split(name)?.tag
        guard !expansion.daemonUsers.contains(user.name) else { throw .unfitUser }
        if case .forward(let owner, ordinal: _) = node.parent, owner.name == user.name {
            return try submit(user, subaddress, node, local)
        }
        if let other = local.user, other != user.name { return try submit(user, subaddress, node, local) }
        switch await world.forward(of: user, in: local.userbase) {
        case .absent:
            try submit(user, subaddress, node, local)
        case .insecure:
            throw user.uid == 0 ? .unfitUser : .listProblem
        case .temporary:
            throw .temporaryListProblem
        case .bytes(let bytes):
            let entries = try forwardEntries(bytes)
            guard !entries.isEmpty else { return try submit(user, subaddress, node, local) }
            for entry in entries { try add(entry, of: user, below: node) }
        }
    }

    func sameUser(_ node: Node) -> ExpansionKey.SameUser {
        guard case .user(let name) = node.content else { return .not }
        switch node.parent {
        case .user(let above): return name == above ? .inTable : .not
        case .forward(let owner, ordinal: _):
            return expansion.delimiters.base(of: name) == owner.name ? .inForward : .not
        case .recipient, .address, .include: return .not
        }
    }

    private func aliasValue(
        of name: String, _ base: String, _ tables: LocalAction.Expansion
    ) async throws(ExpansionRefusal) -> String? {
        let names = name == base ? [base] : [name, base]
        switch tables {
        case .none: return nil
        case .aliases(let table): return try await firstValue(of: names, in: table.name)
        case .virtual(let table): return try await firstValue(of: names.map { $0 + "@" } + names, in: table.name)
        }
    }

    private func record(of name: String, _ userbase: TableReference) async throws(ExpansionRefusal) -> UserRecord {
        // No such name can be a user's, and no lookup needs to learn what it would do to a path.
        guard !name.utf8.contains(where: { $0 == UInt8(ascii: "/") || !$0.isPrintable }) else { throw .noSuchRecipient }
        switch userbase {
        case .builtIn:
            switch await world.user(named: name) {
            case .found(let user): return user
            case .absent: throw .noSuchRecipient
            case .failed: throw .temporary
            }
        case .named(let table):
            let value: String?
            do throws(TableFailure) {
                value = try await world.value(of: name, in: table, for: .user)
            } catch {
                throw .temporary
            }
            guard let value else { throw .noSuchRecipient }
            guard let user = UserRecord(name: name, tableValue: value) else { throw .temporary }
            return user
        }
    }

    private func forwardEntries(_ bytes: [UInt8]) throws(ExpansionRefusal) -> [ForwardText.Entry] {
        guard bytes.count < ForwardText.longestForward else { throw .listProblem }
        do throws(ForwardText.SyntaxError) {
            return try ForwardText(bytes).entries
        } catch {
            throw .temporaryListProblem
        }
    }

    private mutating func add(
        _ entry: ForwardText.Entry, of user: UserRecord, below node: Node
    ) throws(ExpansionRefusal) {
        let content = Self.content(of: entry.item)
        switch content {
        case .include:
            // A user's file must not make this host read another.
            return
        case .command, .file:
            // Root's own file could make anybody's mail a command of root.
            if user.uid == 0 { throw .temporaryListProblem }
        case .address, .user, .error:
            break
        }
        var child = node
        child.content = content
        child.depth += 1
        child.parent = .forward(user, ordinal: entry.ordinal)
        try add(child)
    }

    mutating func expand(include path: String, _ node: Node) async throws(ExpansionRefusal) {
        let entries: [ForwardText.Entry]
        switch await world.include(path) {
        case .absent: return
        case .temporary: throw .temporary
        case .bytes(let bytes):
            do throws(ForwardText.SyntaxError) {
                entries = try ForwardText(bytes, atMost: ForwardText.mostIncludedItems).entries
            } catch {
                throw .temporaryListProblem
            }
        }
        var parent = node
        parent.parent = .include
        for entry in entries {
            if case .include = entry.item { continue }
            try add(Self.content(of: entry.item), below: parent)
        }
    }
}
