// SPDX-License-Identifier: ISC

import Mail
import Testing

@testable import Schedule

struct RetryPolicyTests {
    @Test(arguments: [
        (0, 400), (5, 400), (399, 400), (400, 1600), (1599, 1600), (1700, 3600), (3700, 6400), (9999, 10000),
        (10000, 14400),
    ])
    func `a relay attempt follows the square of a count`(now: Int64, next: Int64) {
        #expect(RetryPolicy.relay.next(created: .at(0), after: .at(now)) == .at(next))
    }

    @Test(arguments: [(0, 10), (10, 40), (41, 90), (90, 160), (86400, 86490)])
    func `a local attempt starts with ten seconds`(now: Int64, next: Int64) {
        #expect(RetryPolicy.local.next(created: .at(0), after: .at(now)) == .at(next))
    }

    @Test func `the closed form agrees with counting up`() {
        var numbers = Numbers(state: 7)
        for _ in 0..<2000 {
            let created = Int64(numbers.below(1_000_000)) - 500_000
            let now = created + Int64(numbers.below(400_000_000))
            var step: Int64 = 0
            while created + 400_000 * step * step <= now { step += 1 }
            let next = RetryPolicy.relay.next(
                created: Instant(milliseconds: created), after: Instant(milliseconds: now))
            #expect(next.milliseconds == created + 400_000 * step * step)
        }
    }

    @Test func `a creation in the future does no harm`() {
        #expect(RetryPolicy.relay.next(created: .at(900), after: .at(0)) == .at(900))
    }

    @Test func `a stored time becomes an age, and never one below zero`() {
        let now = Instant.at(60)
        let wall = Timestamp(seconds: 1_000_000)
        #expect(Instant(Timestamp(seconds: 999_900), wall: wall, now: now) == .at(-40))
        #expect(Instant(Timestamp(seconds: 2_000_000), wall: wall, now: now) == now)
        #expect(Instant(Timestamp(seconds: .min), wall: wall, now: now) < now)
        #expect(Instant.at(-40).timestamp(wall: wall, now: now) == Timestamp(seconds: 999_900))
    }

    @Test func `limits are set by the reference's names`() {
        var limits = Limits()
        #expect(limits.scheduler.maxInflight == 5000 && limits.local.maxSession == 50)
        #expect(limits.local.maxSessionPerUser == 7)
        #expect(limits.setScheduler("max-inflight", to: 10) == true)
        #expect(limits.setLocal("task-hiwat", to: 60) == true)
        #expect(limits.scheduler.maxInflight == 10 && limits.local.taskHighWater == 60)
        #expect(limits.setScheduler("max-inflight", to: 0) == false)
        #expect(limits.setScheduler("task-hiwat", to: 1) == false)
        #expect(limits.setLocal("nonsense", to: 1) == false)
    }
}
