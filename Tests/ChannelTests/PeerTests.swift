// SPDX-License-Identifier: ISC

import ProbeRunner
import Testing

private func expectOK(_ scenario: String) throws {
    let probe = try LoopProbe.play(scenario)
    #expect(probe.output == "ok\n")
    #expect(probe.status == 0)
}

@Suite struct PeerTests {
    @Test func `10,000 small frames cost few reads and few turns`() throws { try expectOK("batch") }
    @Test func `answers find their requests in any order`() throws { try expectOK("requests") }
    @Test func `an answer after its time is ignored`() throws { try expectOK("late-answer") }
    @Test func `an answer may come in parts`() throws { try expectOK("parts") }
    @Test func `descriptors arrive with their own frames`() throws { try expectOK("descriptors") }
    @Test func `a frame of a megabyte passes`() throws { try expectOK("huge") }
    @Test func `a peer that is always behind costs no memory`() throws { try expectOK("peer-always-behind") }
    @Test func `closing fails the requests under way`() throws { try expectOK("peer-close") }
    @Test func `a peer that has gone fails the requests under way`() throws { try expectOK("peer-gone") }
    @Test func `what may not be said closes the edge`() throws { try expectOK("violations") }
    @Test func `garbage on one edge leaves the others alone`() throws { try expectOK("violation-alone") }
    @Test func `a stream cut anywhere is the same frames`() throws { try expectOK("violation-bytes") }
}

@Suite struct LogTests {
    @Test func `no text breaks out of its line`() throws { try expectOK("log-lines") }
    @Test func `a burst of lines is bounded`() throws { try expectOK("log-bound") }
    @Test func `the system's log gets a datagram for each line`() throws { try expectOK("log-datagrams") }
}
