// SPDX-License-Identifier: ISC

import IPC
import Mail
import Posix
import Schedule

extension QueueProcess {
    // Of one answer; an administrator with more has to look at the queue.
    private static let mostDestinations = 10_000

    /// What waits for each relay destination, when it is tried next, and what the last try came to.
    func destinations() -> [ControlAnswer] {
        let now = now
        let wall = SystemClock.now()
        let all = schedule.relayDestinations(now: now, limit: Self.mostDestinations)
        let records = all.map { destination -> ControlAnswer in
            let reply = destination.next.flatMap { shelf.recipient($0)?.reply }
            return .record([
                ControlField(name: "action", value: .text(destination.action)),
                ControlField(name: "domain", value: .text(destination.domain)),
                ControlField(name: "recipients", value: .number(Int64(destination.recipients))),
                ControlField(name: "inflight", value: .number(Int64(destination.inFlight))),
                ControlField(name: "window", value: .number(Int64(destination.window))),
                ControlField(
                    name: "next",
                    value: destination.due.map { .number($0.timestamp(wall: wall, now: now).seconds) } ?? .absent),
                ControlField(name: "last", value: reply.map { .text("\($0)") } ?? .absent),
            ])
        }
        return records + [.done(count: UInt64(records.count))]
    }
}
