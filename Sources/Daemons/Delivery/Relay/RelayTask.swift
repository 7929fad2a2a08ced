// SPDX-License-Identifier: ISC

import Configuration
import IPC
import Mail

/// One message for one route.
final class RelayTask {
    let message: MessageID
    let request: MessageRequest
    let sender: ReversePath
    var recipients: [RecipientWork]
    let content: Content
    /// Queue has been told that its recipients are being tried.
    var hasBegun = false
    /// It was given back once by a session whose server had gone.
    var isSecondAttempt = false

    init(
        _ message: MessageID, _ request: MessageRequest, sender: ReversePath, _ recipients: [RecipientWork],
        _ content: Content
    ) {
        self.message = message
        self.request = request
        self.sender = sender
        self.recipients = recipients
        self.content = content
    }

    /// The same message for those of its recipients for whom one transaction had no room.
    func rest(_ surplus: Set<Int>) -> RelayTask {
        let left = recipients.enumerated().filter { surplus.contains($0.offset) }.map(\.element)
        let task = RelayTask(message, request, sender: sender, left, content)
        task.hasBegun = hasBegun
        return task
    }
}

/// Which messages may share connections.
struct RouteKey: Hashable {
    let action: String
    /// In lower case; empty where the action names the hosts.
    let domain: String
}

nonisolated extension RelayAction {
    /// The sender with the parts that `mail-from` replaces; the null path stays what it is.
    func rewritten(_ sender: ReversePath) -> ReversePath {
        guard let mailFrom, let mailbox = sender.mailbox else { return sender }
        if mailFrom.hasPrefix("@") {
            guard let domain = Domain(String(mailFrom.dropFirst())) else { return sender }
            return .mailbox(Mail.Mailbox(mailbox.localPart, at: domain))
        }
        return Mail.Mailbox(mailFrom).map { .mailbox($0) } ?? sender
    }
}
