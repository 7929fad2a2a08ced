// SPDX-License-Identifier: ISC

import Bytes
import Channel
import Configuration
import IPC
import Mail
import Routing

/// Says how a recipient would fare and why, by asking the very code that serves mail; nothing is stored.
final class Explainer {
    private static let nameMilliseconds: UInt64 = 10_000

    private let configuration: ServerConfiguration
    private let world: HostWorld
    private let authenticator: Authenticator
    private let serverName: Domain

    init(
        _ configuration: ServerConfiguration, world: HostWorld, authenticator: Authenticator, serverName: Domain
    ) {
        self.configuration = configuration
        self.world = world
        self.authenticator = authenticator
        self.serverName = serverName
    }

    func answer(
        _ recipient: HypotheticalRecipient, by expansion: Expansion, resolver: Peer<FromResolver, ToResolver>?
    ) async -> [ControlAnswer] {
        let listener: ListenStatement
        switch ListenerChoice.choose(for: recipient, among: configuration.listeners) {
        case .found(let statement): listener = statement
        case .none(let reason): return [.failed(reason)]
        }
        let statement = UInt16(truncatingIfNeeded: configuration.listeners.firstIndex(of: listener) ?? 0)
        let user = recipient.user.map { authenticator.known($0, at: statement) }
        let name = await clientName(of: recipient.client, resolver)
        let origin = Origin(
            serverName: listener.hostname.flatMap { Domain($0) } ?? serverName,
            greeting: recipient.greeting ?? Self.greeting(of: recipient.client, name), hostName: name,
            address: recipient.client, tag: listener.tag, user: user)
        let steps = ExplanationSteps(configuration, expansion)
        var rows = [steps.row(of: listener), steps.row(of: origin, isSecure: recipient.isSecure)]
        if let user, let senders = listener.senders {
            // The answer to MAIL; without it no recipient is asked about.
            let answer = await authenticator.permission(of: user, for: recipient.sender, statement)
            rows.append(steps.row(of: senders.table, user, recipient.sender, answer))
            if case .refused(let reply) = answer { return Self.answers(rows + steps.rows(of: .refused(reply))) }
        }
        let explanation = await expansion.explain(
            Expansion.Request(
                sender: recipient.sender, recipient: recipient.recipient, origin: origin,
                isEncrypted: recipient.isSecure), in: world)
        rows += steps.rows(of: explanation.events, omitted: explanation.omitted)
        rows += steps.rows(of: explanation.outcome)
        return Self.answers(rows)
    }

    private static func answers(_ rows: [[ControlField]]) -> [ControlAnswer] {
        rows.map { .record($0) } + [.done(count: UInt64(rows.count))]
    }

    // As a Listener finds it.
    private func clientName(of client: IPAddress?, _ resolver: Peer<FromResolver, ToResolver>?) async -> String {
        guard let client else { return "localhost" }
        guard let resolver,
            case .name(.found(let name, isConfirmed: _))? = try? await resolver.request(
                .name(of: client), timeoutMilliseconds: Self.nameMilliseconds)
        else { return "<unknown>" }
        return name.text
    }

    // What a client that follows the rules would say (RFC 5321 section 4.1.4).
    private static func greeting(of client: IPAddress?, _ name: String) -> String {
        guard let client else { return "localhost" }
        return name == "<unknown>" ? client.literal : name
    }
}

/// The listen statement by which a client as described would come in.
nonisolated enum ListenerChoice: Hashable {
    case found(ListenStatement)
    case none(String)

    static func choose(
        for recipient: HypotheticalRecipient, among listeners: [ListenStatement]
    ) -> ListenerChoice {
        var left = listeners.filter { $0.endpoint.isLocal == (recipient.client == nil) }
        // What is said of a program of this host is meant of those that submit.
        if left.contains(where: { $0.endpoint == .socket }) { left = left.filter { $0.endpoint == .socket } }
        func keep(_ reason: String, _ isFit: (ListenStatement) -> Bool) -> ListenerChoice? {
            left = left.filter(isFit)
            return left.isEmpty ? .none(reason) : nil
        }
        let family = recipient.client?.family
        let refusal =
            keep("no listen statement takes clients of the network") { _ in true }
            ?? keep("no listen statement takes clients of this address family") { listener in
                listener.family == nil || listener.family == family
            }
            ?? keep("no listen statement has the tag \(recipient.tag.map { VisibleText($0).description } ?? "")") {
                recipient.tag == nil || $0.tag == recipient.tag
            }
            ?? keep("no such listen statement offers TLS") { listener in
                !recipient.isSecure || listener.encryption != .none
            }
            ?? keep("no such listen statement asks for a password") { listener in
                recipient.user == nil || listener.authentication != .none
            }
            ?? keep("every such listen statement wants TLS first: try --tls") { listener in
                switch listener.encryption {
                case .none, .offered: true
                case .immediate, .required: recipient.isSecure
                }
            }
            ?? keep("every such listen statement wants a password first: try --auth") { listener in
                switch listener.authentication {
                case .none, .optional: true
                case .required: recipient.user != nil
                }
            }
        if let refusal { return refusal }
        // Without a tag asked for, a statement without one comes first.
        guard let listener = left.first(where: { $0.tag == recipient.tag }) ?? left.first else {
            return .none("no listen statement")
        }
        return .found(listener)
    }
}
