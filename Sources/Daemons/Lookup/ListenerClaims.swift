// SPDX-License-Identifier: ISC

import Bytes
import Configuration
import IPC
import Mail

/// What a Listener may say of a session: nothing that its own listen statements do not allow. Whoever says more is replaced.
///
/// So one that was taken over can make nobody a user, and no client of the network one that came in elsewhere. But each
/// has the submission socket, too, and whether a session came in there it alone knows: as a program of this host it can
/// submit whatever such a program may.
nonisolated struct ListenerClaims {
    // A HELO argument is a part of one command line, a host name shorter than that (RFC 5321 section 4.5.3.1.4).
    static let longestText = 1024

    private let listeners: [ListenStatement]
    private let serverName: Domain

    init(_ listeners: [ListenStatement], serverName: Domain) {
        self.listeners = listeners
        self.serverName = serverName
    }

    /// What in `request` cannot be; nil when all of it can. `user` is whom the session has proven to be.
    func fault(in request: ExpansionRequest, user: String? = nil) -> String? {
        // The submission socket and the notices of Queue have one, too, written or not.
        guard let statement = request.statement else { return "mail without a listen statement" }
        guard Int(statement) < listeners.count else { return "no listen statement \(statement)" }
        let listener = listeners[Int(statement)]
        let origin = request.origin
        let isLocal = listener.endpoint.isLocal
        guard isLocal == (origin.address == nil) else { return "a client's address that its listen statement excludes" }
        // Only the socket tells who somebody is, or a proof that was looked at here. To claim less than that harms nobody: a
        // client may take back what it has proven.
        guard isLocal || request.isAuthenticated == (origin.user != nil), origin.user == nil || origin.user == user
        else {
            return "a user that nobody has checked"
        }
        guard isLocal || !origin.isInternal else { return "mail from the network that arose here" }
        guard origin.tag == listener.tag else { return "the tag of another listen statement" }
        if request.isSecure, listener.encryption == .none { return "TLS where none is offered" }
        let name = listener.hostname.flatMap { Domain($0) } ?? serverName
        // Which of its names a listener with `hostnames` has told depends on where the client came in; nothing is decided
        // by it.
        guard listener.hostnames != nil || origin.serverName == name else {
            return "a server name of another listen statement"
        }
        guard Self.isText(origin.greeting), Self.isText(origin.hostName) else { return "a name that is not printable" }
        return nil
    }

    private static func isText(_ text: String) -> Bool {
        text.utf8.count <= longestText && text.utf8.allSatisfy { $0 >= UInt8.space && $0 != 0x7F }
    }
}
