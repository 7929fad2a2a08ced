// SPDX-License-Identifier: ISC

import Reactor

Loop.run {
    let (personality, arguments) = Personality.choose(CommandLine.arguments)
    switch personality {
    case .control: Loop.stop(status: await ControlSession.run(arguments))
    case .queueListing: Loop.stop(status: await ControlSession.listQueue(arguments))
    case .aliasRebuilding: Loop.stop(status: await AliasSession.run(arguments))
    case .mapMaking: Loop.stop(status: MapSession.run(arguments))
    case .submission: Loop.stop(status: await SubmissionSession.run(arguments))
    }
}
