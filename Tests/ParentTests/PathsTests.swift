// SPDX-License-Identifier: ISC

import IPC
import Testing

@testable import Parent

@Suite struct PathsTests {
    @Test func `an installation has the places of the system`() {
        let paths = Paths(instance: nil)
        #expect(paths.spool == "/var/spool/martlet")
        #expect(paths.control == "/run/martlet/control")
    }

    @Test(arguments: ["/srv/mail", "/srv/mail/", "/srv/mail//"])
    func `an instance has all below its directory`(directory: String) {
        let paths = Paths(instance: directory)
        #expect(paths.spool == "/srv/mail/spool")
        #expect(paths.empty == "/srv/mail/run/empty")
    }

    @Test(arguments: [
        ("/usr/sbin/martletd", ["/usr/sbin", "/usr/libexec/martlet"]),
        ("/usr/local/sbin/martletd", ["/usr/local/sbin", "/usr/local/libexec/martlet"]),
        ("/sbin/martletd", ["/sbin", "/libexec/martlet"]),
        ("/src/.build/release/martletd", ["/src/.build/release", "/src/.build/libexec/martlet"]),
    ])
    func `the other programs are beside it or in the libexec of its prefix`(executable: String, places: [String]) {
        #expect(Array(Paths.programDirectories(executable: executable).prefix(2)) == places)
    }
}

@Suite struct ReplacementTests {
    @Test func `the first is replaced at once, those that die young later and later`() {
        var replacement = Replacement()
        let pauses = (0..<12).map { _ in replacement.died(atAge: 1000) }
        #expect(pauses == [0, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000])
    }

    @Test func `one that lived long enough is replaced at once again`() {
        var replacement = Replacement()
        for _ in 0..<5 { _ = replacement.died(atAge: 0) }
        #expect(replacement.died(atAge: 60_000) == 0)
        #expect(replacement.died(atAge: 59_999) == 100)
    }
}

@Suite struct TimingTests {
    @Test func `tests shorten the times, nonsense does not`() {
        #expect(Timing { _ in nil } == Timing { _ in "-1" })
        let values = ["MARTLET_ALIVE_INTERVAL_MS": "50", "MARTLET_ALIVE_LIMIT_MS": "200"]
        let timing = Timing { values[$0] }
        #expect(timing.aliveInterval == 50)
        #expect(timing.aliveLimit == 200)
    }

    @Test func `a large spool takes as long as it takes to read`() {
        let timing = Timing { _ in nil }
        #expect(timing.longestStart(of: .listener) == 30_000)
        #expect(timing.longestStart(of: .queue) == 3_600_000)
    }
}

@Suite struct DrainTests {
    @Test func `mail stops coming in first and each duty is told once`() {
        let order: [Drain] = [.listeners, .deliveries, .stores]
        #expect(order.flatMap(\.roles).count == 7)
        #expect(Set(order.flatMap(\.roles)).count == 7)
        #expect(order.map(\.next) == [.deliveries, .stores, .ended])
        #expect(Drain.ended.latestStart == 15_000)
        #expect(order.allSatisfy { $0.latestStart < $0.next.latestStart })
    }
}

@Suite struct MissingUsersTests {
    @Test func `one line names the user and the command that makes it`() throws {
        #expect(Estate.missingUsers([]) == nil)
        let one = try #require(Estate.missingUsers(["_martletq"]))
        #expect(one.reason.hasPrefix("user _martletq is missing: useradd --system "))
        #expect(one.reason.hasSuffix(" _martletq"))
        let two = try #require(Estate.missingUsers(["_martlet", "_martletq"]))
        #expect(!two.reason.contains("\n"))
        #expect(two.reason.contains("for user in _martlet _martletq; do useradd"))
    }
}
