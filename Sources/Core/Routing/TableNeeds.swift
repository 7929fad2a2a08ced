// SPDX-License-Identifier: ISC

public import Configuration

/// What the statements of a configuration ask of its tables.
public struct TableNeeds: Hashable, Sendable {
    /// One use: the service that is asked for. Where there are several, each of them alone is enough.
    public struct Need: Hashable, Sendable {
        public let purpose: TablePurpose
        public let services: Set<TableService>

        public init(_ purpose: TablePurpose, _ services: Set<TableService>) {
            self.purpose = purpose
            self.services = services
        }
    }

    private var needs: [String: Set<Need>] = [:]

    public init(of configuration: ServerConfiguration) {
        for rule in configuration.rules { add(rule) }
        for action in configuration.actions { add(action) }
        for listener in configuration.listeners { add(listener) }
    }

    public func needs(of table: String) -> Set<Need> { needs[table] ?? [] }

    private mutating func add(_ table: TableReference?, _ purpose: TablePurpose, _ services: Set<TableService>) {
        if let table { needs[table.name, default: []].insert(Need(purpose, services)) }
    }

    private mutating func add(_ pattern: TablePattern?, _ purpose: TablePurpose, _ service: Set<TableService>) {
        guard let pattern else { return }
        switch pattern.syntax {
        case .ordinary: add(pattern.table, purpose, service)
        case .regularExpression: add(pattern.table, purpose, [.regularExpression])
        }
    }

    private mutating func add(_ rule: MatchRule) {
        add(rule.tag?.test, .tag, [.text])
        add(rule.helo?.test, .helo, [.domain])
        add(rule.sender?.test, .sender, [.mailbox])
        add(rule.recipient?.test, .recipient, [.mailbox])
        switch rule.origin.test {
        case .source(let pattern): add(pattern, .from, [.networkAddress])
        case .reverseName(let pattern): add(pattern, .from, [.domain])
        case .socket, .local, .any: break
        }
        switch rule.destination.test {
        case .domain(let pattern): add(pattern, .destination, [.domain])
        case .local, .any: break
        }
        switch rule.authentication?.test {
        // A name with an `@` is asked for as an address.
        case .user(let pattern)?: add(pattern, .user, [.text, .mailbox])
        case .anyUser?, nil: break
        }
    }

    private mutating func add(_ action: ActionDefinition) {
        switch action.kind {
        case .local(let local):
            switch local.expansion {
            case .none: break
            case .aliases(let table): add(table, .alias, [.alias])
            case .virtual(let table): add(table, .virtual, [.alias])
            }
            add(local.userbase, .userbase, [.user])
        case .relay(let relay):
            switch relay.destination {
            case .mailExchangers, .backup: break
            case .host(let table): add(table, .host, [.relayHost])
            case .domain(let table): add(table, .domain, [.relayHost])
            }
            add(relay.heloSource, .heloSource, [.nameOfAddress])
            add(relay.source, .source, [.source])
            add(relay.credentials, .credentials, [.credentials])
        }
    }

    private mutating func add(_ listener: ListenStatement) {
        switch listener.authentication {
        case .none: break
        case .optional(let table), .required(let table): add(table, .credentials, [.authentication, .credentials])
        }
        add(listener.senders?.table, .senders, [.senders])
        add(listener.hostnames, .hostnames, [.nameOfAddress])
    }
}
