// SPDX-License-Identifier: ISC

public import Mail

/// A limit of one session that was reached; the raw value is its name in the configuration and in `show stats`.
public enum SessionLimit: String, CaseIterable, Hashable, Sendable {
    case messages = "max-mails"
    case recipients = "max-rcpt"
    case failures = "max-errors"
    case idleCommands = "max-idle-commands"
    case time = "max-session-time"
    case rate = "min-data-rate"

    /// The limit that the client is told of by a reply, if it is told of one.
    public init?(toldBy reply: Reply) {
        guard let limit = Self.allCases.first(where: { $0.reply == reply }) else { return nil }
        self = limit
    }

    public var reply: Reply {
        switch self {
        case .messages: Reply(452, EnhancedStatus(4, 5, 3), "Too many recipients: Too many messages sent")
        case .recipients: Reply(451, EnhancedStatus(4, 5, 3), "Too many recipients: Too many recipients")
        case .failures: Reply(421, EnhancedStatus(4, 7, 0), "Too many errors")
        case .idleCommands: Reply(421, EnhancedStatus(4, 7, 0), "Too many commands without a message")
        case .time: Reply(421, EnhancedStatus(4, 4, 2), "Timeout: The session lasts too long")
        case .rate: Reply(421, EnhancedStatus(4, 4, 2), "Timeout: The content comes too slowly")
        }
    }
}
