// SPDX-License-Identifier: ISC

/// How one attempt for one envelope ended; temporary or permanent is in the type, not in the text.
public enum DeliveryOutcome: Hashable, Sendable {
    /// The next hop or the mailbox has taken the responsibility. `reportsItself`: it promised to send the success report.
    case delivered(Reply, reportsItself: Bool)
    case deferred(Reply)
    case failed(Reply)

    public var reply: Reply {
        switch self {
        case .delivered(let reply, _), .deferred(let reply), .failed(let reply): reply
        }
    }
}
