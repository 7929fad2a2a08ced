// SPDX-License-Identifier: ISC

import Host

// Started by martletd with the stream to Lookup as its standard input and output; tests do the same.
switch TableArguments(Array(CommandLine.arguments.dropFirst())) {
case let arguments?:
    ThisProcess.leave(TableServer.run(arguments))
case nil:
    ThisProcess.say("usage: martlet-table db|sqlite path [sub-address-delimiters]\n")
    ThisProcess.leave(1)
}
