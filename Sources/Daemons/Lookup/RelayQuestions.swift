// SPDX-License-Identifier: ISC

import Authentication
import Bytes
import Channel
import Configuration
import IPC
import Mail
import Posix
import Routing

/// What tables, and the key of SRS, say about mail that goes out.
final class RelayQuestions {
    private let actions: [String: RelayAction]
    private let tables: LookupTables
    private let rewriting: SRS?
    private let log: Log

    init(_ configuration: ServerConfiguration, tables: LookupTables, log: Log) {
        var actions: [String: RelayAction] = [:]
        for action in configuration.actions {
            if case .relay(let relay) = action.kind { actions[action.name] = relay }
        }
        self.actions = actions
        self.tables = tables
        rewriting = SRS(configuration.srs)
        self.log = log
    }

    func answer(_ question: RelayToLookup) async -> LookupToRelay {
        do throws(TableFailure) {
            switch question {
            case .heloName(let action, let source): return .heloName(try await heloName(action, source))
            case .source(let action): return .source(try await source(action))
            case .host(let action): return .host(try await host(action))
            case .domainHost(let action, let domain): return .host(try await host(action, domain: domain))
            case .credentials(let action, let label): return .credentials(try await credentials(action, label))
            case .forwarded(let action, let sender, let recipient):
                return .forwarded(try forwarded(action, sender, recipient))
            }
        } catch {
            return .temporaryFailure
        }
    }

    // The table decides alone where there is one: a name that does not fit the address is worse than none.
    private func heloName(_ action: String, _ source: IPAddress) async throws(TableFailure) -> Domain? {
        let relay = try relay(action)
        let name: String
        if let table = relay.heloSource?.name {
            guard let value = try await tables.value(of: source.hostText, in: table, for: .nameOfAddress) else {
                log.warning("table \"\(table)\": no name for \(source)")
                throw TableFailure()
            }
            name = value
        } else if let helo = relay.helo {
            name = helo
        } else {
            return nil
        }
        guard let domain = Domain(name) else {
            log.warning("action \"\(action)\": no name to greet with: \(VisibleText(name))")
            throw TableFailure()
        }
        return domain
    }

    private func source(_ action: String) async throws(TableFailure) -> IPAddress? {
        guard let table = try relay(action).source?.name else { return nil }
        let key = try await tables.next(in: table, for: .source)
        guard let address = key.flatMap({ IPAddress(hostText: $0) }) else {
            log.warning("table \"\(table)\": no address to connect from\(key.map { ": \(VisibleText($0))" } ?? "")")
            throw TableFailure()
        }
        return address
    }

    private func host(_ action: String) async throws(TableFailure) -> String? {
        switch try relay(action).destination {
        case .host(let table): return try await tables.next(in: table.name, for: .relayHost)
        case .mailExchangers, .backup, .domain: throw TableFailure()
        }
    }

    private func host(_ action: String, domain: String) async throws(TableFailure) -> String? {
        switch try relay(action).destination {
        case .domain(let table): return try await tables.value(of: domain, in: table.name, for: .relayHost)
        case .mailExchangers, .backup, .host: throw TableFailure()
        }
    }

    private func credentials(_ action: String, _ label: String) async throws(TableFailure) -> RelayCredentials? {
        guard let table = try relay(action).credentials?.name else { return nil }
        guard let value = try await tables.value(of: label, in: table, for: .credentials) else { return nil }
        guard let credentials = RelayCredentials(value, label: label) else {
            // The value itself is a secret.
            log.warning("table \"\(table)\": no user:password for \(VisibleText(label))")
            throw TableFailure()
        }
        return credentials
    }

    // A sender too long to be rewritten is kept: that the next hop may refuse it is better than to do so here.
    private func forwarded(
        _ action: String, _ sender: Mailbox, _ recipient: Domain
    ) throws(TableFailure) -> Mailbox? {
        guard try relay(action).senderRewriting == .srs else { return nil }
        return rewriting?.rewritten(sender, forRecipientAt: recipient, on: SystemClock.now())
    }

    // An action of a configuration that is newer or older than ours: the relay asks again.
    private func relay(_ name: String) throws(TableFailure) -> RelayAction {
        guard let relay = actions[name] else { throw TableFailure() }
        return relay
    }
}
