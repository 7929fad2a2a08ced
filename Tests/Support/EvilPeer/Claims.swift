// SPDX-License-Identifier: ISC

import Channel
import Glibc
import IPC
import Mail
import Reactor

/// What is well said and not allowed: a Listener and the processes of Delivery.
extension EvilProcess {
    // MARK: Listener

    func expansion(
        of user: String, message: MessageID = MessageID(7), statement: UInt16? = 0, isAuthenticated: Bool = false,
        isInternal: Bool = false, address: String? = "192.0.2.1"
    ) -> ListenerToLookup {
        let serverName = Domain(child.assignment.serverName) ?? Self.exampleDomain
        return .expand(
            ExpansionRequest(
                message: message, number: 0, sender: .null, recipient: Self.mailbox(user), report: ReportRequest(),
                statement: statement,
                origin: Origin(
                    serverName: serverName, greeting: "evil", hostName: "<unknown>",
                    address: address.flatMap { IPAddress($0) }, isInternal: isInternal),
                isAuthenticated: isAuthenticated, isSecure: false))
    }

    static var exampleDomain: Domain {
        guard let domain = Domain("example.org") else { preconditionFailure("example.org is a domain") }
        return domain
    }

    static func mailbox(_ user: String) -> Mailbox {
        guard let mailbox = Mailbox("\(user)@example.org") else { preconditionFailure("not a mailbox: \(user)") }
        return mailbox
    }

    // The Listeners are the last to be started, and nobody else is replaced: their lives have consecutive numbers.
    private static let firstGeneration = 7
    private static let claimsToQueue = 11
    private static let claimsToLookup = 4

    /// Another claim for each life of a worker, all of them in turn.
    func claim(on edge: RawEdge) async {
        await edge.greet()
        let all = Self.claimsToQueue + Self.claimsToLookup
        let turn = (Int(child.assignment.generation) - Self.firstGeneration) % all
        switch edge.grant.role {
        case .queue where turn < Self.claimsToQueue: await claim(of: edge, turn)
        case .lookup where turn >= Self.claimsToQueue:
            switch turn - Self.claimsToQueue {
            case 0: await edge.say(expansion(of: "news", statement: 999), correlation: 1)
            case 1: await edge.say(expansion(of: "news", isAuthenticated: true), correlation: 1)
            case 2: await edge.say(expansion(of: "news", isInternal: true), correlation: 1)
            default: await edge.say(expansion(of: "news", address: nil), correlation: 1)
            }
        case .queue, .lookup, .parent, .listener, .resolver, .relay, .local, .keys, .account, .mailbox, .control,
            .table:
            break
        }
    }

    private func ids(_ edge: RawEdge) async -> [MessageID] {
        while edge.isOpen {
            for (message, _) in await edge.await(QueueToListener.self) {
                if case .ids(let ids) = message { return ids }
            }
        }
        return []
    }

    private func claim(of edge: RawEdge, _ turn: Int) async {
        guard let own = await ids(edge).first else { return }
        let foreign = MessageID(own.value &+ 1)
        let content = [UInt8](repeating: 65, count: 100_000)
        func commit(_ id: MessageID, _ envelopes: UInt32, _ pieces: [MessagePiece]) async {
            await edge.say(
                ListenerToQueue.commit(
                    CommitRequest(
                        message: id, session: SessionID(1), envelopes: envelopes, pieces: pieces,
                        request: MessageRequest())), correlation: 1)
        }
        switch turn {
        case 0: await edge.say(ListenerToQueue.content(foreign, [65]))
        case 1: await commit(foreign, 1, [])
        case 2: await edge.say(ListenerToQueue.rollback(foreign))
        case 3: await commit(own, 1, [.range(offset: .max, length: 2)])
        case 4: await commit(own, 1, [.range(offset: 0, length: 1)])
        case 5:
            await edge.say(ListenerToQueue.content(own, content))
            await commit(own, 1, Array(repeating: .range(offset: 0, length: 100_000), count: 9_000))
        case 6: await commit(own, 1, Array(repeating: .range(offset: 0, length: 0), count: 12_000))
        case 7:
            await commit(own, 1, [])
            await commit(own, 1, [])
        case 8: await commit(own, 0, [])
        case 9: await edge.say(ListenerToQueue.injected(.accepted(own)))
        default:
            // At once: in pieces it could be that the disk keeps up with it, which is no offence.
            await edge.say(ListenerToQueue.content(own, [UInt8](repeating: 65, count: 2 << 20)))
        }
    }

    /// Commits a message and has its recipient expanded once more before it is durable.
    func commitTwice(_ edge: RawEdge) async {
        await edge.greet()
        guard child.assignment.worker == 0, let id = await ids(edge).first, let lookup = self.edge(to: .lookup) else {
            return
        }
        // Its greeting is on its way.
        await Loop.pause(milliseconds: 100)
        // The statements of the configuration are one and the socket.
        let wish = expansion(of: "news", message: id, statement: 1, isAuthenticated: true, address: nil)
        await lookup.say(wish, correlation: 1)
        _ = await lookup.await(LookupToListener.self)
        let content = Array("Subject: once\r\n\r\nbody\r\n".utf8)
        let again = lookup.frame(wish, correlation: 2)
        await lookup.send(Array(repeatElement(again, count: 20).joined()))
        await edge.say(ListenerToQueue.content(id, content))
        await edge.say(
            ListenerToQueue.commit(
                CommitRequest(
                    message: id, session: SessionID(1), envelopes: 1,
                    pieces: [.range(offset: 0, length: UInt64(content.count))], request: MessageRequest())),
            correlation: 3)
        await lookup.send(Array(repeatElement(again, count: 20).joined()))
        let answers = await edge.await(QueueToListener.self)
        report("committed: \(answers.count) answers")
    }

    // MARK: Delivery

    func pretend(on edge: RawEdge) async {
        await edge.greet()
        switch edge.grant.role {
        case .queue where role == .local:
            // It is to live on for what it wants of Parent.
            await edge.say(DeliveryToQueue.inFlight([]))
        case .queue:
            if child.assignment.generation % 2 == 0 {
                await edge.say(DeliveryToQueue.inFlight((0..<1000).map { EnvelopeID($0 << 32 | 1) }))
            } else {
                await edge.say(DeliveryToQueue.inFlight([]))
                await edge.say(DeliveryToQueue.inFlight([]))
            }
        case .parent:
            await wantAgents(edge)
        case .listener, .lookup, .resolver, .relay, .local, .keys, .account, .mailbox, .control, .table:
            break
        }
    }

    private func wantAgents(_ edge: RawEdge) async {
        let long = String(repeating: "n", count: 100_000)
        let wishes = [
            ("none", "news"), ("out", "news"), ("local", "root"), ("local", "../../etc"), ("local", "/etc/passwd"),
            ("local", "-f"), ("local", ""), ("local", "ne\0ws"), ("local", "0"), ("local", long), (long, "news"),
            ("local", "_martletq"), ("local", "news\nroot"), ("local", "."), ("local", "nobody-there"),
        ]
        // The end of agents that it does not have, which is answered by nothing.
        for ending in [AgentEnding.hung, .leaving] {
            await edge.say(LocalToParent.closed(action: "local", user: "news", kind: .mailbox, ending))
            await edge.say(LocalToParent.closed(action: long, user: "root", kind: .commands, ending))
        }
        for (index, wish) in wishes.enumerated() {
            await edge.say(
                LocalToParent.agent(action: wish.0, user: wish.1, kind: .mailbox), correlation: UInt64(index + 1))
        }
        var answered = 0
        var granted = 0
        for _ in 0..<wishes.count {
            for (answer, correlation) in await edge.await(ParentToLocal.self) {
                answered += 1
                guard case .agent = answer else { continue }
                granted += 1
                let wish = wishes[Int(correlation & ~Frame.replyBit) - 1]
                report("agent by \(wish.0.prefix(20)) for \(wish.1.prefix(20))")
            }
            if answered == wishes.count { break }
        }
        report("\(granted) agents of \(answered) answers to \(wishes.count) wishes")
    }

    /// Holds what it is given, or, as a relay, decides what another holds.
    func decideForOthers(_ edge: RawEdge) async {
        await edge.greet()
        guard edge.grant.role == .queue else { return }
        await edge.say(DeliveryToQueue.inFlight([]))
        guard role == .relay, let id = MessageID(order.word) else { return }
        let reply = Reply(250, EnhancedStatus(2, 0, 0), "Delivered")
        await edge.say(DeliveryToQueue.outcome(EnvelopeID(id, number: 1), .delivered(reply, reportsItself: false)))
    }
}
