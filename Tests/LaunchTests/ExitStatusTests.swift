// SPDX-License-Identifier: ISC

import Glibc
import Testing

@testable import Launch

@Suite struct ExitStatusTests {
    @Test(arguments: [
        (0, Launch.ExitStatus.exited(0), "exited 0"), (75 << 8, .exited(75), "exited 75"),
        (9, .signalled(9), "killed by signal 9 (Killed)"),
        (31 | 128, .signalled(31), "killed by signal 31 (Bad system call)"),
    ]) func `a wait status says how a process ended`(status: Int, expected: Launch.ExitStatus, text: String) {
        let ended = Launch.ExitStatus(waitStatus: Int32(status))
        #expect(ended == expected)
        #expect(ended?.description == text)
    }

    @Test func `a stopped process has not ended`() { #expect(Launch.ExitStatus(waitStatus: 0x137F) == nil) }

    @Test func `a violation of the sandbox is told from other ends`() {
        #expect(Launch.ExitStatus.signalled(SIGSYS).violatedSandbox)
        #expect(!Launch.ExitStatus.signalled(SIGILL).violatedSandbox)
        #expect(Launch.ExitStatus.exited(0).isSuccess)
        #expect(!Launch.ExitStatus.exited(1).isSuccess)
    }
}
