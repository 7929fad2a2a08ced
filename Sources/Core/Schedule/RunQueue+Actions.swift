// SPDX-License-Identifier: ISC

// What one action may have in hand of the local deliveries: each user is a route, but behind all users of an action may
// stand one server, and it may hang.

extension RunQueue {
    mutating func action(of key: RouteKey) -> UInt32? {
        switch key {
        case .relay:
            return nil
        case .local(let name, _):
            if let known = actionNumbers[name] { return known }
            // As many as the configurations of this process have named.
            let number = UInt32(actions.count)
            actions.append(ActionRecord())
            actionNumbers[name] = number
            return number
        }
    }

    /// Whether the action of a route has all that it may have: beyond what is ample for each, never more than it leaves
    /// to the others. So there is room for an action that has nothing in flight, whatever hangs.
    func hasShare(_ number: UInt32) -> Bool {
        guard let action = routes[Int(number)].action else { return false }
        let index = Int(action)
        guard actions[index].inFlight > 0 else { return false }
        return actions[index].inFlight >= max(limits.local.ampleForAction, room(.local))
            || actions[index].bytes >= max(1, roomInBytes(.local))
    }

    /// Has a route wait for the ends of others of its action, if these are what it needs.
    mutating func park(_ number: UInt32) {
        guard hasShare(number), let action = routes[Int(number)].action else { return }
        routes[Int(number)].isInRing = true
        actions[Int(action)].parked.append(number)
    }

    /// Brings up to `count` routes back that wait for their action: while any do, something of the action is in flight,
    /// or stands in the ring.
    mutating func unpark(_ action: UInt32?, _ count: Int, now: Instant) {
        guard let action else { return }
        var left = count
        while left > 0, let number = actions[Int(action)].parked.popFirst() {
            routes[Int(number)].isInRing = false
            activate(number, now: now)
            if routes[Int(number)].isInRing { left -= 1 } else { reclaim(number) }
        }
    }

    mutating func countIn(_ batch: BatchRecord) {
        guard let action = routes[Int(batch.route)].action else { return }
        let index = Int(action)
        actions[index].inFlight += batch.members.count
        let sharers = actions[index].sharers[batch.message, default: 0] + 1
        actions[index].sharers[batch.message] = sharers
        if sharers == 1 { actions[index].bytes += batch.cost }
    }

    mutating func countOut(_ batch: BatchRecord, now: Instant) {
        guard let action = routes[Int(batch.route)].action else { return }
        let index = Int(action)
        actions[index].inFlight -= batch.members.count
        let sharers = actions[index].sharers[batch.message, default: 1] - 1
        actions[index].sharers[batch.message] = sharers > 0 ? sharers : nil
        if sharers == 0 { actions[index].bytes -= batch.cost }
        // One more than has ended, since the others may leave more by now.
        unpark(action, batch.members.count + 1, now: now)
    }
}
