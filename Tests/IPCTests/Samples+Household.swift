// SPDX-License-Identifier: ISC

import IPC
import Mail

/// Samples of what Parent, its children and martletctl say.
extension Samples {
    static let parentToChild: [ParentToChild] = [
        .assignment(assignment(uid: 1000)), .assignment(assignment(uid: nil)), .root, .spool,
        .socket(.listen(statement: 3)), .socket(.submission), .socket(.control),
        .peer(.queue, generation: 2, worker: 1), .file(.table, name: "aliases"), .file(.serverKey, name: "mx"),
        .file(.clientKey, name: "mx"), .file(.authorities, name: ParentToChild.systemAuthorities),
        .ticketSecrets([[1, 2], []]), .ticketSecrets([]),
        .file(.certificate, name: "mx"), .file(.tableProgram, name: "people"),
        .text(.hosts, Array("127.0.0.1 localhost\n".utf8)), .text(.resolvers, []),
        .begin, .reload(generation: 3, configuration: "listen on lo\n"), .verbose(true), .alive(.max),
        .drain(seconds: 600),
    ]

    private static func assignment(uid: UInt32?) -> Assignment {
        Assignment(
            role: .listener, worker: 2, generation: 9, configuration: "match from any for any reject\n",
            serverName: "mx.example.org", localAddresses: ["192.0.2.1", "2001:db8::1"], logsDebug: true,
            logsToStream: false, uid: uid, gid: uid, descriptorLimit: 1024,
            paused: uid == nil ? [] : [.mta, .smtp])
    }

    static let childToParent: [ChildToParent] = [
        .ready, .alive(5), .fatal("no spool"), .violated(.lookup, worker: 1, generation: 3, what: "unknown tag"),
        .notice("no Landlock"), .paused(.mta, true), .paused(.smtp, false),
    ]

    static let controlRequests: [ControlRequest] =
        [
            .showStatus, .showStatistics, .pause(.mda), .pause(.mta), .resume(.smtp), .verbose(true), .verbose(false),
            .stop, .reload, .updateTable("aliases"),
            .showPlan(action: "out", isRelay: true),
            .explain(HypotheticalRecipient(client: nil, sender: .null, recipient: mailbox())),
            .explain(
                HypotheticalRecipient(
                    client: IPAddress("192.0.2.7"), greeting: "a.example.org", user: "bob", tag: "in", isSecure: true,
                    sender: .mailbox(mailbox()), recipient: mailbox())),
            .lookUp("example.org", .text), .lookUp("", .address6),
        ] + queueRequests.map { .queue($0) } + DeliveryView.allCases.map { .showDelivery($0) }

    static let queueRequests: [QueueRequest] =
        [
            .envelope(envelopeID), .content(message, offset: 1 << 40), .audit, .trace("<a@example.org>"), .beginImport,
            .importContent(7, [1, 2, 3]), .finishImport(7, request: messageRequests[1], [foreign(0), foreign(1)]),
        ]
        + selectors.flatMap { selector in
            [.show(selector, after: nil), .show(selector, after: envelopeID)]
                + EnvelopeVerb.allCases.map { .change($0, selector, after: envelopeID) }
        }

    private static func foreign(_ index: Int) -> ForeignEnvelope {
        ForeignEnvelope(
            envelope: envelopes[index], created: Timestamp(seconds: 1_700_000_000), attempts: UInt32(index),
            lastTry: index == 0 ? nil : Timestamp(seconds: 1_700_000_400), isSuspended: index == 1,
            reply: index == 0 ? nil : Reply(451, EnhancedStatus(4, 4, 1), "No route"), owesNotice: index == 1)
    }

    static let controlAnswers: [ControlAnswer] = [
        .record([]),
        .record([
            ControlField(name: "id", value: .text("deadbeef00000007")), ControlField(name: "tries", value: .number(-1)),
            ControlField(name: "tag", value: .absent),
        ]),
        .bytes([1, 2]), .more, .goesOn(after: envelopeID, count: 5), .done(count: 3), .failed("no such envelope"),
    ]
}
