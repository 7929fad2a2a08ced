// SPDX-License-Identifier: ISC

/// Routes that wait for a connection which others have, in the order in which they asked. Each is in it once.
struct WaitingLine {
    private var routes: [RelayRoute] = []
    private var head = 0
    private var members: Set<ObjectIdentifier> = []

    var isEmpty: Bool { head == routes.count }

    mutating func append(_ route: RelayRoute) {
        guard members.insert(ObjectIdentifier(route)).inserted else { return }
        routes.append(route)
    }

    mutating func popFirst() -> RelayRoute? {
        guard head < routes.count else { return nil }
        let route = routes[head]
        head += 1
        members.remove(ObjectIdentifier(route))
        if head == routes.count {
            routes.removeAll()
            head = 0
        } else if head >= 64, head * 2 >= routes.count {
            routes.removeFirst(head)
            head = 0
        }
        return route
    }
}
