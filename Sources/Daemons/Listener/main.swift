// SPDX-License-Identifier: ISC

import Channel
import IPC

Child.run(as: [.listener]) { child in
    ListenerProcess(child)
}
