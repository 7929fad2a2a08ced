// SPDX-License-Identifier: ISC

import IPC
import Mail

/// At least one value of every message of every edge, with the optional parts there and not there.
enum Samples {
    static func domain(_ text: String = "example.org") -> Domain {
        guard let domain = Domain(text) else { preconditionFailure("a sample domain") }
        return domain
    }

    static func mailbox(_ text: String = "joe@example.org") -> Mailbox {
        guard let mailbox = Mailbox(text) else { preconditionFailure("a sample mailbox") }
        return mailbox
    }

    static func address(_ text: String) -> IPAddress {
        guard let address = IPAddress(text) else { preconditionFailure("a sample address") }
        return address
    }

    static let reply = Reply(550, EnhancedStatus(5, 1, 1), lines: ["No such user", "here"])
    static let plainReply = Reply(451, nil, "Try again")
    static let message = MessageID(0xDEAD_BEEF)
    static let envelopeID = EnvelopeID(message, number: 7)
    static let selectors: [QueueSelector] = [
        .all, .message(message), .envelope(envelopeID),
        QueueSelector(
            .message(message), sender: .nobody, recipient: AddressPattern("@example.org"),
            domain: domain("example.org"), olderThan: .hours(4), state: .held),
        QueueSelector(sender: AddressPattern("joe@example.org")),
    ]

    static let origins = [
        Origin(serverName: domain("mx.example.org"), greeting: "client", hostName: "<unknown>", address: nil),
        Origin(
            serverName: domain(), greeting: "[192.0.2.1]", hostName: "client.example.org",
            address: address("2001:db8::1"), tag: "lan", user: "joe", isInternal: true),
    ]

    static let forms: [LocalForm] = [.action, .forward(line: .max), .alias(item: "|/bin/true")]

    static let dispatches: [Dispatch] =
        [.relay(action: "out")]
        + forms.map { .local(action: "in", user: "joe", subaddress: nil, form: $0) }
        + [.local(action: "in", user: "joe", subaddress: "tag", form: .action)]

    static let reports = [
        ReportRequest(), ReportRequest(notify: [.success, .delay], originalRecipient: "rfc822;joe@example.org"),
    ]

    static let messageRequests = [
        MessageRequest(),
        MessageRequest(returned: .headers, envelopeIdentifier: "QQ314159", body: .eightBitMIME),
        MessageRequest(returned: .full, envelopeIdentifier: nil, body: .sevenBit),
        {
            var request = MessageRequest(body: .binaryMIME)
            request.isInternational = true
            request.requiresTLS = true
            request.notBefore = Timestamp(seconds: 1_000_000)
            request.deadline = .init(time: Timestamp(seconds: -5), mode: .notify, trace: .relays)
            request.priority = MessageRequest.Priority(-9)
            return request
        }(),
    ]

    static let envelopes: [Envelope] =
        dispatches.map { dispatch in
            Envelope(
                sender: .null, recipient: mailbox(), destination: mailbox("\"a b\"@example.com"), dispatch: dispatch,
                report: reports[1], origin: origins[1])
        } + [
            Envelope(
                sender: .mailbox(mailbox()), recipient: mailbox(), destination: mailbox(), dispatch: dispatches[0],
                origin: origins[0])
        ]

    private static let address: IPAddress = {
        guard let address = IPAddress("2001:db8::1") else { preconditionFailure("a constant address") }
        return address
    }()
    static let listenerToLookup: [ListenerToLookup] =
        origins.map { origin in
            .expand(
                ExpansionRequest(
                    message: message, number: 3, sender: .mailbox(mailbox()), recipient: mailbox("a@[192.0.2.1]"),
                    report: reports[1], statement: origin.isInternal ? nil : 2, origin: origin, isAuthenticated: true,
                    isSecure: false))
        } + [
            .authenticate(
                AuthenticationRequest(
                    session: SessionID(7), statement: 1, address: address, claim: .password(user: "bob", [0, 255]))),
            .authenticate(
                AuthenticationRequest(session: SessionID(7), statement: 1, address: address, claim: .scram(user: "bob"))
            ),
            .authenticate(
                AuthenticationRequest(
                    session: SessionID(7), statement: 1, address: address,
                    claim: .scramProof(user: "bob", message: [1], proof: [2]))),
            .authenticate(
                AuthenticationRequest(
                    session: SessionID(7), statement: 1, address: address, claim: .certificate(user: "bob"))),
            .mechanisms(statement: 3), .sender(SessionID(7), statement: 1, .null), .ended(SessionID(7)),
            .name(statement: 2, address: address),
        ]
    static let lookupToListener: [LookupToListener] = [
        .accepted(envelopes: 5), .refused(reply), .refused(plainReply), .authenticated(user: "bob", proof: [1, 2]),
        .challenge(nonce: "n", salt: [1, 2, 3], rounds: 4096), .offer(scram: true), .permitted,
        .named(nil), .named(mailbox().domain),
    ]

    static let listenerToQueue: [ListenerToQueue] =
        [
            .content(message, Array("Subject: x\r\n".utf8)), .content(message, []), .rollback(message), .wantIDs,
            .injected(.accepted(message)), .injected(.refused(reply)),
        ]
        + messageRequests.map { request in
            .commit(
                CommitRequest(
                    message: message, session: SessionID(9), envelopes: 2,
                    pieces: [.bytes([1, 2, 3]), .range(offset: 1 << 40, length: .max), .bytes([])], request: request))
        }
    static let queueToListener: [QueueToListener] = [
        .ids([]), .ids([message, MessageID(1)]), .credit(message, bytes: 65536), .committed, .refused(reply),
        .inject(recipient: mailbox(), priority: nil, content: [0, 255]),
        .inject(recipient: mailbox(), priority: MessageRequest.Priority(9), content: []),
    ]

    static let lookupToQueue: [LookupToQueue] = [
        .store(worker: 1, generation: 2, message: message, number: 3, envelopes),
        .store(worker: .max, generation: .max, message: message, number: .max, []),
        .rematched(.accepted(envelopes)), .rematched(.accepted([])), .rematched(.refused(reply)),
    ]
    static let queueToLookup: [QueueToLookup] = envelopes.map { .rematch($0) }

    static let toResolver: [ToResolver] = [
        .name(of: address("192.0.2.1")), .name(of: address("2001:db8::1")), .addresses(of: domain()),
        .route(domain(), isHost: true), .route(domain("[192.0.2.1]"), isHost: false),
    ]
    static let fromResolver: [FromResolver] = [
        .name(.found(domain(), isConfirmed: true)), .name(.absent), .name(.temporaryFailure),
        .addresses(.found([address("192.0.2.1"), address("2001:db8::1")])), .addresses(.found([])),
        .addresses(.absent), .addresses(.temporaryFailure), .route(.failed(reply)), .route(.deferred(plainReply)),
        .route(
            .found(
                [
                    RouteTarget(name: domain(), preference: 10, addresses: [address("192.0.2.1")], isSecure: true),
                    RouteTarget(name: domain("b.example.org"), preference: 20, addresses: [], isSecure: false),
                ], isSecure: true, lifetime: 3600)),
    ]

    static let queueToDelivery: [QueueToDelivery] = [
        .recorded([envelopeID]), .cancel([]), .forgetFailures, .deliver(delivery(.inline([13, 10]))),
        .deliver(delivery(.file([.bytes([1]), .range(offset: 0, length: 10)]))),
        .protectedHosts([]), .protectedHosts([protectedHost]),
    ]
    private static var protectedHost: ProtectedHost {
        ProtectedHost(address: address("2001:db8::1"), port: 25, until: Timestamp(seconds: 1))
    }
    private static func delivery(_ content: DeliveryContent) -> DeliveryRequest {
        DeliveryRequest(
            message: message, request: messageRequests[1], size: 2, content: content,
            recipients: dispatches.map { dispatch in
                RecipientWork(
                    id: envelopeID, sender: .mailbox(mailbox()), recipient: mailbox(), destination: mailbox(),
                    dispatch: dispatch, report: reports[1], created: Timestamp(seconds: -1))
            })
    }
    static let deliveryToQueue: [DeliveryToQueue] = [
        .inFlight([]), .inFlight([envelopeID]), .cancelled([]), .cancelled([envelopeID]),
        .outcome(envelopeID, .delivered(reply, reportsItself: true)),
        .outcome(envelopeID, .deferred(plainReply)), .outcome(envelopeID, .failed(reply)), .protected(protectedHost),
    ]

    static let localToMailbox: [LocalToMailbox] =
        [.content([1, 2])]
        + forms.map { form in
            .deliver(
                MailboxDelivery(
                    id: envelopeID, sender: .null, recipient: mailbox(), destination: mailbox(),
                    subaddress: form == .action ? nil : "tag", form: form, created: Timestamp(seconds: 1), length: 77))
        }
    static let mailboxToLocal: [MailboxToLocal] = [
        .outcome(envelopeID, .delivered), .outcome(envelopeID, .deferred("busy")), .outcome(envelopeID, .failed("no")),
    ]

    static let relayToLookup: [RelayToLookup] = [
        .heloName(action: "out", source: address("192.0.2.1")), .source(action: "out"), .host(action: "out"),
        .domainHost(action: "out", domain: "example.org"), .credentials(action: "out", label: "isp"),
        .forwarded(action: "out", sender: mailbox(), recipient: domain()),
    ]
    static let lookupToRelay: [LookupToRelay] = [
        .heloName(nil), .heloName(domain()), .source(nil), .source(address("2001:db8::1")), .temporaryFailure,
        .host(nil), .host("smtp://192.0.2.1"), .credentials(nil), .forwarded(nil), .forwarded(mailbox()),
        .credentials(RelayCredentials(user: "bob", password: Array("correct horse".utf8))),
    ]

    static let localToParent: [LocalToParent] = [
        .agent(action: "in", user: "joe", kind: .mailbox), .agent(action: "in", user: "joe", kind: .commands),
        .connection(action: "in", user: "joe", skipping: 1),
        .closed(action: "in", user: "joe", kind: .mailbox, .leaving),
        .closed(action: "in", user: "joe", kind: .commands, .hung),
    ]
    static let parentToLocal: [ParentToLocal] = [
        .connection,
        .agent(limit: 300_000), .refused(.failed(reply)),
        .exited(action: "in", user: "joe", kind: .commands, status: "exited with status 75"),
    ]

    static let toAccount: [ToAccount] = [
        .user(named: "joe"), .forward(user: "joe"), .include(path: "/etc/list"),
        .forwardInTable(user: "joe", table: "people"),
        .forwardOf(UserRecord(name: "joe", uid: 1000, gid: 100, home: "/home/joe")),
        .login(user: "joe", password: [1, 2]), .password([1, 2], credential: "$6$a$b"),
        .scramProof([1], message: [2, 3], credential: "x"),
    ]
    static let fromAccount: [FromAccount] = [
        .verdict(.right), .verdict(.wrong), .verdict(.temporaryFailure), .proof([1, 2, 3]),
        .include(.content([0x61, 0x0A])), .include(.absent), .include(.temporaryFailure("Permission denied")),
        .user(.found(UserRecord(name: "joe", uid: 1000, gid: 100, home: "/home/joe"))), .user(.absent),
        .user(.temporaryFailure), .forward(.content(Array("a@example.org\n".utf8))), .forward(.absent),
        .forward(.insecure("writable")), .forward(.temporaryFailure("away")),
    ]

    static let lookupToParent: [LookupToParent] =
        toAccount.map { .account($0) } + [
            .program(table: "people"), .user(.absent),
            .user(.found(UserRecord(name: "joe", uid: 1000, gid: 100, home: "/home/joe"))), .updated(refusal: nil),
            .updated(refusal: "/etc/aliases:3 invalid map entry"),
        ]
    static let parentToLookup: [ParentToLookup] =
        fromAccount.map { .account($0) } + [
            .program, .noProgram("no backend"), .userOfTable("people", named: "joe"), .updateFile(table: "aliases"),
            .updateProgram(table: "people"),
        ]

    static let toKeys: [ToKeys] = [
        .sign(
            KeyName(pki: "mx.example.org", fingerprint: [1, 2, 3]), purpose: .server, algorithm: .ecdsa,
            [UInt8](repeating: 7, count: 32)),
        .sign(KeyName(pki: "", fingerprint: []), purpose: .client, algorithm: .ed25519, []),
        .holds(KeyName(pki: "mx.example.org", fingerprint: [9]), purpose: .client),
    ]
    static let fromKeys: [FromKeys] = [.signature([1, 2, 3]), .refused("no such key"), .held]

    static let greetings = [EdgeGreeting(role: .queue, generation: 7)]
}
