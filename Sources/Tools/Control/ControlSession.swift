// SPDX-License-Identifier: ISC

import Host
import Posix

/// martletctl from its arguments to its exit status.
enum ControlSession {
    /// mailq: what is no option of ours is of programs by that name elsewhere, and means nothing here.
    static func listQueue(_ arguments: [String]) async -> Int32 {
        var options: [String] = []
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            if argument == "--json" { options.append(argument) }
            if argument == "--instance", let directory = rest.popFirst() { options += [argument, directory] }
        }
        return await run(options + ["show", "queue"])
    }

    static func run(_ arguments: [String]) async -> Int32 {
        do {
            let invocation = try ControlInvocation(parsing: arguments)
            let instance = invocation.instance ?? ThisProcess.variable(Places.variable)
            let program = ControlProgram(
                Places(instance: instance), invocation.form, write: StandardOutput.write,
                complain: { ThisProcess.say("martletctl: \($0)\n") })
            if invocation.isOffline {
                return try program.runOffline(invocation.command, configuredBy: invocation.configuration)
            }
            return try await program.run(invocation.command)
        } catch let mistake as ControlInvocation.Mistake {
            ThisProcess.say(mistake.text)
        } catch let failure as ControlProgram.Failure {
            ThisProcess.say("martletctl: \(failure.text)\n")
        } catch {
            ThisProcess.say("martletctl: \(error)\n")
        }
        return 1
    }
}

/// Where the answer goes. Nobody is left to be told when it cannot be written.
enum StandardOutput {
    static func write(_ bytes: [UInt8]) {
        guard let output = try? FileDescriptor.duplicate(1) else { return }
        try? output.writeAll(bytes)
    }
}
