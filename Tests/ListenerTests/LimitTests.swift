// SPDX-License-Identifier: ISC

import Configuration
import SMTP
import Testing

@testable import Listener

struct LimitTests {
    @Test func `every limit of clients has the counter that the manual promises`() {
        let counted = Set(SessionLimit.allCases.map(\.rawValue) + ClientLedger.Excess.allCases.map(\.rawValue))
        // The last is no limit but a part of another.
        #expect(counted == Set(SMTPSettings.Name.allCases.map(\.rawValue)).subtracting(["min-data-rate-after"]))
    }

    @Test func `a reply tells of its limit, and no other does`() {
        for limit in SessionLimit.allCases { #expect(SessionLimit(toldBy: limit.reply) == limit) }
        for excess in ClientLedger.Excess.allCases { #expect(SessionLimit(toldBy: excess.reply) == nil) }
    }

    @Test func `a pace is of the time in which content was waited for`() {
        var pace = Pace()
        #expect(pace.left(atLeast: 50, after: 60_000) == 60_000)
        #expect(pace.left(atLeast: 0, after: 60_000) == .max)
        // A thousand bytes pay for twenty seconds, and half of what came was there before.
        pace.waits(since: 1_000, having: 500)
        pace.heard(at: 31_000, having: 1_500)
        #expect(pace.left(atLeast: 50, after: 60_000) == 50_000)
        // What passes until the next wait is ours.
        pace.waits(since: 900_000, having: 0)
        pace.heard(at: 949_999, having: 0)
        #expect(pace.left(atLeast: 50, after: 60_000) == 1)
        pace.waits(since: 950_000, having: 0)
        pace.heard(at: 950_001, having: 0)
        #expect(pace.left(atLeast: 50, after: 60_000) == 0)
        // One byte now and then does not help.
        pace.waits(since: 960_000, having: 0)
        pace.heard(at: 960_001, having: 1)
        #expect(pace.left(atLeast: 50, after: 60_000) == 19)
    }
}
