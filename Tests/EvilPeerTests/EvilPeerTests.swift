// SPDX-License-Identifier: ISC

import Foundation
import Glibc
import Testing

/// Nothing that a process says which was taken over does more than close its own edge.
@Suite(.enabled(if: Stage.hasPrograms, "evil-peer and the programs are not built"), .serialized)
struct EvilPeerTests {
    /// Mail is accepted and delivered as if nothing had been.
    private func expectMailFlows(_ stage: Stage, to user: String = "games") {
        let before = stage.mail.count
        var replies: [String] = []
        let isAccepted = eventually(within: 60) {
            replies = Client.submit(to: ["\(user)@example.org"], port: stage.port)
            return replies.last?.hasPrefix("250 2.0.0") == true
        }
        #expect(isAccepted, "\(replies) \(stage.log.suffix(3000))")
        #expect(eventually(within: 60) { stage.mail.count > before }, "\(stage.log.suffix(3000))")
    }

    private func expectLogged(_ stage: Stage, _ reasons: String..., within seconds: Double = 60) {
        let isLogged = eventually(within: seconds) { reasons.allSatisfy(stage.log.contains) }
        let missing = reasons.filter { !stage.log.contains($0) }
        #expect(isLogged, "not in the log: \(missing)\n\(stage.log.suffix(4000))")
    }

    private func expectCalm(_ stage: Stage) {
        #expect(stage.isOpen, "\(stage.log.suffix(3000))")
        // A crash would show as a signal; those who are replaced are killed, which is signal 9.
        for crash in ["signal 4", "signal 5", "signal 6", "signal 7", "signal 8", "signal 11", "Fatal error"] {
            #expect(!stage.log.contains(crash), "\(stage.log.suffix(3000))")
        }
        #expect(stage.largestMemory < 300_000, "\(stage.largestMemory) KiB")
        #expect(access(stage.forbiddenFile, F_OK) != 0)
    }

    @Test(arguments: ["listener", "lookup", "resolver", "queue", "delivery", "keys"])
    func `nonsense on every edge closes it, and is said in the log`(name: String) throws {
        let stage = try Stage("martlet-\(name)", "nonsense")
        try stage.open()
        let parent = stage.pid
        // Those who rank above it on an edge stay.
        let higher =
            switch name {
            case "queue", "lookup": stage.pids("queue")
            case "delivery": stage.pids("queue", "lookup", "resolver")
            case "keys": stage.pids("queue", "lookup", "resolver", "local")
            default: stage.pids("queue", "lookup")
            }
        stage.unleash()
        _ = eventually(within: 1.5) { false }
        #expect(stage.pid == parent)
        #expect(higher.isSubset(of: Set(stage.children.map(\.pid))), "\(stage.log.suffix(3000))")
        expectLogged(stage, "is replaced")
        expectCalm(stage)
        try stage.redeem()
        try stage.open()
        expectMailFlows(stage)
    }

    @Test func `a Listener speaks of its own transactions only, and as its sockets allow`() throws {
        let stage = try Stage("martlet-listener", "forbidden")
        try stage.open()
        let others = stage.pids("queue", "lookup", "relay", "local", "resolver", "keys")
        stage.unleash()
        // Each life says another of these, and is followed by the next one later and later.
        let reasons = [
            "content of a transaction that is not its own", "commit of a transaction that is not its own",
            "rollback of a transaction that is not its own", "a piece outside the content", "content used twice",
            "too many pieces", "a second commit", "a commit without envelopes", "an answer where none is due",
            "more content than it has credit for", "no listen statement 999", "a user that nobody has checked",
            "mail from the network that arose here", "a client's address that its listen statement excludes",
        ]
        let isClosed = eventually(within: 90) { reasons.allSatisfy(stage.log.contains) }
        #expect(isClosed, "not refused: \(reasons.filter { !stage.log.contains($0) })\n\(stage.log.suffix(4000))")
        #expect(others.isSubset(of: Set(stage.children.map(\.pid))))
        #expect(stage.mail.isEmpty)
        expectCalm(stage)
        try stage.redeem()
        try stage.open()
        expectMailFlows(stage)
    }

    @Test func `a recipient that is expanded behind the commit does not store the message twice`() throws {
        let stage = try Stage("martlet-listener", "twice")
        try stage.open()
        let others = stage.pids("queue", "lookup", "relay", "local", "resolver", "keys")
        stage.unleash()
        expectLogged(stage, "evil: committed")
        _ = eventually(within: 1) { false }
        #expect(others.isSubset(of: Set(stage.children.map(\.pid))))
        #expect(stage.mail.count == 1, "\(stage.mail) \(stage.log)")
        expectCalm(stage)
    }

    @Test func `what a Lookup stores names no root, no path and no command that anybody obeys`() throws {
        let stage = try Stage("martlet-lookup", "forbidden FILE")
        try stage.open()
        let others = stage.pids("queue", "relay", "local", "resolver", "keys", "listener")
        stage.unleash()
        expectLogged(stage, "evil: 0 users found")
        #expect(Client.submit(to: ["news@example.org"], port: stage.port).last?.hasPrefix("250 2.0.0") == true)
        _ = Client.submit(to: ["overflow@example.org", "overflow@example.org"], port: stage.port)
        expectLogged(
            stage, "No delivery as root", "Not the name of a user", "No local action of that name",
            "No alias is delivered as news", "No relay action of that name")
        #expect(stage.mail.isEmpty)
        #expect(others.isSubset(of: Set(stage.children.map(\.pid))), "\(stage.log.suffix(3000))")
        expectCalm(stage)
    }

    @Test func `the work that a Queue invents is refused, and credit without measure traps nobody`() throws {
        let stage = try Stage("martlet-queue", "forbidden FILE")
        try stage.open()
        let others = stage.pids("lookup", "relay", "local", "resolver", "keys", "listener")
        stage.unleash()
        expectLogged(stage, "evil: local has refused all", "evil: relay has refused all")
        let body = String(repeating: String(repeating: "a", count: 70) + "\r\n", count: 10_000)
        let replies = Client.submit(to: ["news@example.org"], port: stage.port, body: body)
        #expect(replies.last?.hasPrefix("250") == false, "\(replies)")
        #expect(!stage.log.contains("has delivered"))
        #expect(others.isSubset(of: Set(stage.children.map(\.pid))), "\(stage.log.suffix(3000))")
        expectCalm(stage)
        try stage.redeem()
        try stage.open()
        expectMailFlows(stage)
    }

    @Test func `a Delivery gets no agent but for the names of users, and claims no envelopes`() throws {
        let stage = try Stage("martlet-delivery", "forbidden")
        try stage.open()
        let others = stage.pids("queue", "lookup", "resolver", "keys", "listener")
        stage.unleash()
        expectLogged(
            stage, "evil: 0 agents of 15 answers to 15 wishes", "claims envelopes that nobody gave to it",
            "a second word on what is under way")
        #expect(others.isSubset(of: Set(stage.children.map(\.pid))), "\(stage.log.suffix(3000))")
        expectCalm(stage)
    }

    @Test func `no worker decides what another has in hand, and no mail is lost by it`() throws {
        let stage = try Stage("martlet-delivery", "outcome")
        try stage.open()
        stage.unleash()
        let reply = try #require(Client.submit(to: ["games@example.org"], port: stage.port).last)
        // `250 2.0.0 832a2432 Message accepted for delivery`
        let words = reply.split(separator: " ")
        try #require(words.count > 2 && words[0] == "250", "\(reply)")
        try stage.give("outcome \(words[2])")
        for pid in stage.pids("relay") { kill(pid, SIGKILL) }
        expectLogged(stage, "an outcome of an envelope that another has in hand")
        #expect(stage.mail.isEmpty)
        expectCalm(stage)
        try stage.redeem()
        try stage.open()
        #expect(eventually(within: 60) { stage.mail.count == 1 }, "\(stage.log)")
    }

    @Test func `answers of a Resolver that cannot be hold no mail up`() throws {
        let stage = try Stage("martlet-resolver", "forbidden")
        try stage.open()
        let others = stage.pids("queue", "lookup", "relay", "local", "keys", "listener")
        stage.unleash()
        expectMailFlows(stage)
        #expect(others.isSubset(of: Set(stage.children.map(\.pid))), "\(stage.log.suffix(3000))")
        expectCalm(stage)
    }

    @Test func `a Keys that does not sign spoils the handshake of the client, and no more`() throws {
        let stage = try Stage("martlet-keys", "forbidden", hasTLS: true)
        try stage.open()
        let others = stage.pids("queue", "lookup", "relay", "local", "resolver", "listener")
        stage.unleash()
        for count in 1...5 {
            #expect(try !stage.canHandshake())
            let isSigned = eventually(within: 60) {
                stage.log.components(separatedBy: "evil: signed").count > count
            }
            #expect(isSigned, "\(stage.log.suffix(3000))")
        }
        expectMailFlows(stage)
        #expect(others.isSubset(of: Set(stage.children.map(\.pid))), "\(stage.log.suffix(3000))")
        expectCalm(stage)
        #expect(!stage.log.contains("\nline"))
        #expect(stage.log.split(separator: "\n").allSatisfy { $0.utf8.count < 4096 })
        try stage.redeem()
        try stage.open()
        #expect(try stage.canHandshake())
    }

    @Test func `an agent decides only what it was given, once, and its mail waits for an honest one`() throws {
        let stage = try Stage("martlet-mailbox", "agent bytes")
        try stage.open()
        let others = stage.pids("queue", "lookup", "relay", "local", "resolver", "listener", "keys")
        let cases = [
            "games": "bytes", "news": "role", "man": "foreign", "lp": "undone", "mail": "long", "uucp": "silent",
        ]
        for (user, word) in cases {
            try stage.give("agent \(word)")
            #expect(Client.submit(to: ["\(user)@example.org"], port: stage.port).last?.hasPrefix("250 2.0.0") == true)
            let isDeferred = eventually(within: 60) {
                stage.log.split(separator: "\n").contains {
                    $0.contains("user=\(user) ") && $0.contains("result=TempFail")
                }
            }
            #expect(isDeferred, "\(word): \(stage.log.suffix(3000))")
        }
        expectLogged(stage, "mailbox agent for uucp does not answer and is killed")
        #expect(!stage.log.contains("result=Ok"), "\(stage.log)")
        #expect(!stage.log.contains("\nline"))
        #expect(stage.log.split(separator: "\n").allSatisfy { $0.utf8.count < 4096 })
        #expect(others.isSubset(of: Set(stage.children.map(\.pid))), "\(stage.log.suffix(3000))")
        expectCalm(stage)
        try stage.redeem()
        try stage.open()
        let isDelivered = eventually(within: 60) {
            _ = try? stage.schedule()
            return stage.mail.count >= cases.count
        }
        #expect(isDelivered && stage.mail.count == cases.count, "\(stage.mail) \(stage.log.suffix(3000))")
    }

    @Test func `nobody gets mail as root or a daemon because an account helper says so`() throws {
        let stage = try Stage("martlet-account", "account found")
        try stage.open()
        let others = stage.pids("queue", "lookup", "relay", "local", "resolver", "listener", "keys")
        func reply(_ user: String) -> String {
            Client.submit(to: ["\(user)@example.org"], port: stage.port).last ?? "none"
        }
        for user in ["games", "news"] { #expect(reply(user).hasPrefix("550 5.2.1")) }
        #expect(reply("man").hasPrefix("250 2.0.0"))
        // No answer to what was asked is no answer.
        #expect(reply("lp").hasPrefix("451"))
        expectLogged(stage, "No home directory")
        #expect(stage.mail.isEmpty)
        #expect(others.isSubset(of: Set(stage.children.map(\.pid))), "\(stage.log.suffix(3000))")
        expectCalm(stage)
    }

    @Test func `an account helper that talks nonsense is replaced, and recipients are refused for now`() throws {
        let stage = try Stage("martlet-account", "account nonsense")
        try stage.open()
        let others = stage.pids("queue", "lookup", "relay", "local", "resolver", "listener", "keys")
        expectLogged(stage, "lost child: account exited abnormally")
        #expect(others.isSubset(of: Set(stage.children.map(\.pid))), "\(stage.log.suffix(3000))")
        expectCalm(stage)
        try stage.redeem()
        try stage.open()
        expectMailFlows(stage)
    }

    @Test func `whoever says to Parent what a child does not say, or falls silent, is replaced`() throws {
        let stage = try Stage("martlet-listener", "parent")
        try stage.open()
        let others = stage.pids("queue", "lookup", "relay", "local", "keys", "resolver")
        stage.unleash()
        expectLogged(
            stage, "complains of parent", "complains of a mailbox", "is ready twice", "said nonsense to parent",
            "did not answer", within: 180)
        #expect(!stage.log.contains("\nline"))
        #expect(stage.log.split(separator: "\n").allSatisfy { $0.utf8.count < 4096 })
        #expect(others.isSubset(of: Set(stage.children.map(\.pid))), "\(stage.log.suffix(3000))")
        expectCalm(stage)
        try stage.redeem()
        try stage.open()
        expectMailFlows(stage)
    }

    @Test(arguments: ["listener", "lookup", "delivery"])
    func `who asks and asks and never reads costs the others a bounded memory`(name: String) throws {
        let stage = try Stage("martlet-\(name)", "deaf")
        try stage.open()
        let queue = stage.pids("queue")
        stage.unleash()
        _ = eventually(within: 1.5) { false }
        #expect(stage.pids("queue") == queue)
        expectCalm(stage)
    }
}
