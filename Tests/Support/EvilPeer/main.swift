// SPDX-License-Identifier: ISC

import Channel
import IPC
import Reactor

// Stands in the place of a daemon that was taken over. What it does is read before the doors close, from a file beside
// the program; it begins when the house stands, which a test says by a signal.
Order.awaitSignal()
let order = Order.read()
switch CommandLine.arguments.dropFirst().first {
case Role.account.name: Loop.run { await EvilHelper(order, as: .account).answerQuestions() }
case "maildir": Loop.run { await EvilHelper(order, as: .mailbox).deliver() }
default: Child.run(as: Set(Topology.daemons)) { child in EvilProcess(child, order) }
}
