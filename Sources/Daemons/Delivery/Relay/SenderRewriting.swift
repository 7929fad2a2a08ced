// SPDX-License-Identifier: ISC

import Configuration
import IPC
import Mail

/// A sender that is to become one of this host. The key that signs it is known to Lookup alone.
nonisolated struct ForwardedSender: Hashable, Sendable {
    let action: String
    let sender: Mail.Mailbox
    let recipient: Domain

    /// nil where the sender stays: only a message that was addressed to this host and goes on to another has one to be
    /// rewritten, where the action has `srs`. What `mail-from` says is used instead of it.
    init?(_ work: RecipientWork, by name: String, _ action: RelayAction) {
        guard action.senderRewriting == .srs, action.mailFrom == nil, work.recipient != work.destination,
            let sender = work.sender.mailbox
        else { return nil }
        self.action = name
        self.sender = sender
        recipient = work.recipient.domain
    }

    var question: RelayToLookup { .forwarded(action: action, sender: sender, recipient: recipient) }
}
