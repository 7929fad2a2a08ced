// SPDX-License-Identifier: ISC

import Channel
import IPC

Child.run(as: [.keys]) { child in
    KeysProcess(child)
}
