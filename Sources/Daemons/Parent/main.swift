// SPDX-License-Identifier: ISC

import Host
import Posix
import Reactor

Loop.run {
    ThisProcess.fillStandardDescriptors()
    do throws(Invocation.Mistake) {
        let invocation = try Invocation(parsing: Array(CommandLine.arguments.dropFirst()))
        switch invocation.task {
        case .showUsage:
            ThisProcess.say(Invocation.usage)
            Loop.stop(status: 1)
        case .checkConfiguration:
            Loop.stop(status: ConfigurationFile.check(invocation))
        case .goToBackground:
            Loop.stop(status: Background.start(invocation))
        case .serve, .serveForPerson, .serveInBackground:
            // Passwords come through here on their way to the account helpers.
            Memory.eraseWhatIsFreed()
            await Server.run(invocation)
        }
    } catch {
        ThisProcess.say("martletd: \(error.reason)\n\(Invocation.usage)")
        Loop.stop(status: 1)
    }
}
