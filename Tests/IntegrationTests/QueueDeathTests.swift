// SPDX-License-Identifier: ISC

import Glibc
import Testing

extension WholeHouse.Unprivileged {
    struct QueueDeaths {
        /// The suite has time for some; all of them, in some minutes, with MARTLET_QUEUE_KILLS=200. Each round has a spool
        /// of its own, and the time that every story of the suite has.
        private static let rounds: [Int] = {
            let kills = Host.variable("MARTLET_QUEUE_KILLS").flatMap { Int($0) } ?? 6
            return stride(from: 0, to: kills, by: killsOfOneRound).map { min(killsOfOneRound, kills - $0) }
        }()
        private static let killsOfOneRound = 50
        /// Parent waits longer after each death, soon half a minute. After so many the whole house is ended in good order,
        /// and the next one begins anew, on the same spool and under the same load.
        private static let killsOfOneHouse = 6

        @Test(arguments: rounds)
        func `Queue is killed again and again under load, and nothing that was acknowledged is lost`(
            kills: Int
        ) throws {
            let instance = try Instance()
            let sink = try Sink(instance)
            try instance.start(instance.usual(relay: instance.relay(to: sink)))
            let source = try NumberedSource(instance, to: ["bob@example.com", "carol@example.net"], pause: 0.005)
            #expect(source.waitForMore(20))
            var deaths = 0
            var houses = 1
            while deaths < kills {
                if deaths >= houses * Self.killsOfOneHouse {
                    #expect(source.waitForMore(3, seconds: 90), "\(instance.lastWords)")
                    try instance.stop()
                    try instance.start()
                    houses += 1
                }
                deaths += try killQueue(of: instance)
                if deaths.isMultiple(of: 3) { #expect(source.waitForMore(3, seconds: 90), "\(instance.lastWords)") }
                if deaths.isMultiple(of: 25) {
                    print("Queue killed \(deaths) times: \(source.acknowledged.count) acknowledged")
                }
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
                "Queue killed \(deaths) times, in \(houses) houses: \(acknowledged.count) acknowledged, "
                    + "\(lost.count) lost, \(halves.count) not whole, \(repeated.count) delivered more than once")
            #expect(lost.isEmpty, "lost: \(lost.sorted())")
            #expect(halves.isEmpty)
            try instance.stop()
        }

        /// Kills the Queue that is there, or comes, at any moment: in the middle of its start, or while mail comes and
        /// goes. How many it were.
        private func killQueue(of instance: Instance) throws -> Int {
            let isThere = eventually(within: 90) { queue(of: instance) != nil }
            try #require(isThere, "Queue did not come back: \(instance.lastWords)")
            poll(nil, 0, Int32.random(in: Bool.random() ? 0...150 : 0...1000))
            guard let queue = queue(of: instance), kill(queue.pid, SIGKILL) == 0 else { return 0 }
            let isGone = eventually(within: 90) { !HouseProcess.lives(queue.pid, started: queue.started) }
            #expect(isGone)
            return 1
        }

        private func queue(of instance: Instance) -> HouseProcess? {
            instance.daemons().first { $0.role == "queue" }
        }
    }
}
