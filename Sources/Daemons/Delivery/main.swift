// SPDX-License-Identifier: ISC

import Channel
import IPC

Child.run(as: [.relay, .local]) { child in
    switch child.assignment.role {
    case .relay: return RelayProcess(child)
    case .local: return LocalProcess(child)
    case .parent, .listener, .lookup, .resolver, .queue, .keys, .account, .mailbox, .control, .table:
        child.leave(because: "not a role of delivery")
    }
}
