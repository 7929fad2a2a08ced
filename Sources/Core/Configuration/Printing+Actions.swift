// SPDX-License-Identifier: ISC

extension Printer {
    mutating func printAction(_ action: ActionDefinition, _ kinds: StatementKinds) {
        begin("action", quoted(action.name))
        switch action.kind {
        case .local(let local):
            if kinds.contains(.localActions) {
                addLocal(local)
            } else if kinds.contains(.redactedLocalActions) {
                addMethod(local.method, isRedacted: true)
                add("user", local.user)
            } else if kinds.contains(.actionLifetimes) {
                add("mbox")
            } else {
                return
            }
        case .relay(let relay):
            if kinds.contains(.relayActions) {
                addRelay(relay)
            } else if kinds.contains(.actionLifetimes) {
                add("relay")
            } else {
                return
            }
        }
        if let lifetime = action.lifetime {
            add("ttl")
            add(delay(lifetime))
        }
        endLine()
    }

    private mutating func addLocal(_ local: LocalAction) {
        addMethod(local.method, isRedacted: false)
        add("user", local.user)
        switch local.expansion {
        case .none: break
        case .aliases(let table): add("alias", table)
        case .virtual(let table): add("virtual", table)
        }
        if local.userbase != .builtIn(.users) { add("userbase", local.userbase) }
        add("wrapper", local.wrapper)
    }

    private mutating func addMethod(_ method: LocalAction.Method, isRedacted: Bool) {
        switch method {
        case .mbox: add("mbox")
        case .maildir(let path, let junk):
            add("maildir")
            if let path { add(quoted(path)) }
            if junk == .used { add("junk") }
        case .lmtp(let destination, let recipient):
            add("lmtp", destination)
            if recipient == .address { add("rcpt-to") }
        case .command(let command): add("mda", isRedacted ? "" : command)
        case .forwardOnly: add("forward-only")
        case .expandOnly: add("expand-only")
        }
    }

    private mutating func addRelay(_ relay: RelayAction) {
        add("relay")
        switch relay.destination {
        case .mailExchangers: break
        case .backup(let exchanger):
            add("backup")
            add("mx", exchanger)
        case .host(let table): add("host", table)
        case .domain(let table): add("domain", table)
        }
        switch relay.encryption {
        case .opportunistic: break
        case .required: add("tls")
        case .requiredUnverified: add("tls no-verify")
        }
        if let table = relay.credentials {
            add("auth")
            add(secretReference(table))
        }
        add("helo", relay.helo)
        add("helo-src", relay.heloSource)
        add("src", relay.source)
        add("mail-from", relay.mailFrom)
        add("pki", relay.pki)
        add("ca", relay.ca)
        add("ciphers", relay.ciphers)
        add("protocols", relay.protocols)
        if relay.senderRewriting == .srs { add("srs") }
        add("filter", relay.filter)
    }

    mutating func printRule(_ rule: MatchRule) {
        begin("match")
        if let tag = rule.tag {
            addSense(tag.sense)
            addPattern("tag", tag.test)
        }
        addOrigin(rule.origin)
        addDestination(rule.destination)
        if let helo = rule.helo {
            addSense(helo.sense)
            addPattern("helo", helo.test)
        }
        if let authentication = rule.authentication {
            addSense(authentication.sense)
            switch authentication.test {
            case .anyUser: add("auth")
            case .user(let pattern): addPattern("auth", pattern)
            }
        }
        if let encryption = rule.encryption {
            addSense(encryption.sense)
            add("tls")
        }
        if let sender = rule.sender {
            addSense(sender.sense)
            addPattern("mail-from", sender.test)
        }
        if let recipient = rule.recipient {
            addSense(recipient.sense)
            addPattern("rcpt-to", recipient.test)
        }
        switch rule.decision {
        case .reject: add("reject")
        case .action(let name): add("action", name)
        }
        endLine()
    }

    private mutating func addOrigin(_ origin: MatchRule.Criterion<MatchRule.Origin>) {
        addSense(origin.sense)
        switch origin.test {
        case .socket: add("from socket")
        case .local: add("from local")
        case .any: add("from any")
        case .source(let pattern): addPattern("from src", pattern)
        case .reverseName(nil): add("from rdns")
        case .reverseName(let pattern?): addPattern("from rdns", pattern)
        }
    }

    private mutating func addDestination(_ destination: MatchRule.Criterion<MatchRule.Destination>) {
        addSense(destination.sense)
        switch destination.test {
        case .local: add("for local")
        case .any: add("for any")
        case .domain(let pattern): addPattern("for domain", pattern)
        }
    }

    mutating func addPattern(_ name: String, _ pattern: TablePattern) {
        add(name)
        if pattern.syntax == .regularExpression { add("regex") }
        add(reference(pattern.table))
    }
}
