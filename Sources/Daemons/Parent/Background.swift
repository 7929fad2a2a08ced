// SPDX-License-Identifier: ISC

import Host
import Launch
import Posix

/// The server without a terminal: another martletd, started in a session of its own by one that waits until it serves.
enum Background {
    private static let channelNumber: Int32 = 3
    private static let passedVariables = [
        "MARTLET_ALIVE_INTERVAL_MS", "MARTLET_ALIVE_LIMIT_MS", "MARTLET_AGENT_LIMIT_MS",
    ]

    /// Starts the server and waits. 0 when it serves; it has said itself why it does not.
    static func start(_ invocation: Invocation) -> Int32 {
        do {
            guard let executable = ThisProcess.executable else { throw StartFailure("/proc is not there") }
            let program = try ProgramSet.open(executable)
            let pipe = try FileDescriptor.pipe()
            let errors = try ThisProcess.standardError()
            var start = ProcessStart(
                name: "martletd", arguments: invocation.argumentsInBackground(absolute: ThisProcess.absolute),
                channel: pipe.right.number, errors: errors.number)
            start.session = .own
            start.variables = passedVariables.compactMap { name in ThisProcess.variable(name).map { "\(name)=\($0)" } }
            let spawner = Spawner(programs: try ProgramSet(directory: "/", roles: []))
            _ = try spawner.start(start, program: program)
            var status: Int32 = 1
            pipe.split { left, right in
                _ = consume right
                if let word = (try? left.readAll(limit: 16)) ?? nil, !word.isEmpty { status = 0 }
            }
            return status
        } catch {
            ThisProcess.say("martletd: \(error)\n")
            return 1
        }
    }

    /// In the server: tells the one that waits, and lets go of its terminal.
    static func sayReady() {
        let channel = FileDescriptor(owning: channelNumber)
        try? channel.writeAll([1])
        ThisProcess.closeStandardDescriptors()
    }
}
