// SPDX-License-Identifier: ISC

import Channel
import IPC

// The spool is opened before the last doors close: its sync thread cannot be started behind them.
let spoolOpening = SpoolOpening()
Child.run(
    as: [.queue], startThreads: { child in spoolOpening.open(for: child) },
    make: { child in
        try QueueProcess(child, spoolOpening.result())
    })
