// SPDX-License-Identifier: ISC

import Authentication
import Configuration
import IPC
import Mail

nonisolated extension RelayAction {
    /// The sender of a message that was addressed to this host and goes on to another: one of this host where the action
    /// has `srs`. What `mail-from` says is used instead of it.
    func forwarded(_ work: RecipientWork, by settings: SRSSettings, on now: Timestamp) -> ReversePath {
        guard senderRewriting == .srs, mailFrom == nil, work.recipient != work.destination, let key = settings.key,
            let sender = work.sender.mailbox
        else { return work.sender }
        let srs = SRS(key: key, backupKey: settings.backupKey, days: settings.days)
        // A sender too long to be rewritten is kept: that the next hop may refuse it is better than to do so here.
        return srs.rewritten(sender, forRecipientAt: work.recipient.domain, on: now).map { .mailbox($0) } ?? work.sender
    }
}
