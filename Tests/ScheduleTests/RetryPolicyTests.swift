// SPDX-License-Identifier: ISC

import Mail
import Testing

@testable import Schedule

struct RetryPolicyTests {
    @Test(arguments: [
        (0, 0, 400), (1, 0, 400), (1, 5, 400), (1, 399, 400), (1, 400, 1600), (2, 0, 1600), (2, 1700, 3600),
        (3, 3700, 6400), (0, 9999, 10000), (0, 10000, 14400),
    ])
    func `a relay attempt follows the square of the count`(attempts: Int, now: Int64, next: Int64) {
        #expect(RetryPolicy.relay.next(created: .at(0), attempts: attempts, after: .at(now)) == .at(next))
    }

    @Test(arguments: [(1, 0, 10), (1, 10, 40), (2, 41, 90), (4, 90, 160), (0, 86400, 86490)])
    func `a local attempt starts with ten seconds`(attempts: Int, now: Int64, next: Int64) {
        #expect(RetryPolicy.local.next(created: .at(0), attempts: attempts, after: .at(now)) == .at(next))
    }

    @Test func `the closed form agrees with counting up`() {
        var numbers = Numbers(state: 7)
        for _ in 0..<2000 {
            let created = Int64(numbers.below(1_000_000)) - 500_000
            let now = created + Int64(numbers.below(400_000_000))
            let attempts = numbers.below(40)
            var step = Int64(attempts)
            while created + 400_000 * step * step <= now { step += 1 }
            let next = RetryPolicy.relay.next(
                created: Instant(milliseconds: created), attempts: attempts, after: Instant(milliseconds: now))
            #expect(next.milliseconds == created + 400_000 * step * step)
        }
    }

    @Test func `a creation in the future and absurd counts do no harm`() {
        #expect(RetryPolicy.relay.next(created: .at(900), attempts: 0, after: .at(0)) == .at(900))
        #expect(RetryPolicy.relay.next(created: .at(0), attempts: .max, after: .at(0)) > .at(0))
        #expect(RetryPolicy.relay.next(created: .at(0), attempts: -1, after: .at(0)) == .at(400))
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
