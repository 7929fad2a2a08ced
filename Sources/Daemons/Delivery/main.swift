// SPDX-License-Identifier: ISC

import Channel
import IPC

Child.run(as: [.relay, .local]) { child in
    switch child.assignment.role {
    case .relay: try RelayProcess(child).begin()
    case .local: try LocalProcess(child).begin()
    case .parent, .listener, .lookup, .resolver, .queue, .keys, .account, .mailbox, .control:
        child.leave(because: "not a role of delivery")
    }
}
