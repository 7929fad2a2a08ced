// SPDX-License-Identifier: ISC

import Glibc
import Testing

extension WholeHouse.Unprivileged {
    struct QueueDeaths {
        /// The suite has time for some; all of them with MARTLET_QUEUE_KILLS=200.
        private static let kills = Host.variable("MARTLET_QUEUE_KILLS").flatMap { Int($0) } ?? 6

        @Test(.timeLimit(.minutes(60)))
        func `Queue is killed again and again under load, and nothing that was acknowledged is lost`() throws {
            let instance = try Instance()
            let sink = try Sink(instance)
            try instance.start(instance.usual(relay: instance.relay(to: sink)))
            let source = try NumberedSource(instance, to: ["bob@example.com", "carol@example.net"], pause: 0.005)
            #expect(source.waitForMore(20))
            var random = SystemRandomNumberGenerator()
            var last: pid_t = 0
            for death in 1...Self.kills {
                let isBack = eventually(within: 90) {
                    instance.daemons().contains { $0.role == "queue" && $0.pid != last }
                }
                try #require(isBack, "Queue did not come back after death \(death - 1): \(instance.lastWords)")
                // At any moment: in the middle of its start too.
                poll(nil, 0, Int32.random(in: 0...150, using: &random))
                guard let queue = instance.daemons().first(where: { $0.role == "queue" && $0.pid != last })
                else { continue }
                last = queue.pid
                kill(queue.pid, SIGKILL)
                if death.isMultiple(of: 3) { #expect(source.waitForMore(3, seconds: 90), "\(instance.lastWords)") }
            }
            let acknowledged = try source.finish()
            let isEmpty = try eventually(within: 90) {
                try instance.control("schedule", "all")
                return try instance.isQueueEmpty(within: 1)
            }
            #expect(isEmpty, "\(instance.queueText)")
            let (times, halves) = NumberedSource.count(sink.contents())
            let lost = acknowledged.subtracting(times.keys)
            let repeated = times.filter { $0.value > 1 }
            print(
                "Queue killed \(Self.kills) times: \(acknowledged.count) acknowledged, \(lost.count) lost, "
                    + "\(repeated.count) delivered more than once")
            #expect(lost.isEmpty, "lost: \(lost.sorted())")
            #expect(halves.isEmpty)
            try instance.stop()
        }
    }
}
