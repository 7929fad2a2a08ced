// SPDX-License-Identifier: ISC

import Channel
import IPC

Child.run(as: [.lookup]) { child in
    try LookupProcess(child)
}
