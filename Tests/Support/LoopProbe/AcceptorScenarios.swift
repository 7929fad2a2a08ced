// SPDX-License-Identifier: ISC

import Glibc
import Mail
import Posix
import Reactor

enum AcceptorScenarios {
    static func loopback() -> IPAddress {
        guard let address = IPAddress("127.0.0.1") else { preconditionFailure("a constant address") }
        return address
    }

    private static func clients(_ count: Int, of listener: borrowing FileDescriptor) throws -> [Int32] {
        guard let address = listener.localAddress else { return [] }
        var numbers: [Int32] = []
        for _ in 0..<count { numbers.append(try FileDescriptor.connect(to: address).release()) }
        return numbers
    }

    /// Twelve clients and room for few: some are taken, the others are told to go, and later ones are taken again.
    static func exhaustion() async throws {
        let listener = try FileDescriptor.listen(on: .internet(loopback(), port: 0), backlog: 64)
        let first = try clients(12, of: listener)
        let late = try clients(0, of: listener)
        Check.equal(late.count, 0, "none yet")
        await Loop.pause(milliseconds: 20)
        // The spare takes one number, clients the next four.
        var free = 0
        var number: Int32 = 3
        while free < 5 {
            // Numbers between may be in use: whoever started this may have left some to it.
            if fcntl(number, F_GETFD) == -1 { free += 1 }
            number += 1
        }
        var limit = rlimit(rlim_cur: rlim_t(number), rlim_max: 0)
        var old = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &old)
        limit.rlim_max = old.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        var taken: [Int32] = []
        var shed = 0
        var calls = 0
        let acceptor = Acceptor(
            listener,
            exhausted: { client in
                calls += 1
                if client != nil { shed += 1 }
            },
            accepted: { client, peer in
                if case .internet = peer {} else { Check.fail("no address of the client") }
                taken.append(client.release())
            })
        await eventually("shedding") { shed >= 2 }
        Check.equal(taken.count, 4, "taken while there was room")
        Check.that(calls < 12, "it takes a breath between: \(calls) calls")
        for number in taken { close(number) }
        let before = taken.count
        await eventually("takes again") { taken.count + shed == first.count }
        Check.that(taken.count > before, "clients were taken when there was room again")
        for number in taken[before...] + first { close(number) }
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &old)
        withExtendedLifetime(acceptor) {}
    }

    static func pause() async throws {
        let listener = try FileDescriptor.listen(on: .internet(loopback(), port: 0), backlog: 64)
        guard let address = listener.localAddress else { return Check.fail("no address") }
        var taken = 0
        let acceptor = Acceptor(listener) { _, _ in taken += 1 }
        acceptor.pause()
        let first = try FileDescriptor.connect(to: address)
        await Loop.pause(milliseconds: 30)
        Check.equal(taken, 0, "taken while paused")
        acceptor.resume()
        await eventually("taken") { taken == 1 }
        // A client that has gone before it is accepted does no harm.
        let second = try FileDescriptor.connect(to: address)
        close(second.release())
        let third = try FileDescriptor.connect(to: address)
        await eventually("taken all") { taken >= 2 }
        Check.that(first.number >= 0 && third.number >= 0, "still open")
    }
}
