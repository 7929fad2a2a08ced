// SPDX-License-Identifier: ISC

import Bytes
import Configuration
import Mail

extension ExpansionRun {
    mutating func expand(address: Mailbox, _ node: Node) async throws(ExpansionRefusal) {
        var address = address
        var origin = request.origin
        if node.parent != .recipient { origin.isInternal = true }
        if request.sender == .null, Self.mayBeRewritten(address),
            let original = await world.original(ofRewritten: address)
        {
            address = original
            origin.isInternal = true
        }
        let subject = MatchSubject(
            origin: origin, isEncrypted: request.isEncrypted, sender: request.sender, destination: address)
        world.note(.address(address, isInternal: origin.isInternal))
        let decision = await expansion.ruleset.decide(subject, tables: world)
        world.note(.decision(decision))
        let name: String
        switch decision {
        case .action(let action, rule: _): name = action
        case .reject, .noMatch: throw .noSuchRecipient
        case .temporaryFailure: throw .temporary
        }
        guard let action = expansion.actions[name] else { throw .temporary }
        let child = Node(content: node.content, depth: node.depth, parent: .address, address: address, action: action)
        switch action.kind {
        case .relay:
            submit(.relay(action: name), child, isInternal: origin.isInternal)
        case .local(let local):
            if case .virtual(let table) = local.expansion {
                guard let value = try await virtualValue(of: address, in: table.name) else { throw .listProblem }
                try add(items: try items(in: value), below: child)
            } else {
                try add(.user(address.localPart.text.asciiLowercased), below: child)
            }
        }
    }

    private static func mayBeRewritten(_ address: Mailbox) -> Bool {
        let prefix = String(address.localPart.text.prefix(5)).asciiLowercased
        return prefix == "srs0=" || prefix == "srs1="
    }

    private func virtualValue(of address: Mailbox, in table: String) async throws(ExpansionRefusal) -> String? {
        let user = address.localPart.text.asciiLowercased
        let base = expansion.delimiters.base(of: user)
        // A table may have a domain beyond ASCII in either form.
        let canonical = address.domain.canonical
        let domains = address.domain.isASCII ? [canonical] : [canonical, address.domain.text.asciiLowercased]
        var keys: [String] = []
        if base != user { keys += domains.map { "\(user)@\($0)" } }
        keys += domains.map { "\(base)@\($0)" }
        if base != user { keys.append(user) }
        keys.append(base)
        keys += domains.map { "@\($0)" } + ["@"]
        return try await firstValue(of: keys, in: table)
    }

    func firstValue(of keys: [String], in table: String) async throws(ExpansionRefusal) -> String? {
        for key in keys {
            guard key.utf8.count <= TableContent.longestKey else { throw .temporary }
            do throws(TableFailure) {
                if let value = try await world.value(of: key, in: table, for: .alias) { return value }
            } catch {
                throw .temporary
            }
        }
        return nil
    }

    // A table whose value cannot be read is a mistake of this host: the mail waits until it is mended.
    func items(in value: String) throws(ExpansionRefusal) -> [ExpansionItem] {
        do throws(ExpansionItem.SyntaxError) {
            return try ExpansionItem.items(in: value)
        } catch {
            throw .temporary
        }
    }
}
