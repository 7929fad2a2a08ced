// SPDX-License-Identifier: ISC

import IPC
import Mail

/// Samples of what Parent, its children and martletctl say.
extension Samples {
    static let parentToChild: [ParentToChild] = [
        .assignment(assignment(uid: 1000)), .assignment(assignment(uid: nil)), .root, .spool,
        .socket(.listen(statement: 3)), .socket(.submission), .socket(.control),
        .peer(.queue, generation: 2, worker: 1), .file(.table, name: "aliases"), .file(.key, name: "mx"),
        .file(.certificate, name: "mx"), .text(.hosts, Array("127.0.0.1 localhost\n".utf8)), .text(.resolvers, []),
        .begin, .reload(generation: 3, configuration: "listen on lo\n"), .verbose(true), .alive(.max),
        .drain(seconds: 600),
    ]

    private static func assignment(uid: UInt32?) -> Assignment {
        Assignment(
            role: .listener, worker: 2, generation: 9, configuration: "match from any for any reject\n",
            serverName: "mx.example.org", localAddresses: ["192.0.2.1", "2001:db8::1"], logsDebug: true,
            logsToStream: false, uid: uid, gid: uid, descriptorLimit: 1024)
    }

    static let childToParent: [ChildToParent] = [
        .ready, .alive(5), .fatal("no spool"), .violated(.lookup, worker: 1, generation: 3, what: "unknown tag"),
        .notice("no Landlock"),
    ]

    static let controlRequests: [ControlRequest] =
        [
            .showStatus, .showQueue(.all, after: nil), .showQueue(.message(message), after: envelopeID),
            .showEnvelope(envelopeID), .showMessage(message), .showStatistics, .pause(.mda), .pause(.mta),
            .resume(.smtp),
            .verbose(true), .verbose(false), .stop, .reload,
        ]
        + selectors.flatMap {
            [.schedule($0), .remove($0), .suspend($0), .unsuspend($0), .hold($0), .release($0)] as [ControlRequest]
        }

    static let controlAnswers: [ControlAnswer] = [
        .record([]),
        .record([
            ControlField(name: "id", value: .text("deadbeef00000007")), ControlField(name: "tries", value: .number(-1)),
            ControlField(name: "tag", value: .absent),
        ]),
        .bytes([1, 2]), .more, .done(count: 3), .failed("no such envelope"),
    ]
}
