// SPDX-License-Identifier: ISC

import Channel
import IPC

Child.run(as: [.relay, .local]) { child in
    child.leave(because: "not yet")
}
