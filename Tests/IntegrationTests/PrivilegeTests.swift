// SPDX-License-Identifier: ISC

import Glibc
import Testing

extension WholeHouse.Private {
    /// What the kernel says of each process.
    struct Privileges {
        private static let users = [
            "listener": "_martlet", "lookup": "_martletl", "resolver": "_martletr", "queue": "_martletq",
            "relay": "_martletx", "local": "_martletd", "keys": "_martletk",
        ]

        @Test func `each daemon has a user of its own`() throws {
            let instance = try Instance()
            try instance.start(instance.usual())
            var seen: [String: Set<String>] = [:]
            for process in instance.daemons() { seen[process.role, default: []].formUnion(process.uids) }
            #expect(Set(seen.keys) == Set(Self.users.keys))
            for (role, name) in Self.users {
                let account = try #require(Host.account(name))
                #expect(seen[role] == ["\(account.uid)"], "\(role)")
            }
            #expect(Set(seen.values).count == Self.users.count)
            try instance.stop()
        }

        @Test func `each daemon has given up what it does not need`() throws {
            let instance = try Instance()
            try instance.start(instance.usual())
            for process in instance.daemons() {
                let status = process.status
                #expect(status["Seccomp"] == "2", "\(process.role)")
                #expect(status["NoNewPrivs"] == "1", "\(process.role)")
                for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
                    #expect(status[set].flatMap { UInt64($0, radix: 16) } == 0, "\(process.role) \(set)")
                }
                // Queue has a second thread, the one that syncs the disk.
                #expect(status["Threads"] == (process.role == "queue" ? "2" : "1"), "\(process.role)")
                #expect(
                    status["Groups"] == ""
                        || status["Groups"] == status["Gid"]?.split(separator: "\t").first.map(String.init),
                    "\(process.role)")
            }
            try instance.stop()
        }

        @Test func `an agent is the user it delivers for`() throws {
            let instance = try Instance()
            try instance.start(instance.usual())
            let user = try #require(Host.account("user007"))
            try instance.submit(to: ["user007@example.org"])
            #expect(instance.mailbox("user007").waitForMessages(1))
            var facts = stat()
            #expect(stat(instance.maildir("user007"), &facts) == 0)
            #expect(facts.st_uid == user.uid)
            #expect(facts.st_mode & 0o077 == 0)
            for agent in instance.descendants() where agent.name == "martlet-mailbox" {
                #expect(Set(agent.uids) == ["\(user.uid)"])
                #expect(agent.status["CapEff"].flatMap { UInt64($0, radix: 16) } == 0)
            }
            try instance.stop()
        }
    }
}
