// SPDX-License-Identifier: ISC

import Channel
import IPC
import Mail
import Reactor

/// The names of clients, kept for a minute: most clients come more than once.
final class NameCache {
    private static let lifetimeMilliseconds: UInt64 = 60_000
    private static let most = 4096
    // The banner waits no longer for a name.
    private static let patienceMilliseconds: UInt64 = 5_000

    let resolver = PeerSlot<FromResolver, ToResolver>()
    private var known: [IPAddress: (name: ClientName, until: UInt64)] = [:]

    func name(of address: IPAddress) async -> ClientName {
        let now = Loop.milliseconds
        if let entry = known[address], entry.until > now { return entry.name }
        let answer: FromResolver
        do {
            answer = try await resolver.request(.name(of: address), timeoutMilliseconds: Self.patienceMilliseconds)
        } catch {
            return .temporaryFailure
        }
        guard case .name(let name) = answer else { return .temporaryFailure }
        if known.count >= Self.most { known.removeAll() }
        known[address] = (name, Loop.milliseconds + Self.lifetimeMilliseconds)
        return name
    }
}
