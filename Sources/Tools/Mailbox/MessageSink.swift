// SPDX-License-Identifier: ISC

import IPC

/// Where the content of one delivery goes.
protocol MessageSink: AnyObject {
    func append(_ content: [UInt8])
    /// All content has come; the outcome follows, now or later.
    func end()
    /// The content will not come to its end.
    func abandon()
}

/// Takes the content of a delivery whose outcome is known.
final class DecidedSink: MessageSink {
    private let decided: () -> Void

    init(_ decided: @escaping () -> Void) { self.decided = decided }

    func append(_ content: [UInt8]) {}
    func end() { decided() }
    func abandon() {}
}

/// A message for a Maildir, to be committed with those of the same turn.
final class MaildirSink: MessageSink {
    private let message: MaildirMessage
    private let ended: (MaildirMessage) -> Void

    init(_ message: MaildirMessage, ended: @escaping (MaildirMessage) -> Void) {
        self.message = message
        self.ended = ended
    }

    func append(_ content: [UInt8]) { message.append(content) }

    func end() {
        message.end()
        ended(message)
    }

    func abandon() { message.abandon() }
}
