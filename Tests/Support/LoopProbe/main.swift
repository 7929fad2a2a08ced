// SPDX-License-Identifier: ISC

import Glibc
import Reactor

// Plays one scenario on the loop, says `ok` or what was not as it should be, and leaves with 0 or 1:
//
//     loop-probe scenario
//
// Tests start it, because the loop of a process never returns and executes everything in it.

let scenarios: [String: () async throws -> Void] = [
    "tasks": LoopScenarios.tasks,
    "timers": LoopScenarios.timers,
    "end-of-turn": LoopScenarios.endOfTurn,
    "next-turn": LoopScenarios.nextTurn,
    "stop": LoopScenarios.stop,
    "signals": LoopScenarios.signals,
    "watch-timeout": LoopScenarios.watchTimeout,
    "watch-let-go": LoopScenarios.watchLetGo,
    "echo": ConnectionScenarios.echo,
    "transport": ConnectionScenarios.transport,
    "back-pressure": ConnectionScenarios.backPressure,
    "room": ConnectionScenarios.room,
    "always-behind": ConnectionScenarios.alwaysBehind,
    "read-timeout": ConnectionScenarios.readTimeout,
    "write-timeout": ConnectionScenarios.writeTimeout,
    "read-deadline": ConnectionScenarios.readDeadline,
    "write-deadline": ConnectionScenarios.writeDeadline,
    "reset": ConnectionScenarios.reset,
    "closing": ConnectionScenarios.closing,
    "input-limit": ConnectionScenarios.inputLimit,
    "acceptor": AcceptorScenarios.exhaustion,
    "acceptor-pause": AcceptorScenarios.pause,
    "batch": PeerScenarios.batch,
    "requests": PeerScenarios.requests,
    "late-answer": PeerScenarios.lateAnswer,
    "parts": PeerScenarios.parts,
    "descriptors": PeerScenarios.descriptors,
    "huge": PeerScenarios.huge,
    "peer-always-behind": PeerScenarios.alwaysBehind,
    "peer-close": PeerScenarios.closing,
    "peer-gone": PeerScenarios.gone,
    "violations": ViolationScenarios.each,
    "violation-alone": ViolationScenarios.onlyThatEdge,
    "violation-bytes": ViolationScenarios.oneByteAtATime,
    "log-lines": LogScenarios.lines,
    "log-bound": LogScenarios.bound,
    "log-datagrams": LogScenarios.datagrams,
]

guard let name = CommandLine.arguments.dropFirst().first, let scenario = scenarios[name] else {
    print("usage: loop-probe scenario")
    exit(64)
}
// A scenario that hangs must not hang the tests.
alarm(30)
Loop.run {
    do {
        try await scenario()
    } catch {
        Check.fail("error: \(error)")
    }
    Check.equal(System.threads, 1, "threads")
    print(Check.failures.isEmpty ? "ok" : Check.failures.joined(separator: "\n"))
    fflush(nil)
    Loop.stop(status: Check.failures.isEmpty ? 0 : 1)
}
