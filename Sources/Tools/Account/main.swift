// SPDX-License-Identifier: ISC

import Host
import Reactor

// Started by martletd with its edge as descriptor 3; a person who starts it by hand is told so.
if CommandLine.arguments.dropFirst() != ["account"] {
    ThisProcess.say("started by martletd only\n")
    ThisProcess.leave(1)
}

Loop.run { await AccountDesk.serve() }
