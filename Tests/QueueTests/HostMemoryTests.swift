// SPDX-License-Identifier: ISC

import IPC
import Mail
import Testing

@testable import Queue

struct HostMemoryTests {
    private let now = Timestamp(seconds: 1_795_478_400)

    private func host(_ number: UInt16, until: Timestamp) throws -> ProtectedHost {
        ProtectedHost(address: try #require(IPAddress("192.0.2.1")), port: number, until: until)
    }

    @Test func `a host is found again until its time has passed`() throws {
        var memory = HostMemory()
        let one = try host(25, until: now + .hours(1))
        let other = try host(26, until: now + .days(900))
        var notes: [[UInt8]: [UInt8]] = [[1]: [2]]
        for host in [one, other] {
            let note = memory.insert(host, now: now)
            notes[try #require(note?.key)] = note?.value
        }
        let late = memory.insert(try host(27, until: now), now: now)
        #expect(late?.key == nil)
        var next = HostMemory()
        #expect(next.restore(notes, now: now) == [])
        #expect(Set(next.all) == [one, try host(26, until: now + HostMemory.longestLife)])
        #expect(next.expired(now: now) == [])
        let expired = next.expired(now: now + .hours(1))
        #expect(expired.count == 1 && next.all.map(\.port) == [26])
        var last = HostMemory()
        let obsolete = last.restore(notes, now: now + .days(2))
        #expect(obsolete.count == 2 && last.all.isEmpty)
    }

    @Test func `what is known is noted again when an hour is won by it`() throws {
        var memory = HostMemory()
        let lives: [Int64] = [10, 10, 9, 11, 12, 11]
        let notes = try lives.map { hours in
            memory.insert(try host(25, until: now + .hours(hours)), now: now) != nil
        }
        #expect(notes == [true, false, false, true, true, false])
        #expect(memory.all.map(\.until) == [now + .hours(12)])
    }

    @Test func `a note that is none of ours is left alone, one that cannot be read is forgotten`() {
        var memory = HostMemory()
        let broken = Array("tls-host ".utf8) + [9]
        #expect(memory.restore([broken: [1], Array("tls".utf8): [1]], now: now) == [broken])
    }

    @Test func `there are no more than a relay knows`() throws {
        var memory = HostMemory()
        let count = (0...UInt16.max).count { port in
            (try? host(port, until: now + .hours(1))).flatMap { memory.insert($0, now: now) } != nil
        }
        #expect(count == HostMemory.most && memory.all.count == HostMemory.most)
    }
}
