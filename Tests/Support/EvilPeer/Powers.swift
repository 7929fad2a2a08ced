// SPDX-License-Identifier: ISC

import Channel
import Glibc
import IPC
import Mail
import Posix
import Reactor

/// What is well said and not allowed: those who are asked and obeyed, and everyone to Parent.
extension EvilProcess {
    // Long enough for a test, which ends before.
    private static let mostTurns = 2_000

    private func serve(_ edge: RawEdge, _ turn: () async -> Void) async {
        for _ in 0..<Self.mostTurns where edge.isOpen {
            await turn()
            await Loop.pause(milliseconds: 5)
        }
    }

    /// Users and paths that nobody gets mail in the name of. The file is named by the order.
    private var targets: [Dispatch] {
        [
            .local(action: "local", user: "root", subaddress: nil, form: .action),
            .local(action: "local", user: "../../etc", subaddress: nil, form: .action),
            .local(action: "none", user: "news", subaddress: nil, form: .action),
            .local(action: "out", user: "news", subaddress: nil, form: .action),
            .local(action: "local", user: "news", subaddress: nil, form: .alias(item: order.word)),
            .local(action: "local", user: "news", subaddress: nil, form: .alias(item: "|/bin/touch \(order.word)")),
            .local(action: "local", user: "news", subaddress: nil, form: .forward(line: 1)),
            .relay(action: "none"), .relay(action: "local"),
        ]
    }

    // MARK: Lookup

    /// Accepts every recipient, and stores what no rule has said.
    func misdirect(_ edge: RawEdge) async {
        await edge.greet()
        switch edge.grant.role {
        case .listener:
            await serve(edge) {
                for (message, correlation) in edge.heard(ListenerToLookup.self) {
                    guard case .expand(let request) = message else { continue }
                    await misdirect(request, edge, correlation)
                }
            }
        case .queue:
            let one = Envelope(
                sender: .null, recipient: Self.mailbox("news"), destination: Self.mailbox("news"),
                dispatch: targets[0],
                origin: Origin(serverName: Self.exampleDomain, greeting: "", hostName: "", address: nil))
            for number in UInt32(0)..<20 {
                await edge.say(
                    LookupToQueue.store(
                        worker: 0, generation: number, message: MessageID(number), number: .max,
                        Array(repeating: one, count: 1000)))
            }
        case .parent:
            report("asks for users")
            let long = String(repeating: "n", count: 100_000)
            for number in UInt64(1)...20 {
                await edge.say(LookupToParent.account(.user(named: long)), correlation: number)
            }
            await edge.say(LookupToParent.account(.forward(user: "../../root")), correlation: 21)
            await edge.say(LookupToParent.account(.include(path: "/etc/passwd")), correlation: 22)
            await edge.say(LookupToParent.program(table: "../../bin/sh"), correlation: 23)
            var found = 0
            for _ in 0..<5 {
                for (answer, _) in await edge.await(ParentToLookup.self) {
                    switch answer {
                    case .account(.user(.found)), .account(.forward(.content)), .account(.include(.content)), .program:
                        found += 1
                    case .account, .noProgram, .userOfTable, .updateFile, .updateProgram: break
                    }
                }
            }
            report("\(found) users found")
        case .lookup, .resolver, .relay, .local, .keys, .account, .mailbox, .control, .table:
            break
        }
    }

    private func misdirect(_ request: ExpansionRequest, _ edge: RawEdge, _ correlation: UInt64) async {
        let envelopes = targets.map {
            Envelope(
                sender: request.sender, recipient: request.recipient, destination: request.recipient, dispatch: $0,
                origin: request.origin)
        }
        await self.edge(to: .queue)?.say(
            LookupToQueue.store(
                worker: edge.grant.worker, generation: edge.grant.generation, message: request.message,
                number: request.number, envelopes))
        let count = "\(request.recipient)".hasPrefix("overflow") ? UInt32.max : UInt32(envelopes.count)
        await edge.say(LookupToListener.accepted(envelopes: count), correlation: correlation | Frame.replyBit)
    }

    // MARK: Queue

    /// Gives ids and credit without measure, and work that no mail has brought.
    func command(_ edge: RawEdge) async {
        await edge.greet()
        switch edge.grant.role {
        case .listener:
            await edge.say(QueueToListener.ids((1...100_000).map { MessageID($0) }))
            await serve(edge) {
                for (message, correlation) in edge.heard(ListenerToQueue.self) {
                    switch message {
                    case .content(let id, _):
                        for _ in 0..<3 { await edge.say(QueueToListener.credit(id, bytes: .max)) }
                    case .commit:
                        await edge.say(
                            QueueToListener.refused(Reply(451, nil, "evil")), correlation: correlation | Frame.replyBit)
                    case .rollback, .injected, .wantIDs: break
                    }
                }
            }
        case .relay, .local:
            let work = targets.enumerated().map { index, dispatch in
                RecipientWork(
                    id: EnvelopeID(MessageID(7), number: UInt32(index + 1)), sender: .null,
                    recipient: Self.mailbox("news"), destination: Self.mailbox("news"), dispatch: dispatch,
                    report: ReportRequest(), created: Timestamp(seconds: .min))
            }
            await edge.say(
                QueueToDelivery.deliver(
                    DeliveryRequest(
                        message: MessageID(7), request: MessageRequest(), size: .max,
                        content: .inline(Array("Subject: evil\r\n\r\n".utf8)), recipients: work)))
            var outcomes = 0
            await serve(edge) {
                for (message, _) in edge.heard(DeliveryToQueue.self) {
                    guard case .outcome(_, let outcome) = message else { continue }
                    outcomes += 1
                    if case .delivered = outcome { report("\(edge.grant.role.name) has delivered") }
                    if outcomes == work.count { report("\(edge.grant.role.name) has refused all") }
                }
            }
        case .parent, .lookup, .queue, .resolver, .keys, .account, .mailbox, .control, .table:
            break
        }
    }

    // MARK: Resolver

    /// Answers each question with something else than was asked, or with more than can be.
    func misname(_ edge: RawEdge) async {
        await edge.greet()
        let target = RouteTarget(name: Self.exampleDomain, preference: .max, addresses: [], isSecure: true)
        await serve(edge) {
            for (message, correlation) in edge.heard(ToResolver.self) {
                let reply = correlation | Frame.replyBit
                switch message {
                case .name:
                    await edge.say(
                        FromResolver.route(
                            .found(Array(repeating: target, count: 10_000), isSecure: true, lifetime: .max)),
                        correlation: reply)
                case .addresses, .route:
                    await edge.say(
                        FromResolver.name(.found(Self.exampleDomain, isConfirmed: true)), correlation: reply)
                }
                // The same answer again, and one to a question that nobody asked.
                await edge.say(FromResolver.name(.absent), correlation: reply)
                await edge.say(FromResolver.name(.absent), correlation: .max)
                await edge.say(FromResolver.addresses(.absent))
            }
        }
    }

    // MARK: Keys

    /// Signs everything with something else than a signature.
    func missign(_ edge: RawEdge) async {
        await edge.greet()
        await serve(edge) {
            for (message, correlation) in edge.heard(ToKeys.self) {
                let reply = correlation | Frame.replyBit
                switch message {
                case .holds:
                    await edge.say(FromKeys.held, correlation: reply)
                case .sign:
                    signatures += 1
                    let answer: FromKeys =
                        switch signatures % 5 {
                        case 0: .signature([])
                        case 1: .signature([UInt8](repeating: 0x30, count: 72))
                        case 2: .signature([UInt8](repeating: 0xFF, count: 100_000))
                        case 3: .held
                        default: .refused(String(repeating: "forged\nline", count: 50_000))
                        }
                    await edge.say(answer, correlation: reply)
                    report("signed")
                }
                await edge.say(FromKeys.held, correlation: reply)
                await edge.say(FromKeys.held, correlation: .max)
            }
        }
    }

    // MARK: Everyone to Parent

    /// Says over the channel itself what a child does not say; another thing in each life.
    func attackParent() async {
        guard let grant = edges.first?.grant else { return report("no edge") }
        // Its own end stays with the child: this one is a second.
        guard let copy = try? FileDescriptor.duplicate(3) else { return report("no second channel") }
        let channel = RawEdge(grant, copy, as: role)
        let long = String(repeating: "x\n", count: 1 << 19)
        switch child.assignment.generation % 7 {
        case 0: await channel.say(ChildToParent.violated(.parent, worker: 0, generation: 0, what: long))
        case 1: await channel.say(ChildToParent.violated(.mailbox, worker: 7, generation: 9, what: "forged\nline"))
        case 2: await channel.say(ChildToParent.ready)
        case 3:
            for number in 0..<200 { await channel.say(ChildToParent.notice("\(number) \(long)")) }
            await channel.send([1, 0, 0, 0])
        case 4:
            for _ in 0..<50 { await channel.say(ChildToParent.fatal(long)) }
            exit(1)
        case 5: await channel.send([0xFF, 0xFF, 0xFF, 0xFF] + [UInt8](repeating: 7, count: 1000))
        default:
            for number in UInt64(0)..<10_000 { await channel.say(ChildToParent.alive(number &* 0x9E37_79B9)) }
            // Nothing is answered from here on.
            while true {}
        }
    }
}
