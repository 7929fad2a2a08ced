// SPDX-License-Identifier: ISC

import ProbeRunner
import Testing

private func expectOK(_ scenario: String) throws {
    let probe = try LoopProbe.play(scenario)
    #expect(probe.output == "ok\n")
    #expect(probe.status == 0)
}

@Suite struct LoopTests {
    @Test func `sleeps, groups and children run on one thread`() throws { try expectOK("tasks") }
    @Test func `a timer is stopped, started anew and let go`() throws { try expectOK("timers") }
    @Test func `the end of a turn comes after all that is ready`() throws { try expectOK("end-of-turn") }
    @Test func `work that leaves its turn to others keeps no event back`() throws { try expectOK("next-turn") }
    @Test func `signals are calls on the loop`() throws { try expectOK("signals") }
    @Test func `a watch without a time waits for ever, whatever it was told before`() throws {
        try expectOK("watch-timeout")
    }
    @Test func `a watch that is let go in its own call is gone at once`() throws { try expectOK("watch-let-go") }

    @Test func `what has gathered is written before the process leaves with its status`() throws {
        let probe = try LoopProbe.play("stop")
        #expect(probe.output.contains("written at the end"))
        #expect(probe.status == 7)
    }

    @Test func `a scenario that is not known is refused`() throws {
        #expect(try LoopProbe.play("nothing").status == 64)
    }
}

@Suite struct ConnectionTests {
    @Test func `10 MB go there and back again`() throws { try expectOK("echo") }
    @Test func `10 MB go there and back again through a transport`() throws { try expectOK("transport") }
    @Test func `a writer waits while nobody reads`() throws { try expectOK("back-pressure") }
    @Test func `a writer goes on below half of the mark`() throws { try expectOK("room") }
    @Test func `a reader that is always behind costs no memory`() throws { try expectOK("always-behind") }
    @Test func `a read that times out may be tried again`() throws { try expectOK("read-timeout") }
    @Test func `a write times out`() throws { try expectOK("write-timeout") }
    @Test func `a read is over in time, whatever trickles in`() throws { try expectOK("read-deadline") }
    @Test func `a write is over in time, whatever trickles out`() throws { try expectOK("write-deadline") }
    @Test func `a reset is an error of the one connection`() throws { try expectOK("reset") }
    @Test func `closing sends what is left and tells who waits`() throws { try expectOK("closing") }
    @Test func `input that nobody consumes is no end of the stream`() throws { try expectOK("input-limit") }
}

@Suite struct AcceptorTests {
    @Test func `an acceptor survives the last descriptor and accepts again`() throws { try expectOK("acceptor") }
    @Test func `a paused acceptor leaves its clients waiting`() throws { try expectOK("acceptor-pause") }
}
