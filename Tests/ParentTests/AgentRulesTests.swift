// SPDX-License-Identifier: ISC

import Configuration
import IPC
import Mail
import Testing

@testable import Parent

@Suite struct AgentRulesTests {
    private let rules = AgentRules(daemonUIDs: [903, 905])

    private func action(_ method: LocalAction.Method, user: String? = nil, userbase: String? = nil) -> ActionDefinition
    {
        var local = LocalAction(method)
        local.user = user
        if let userbase { local.userbase = .named(userbase) }
        return ActionDefinition(name: "in", kind: .local(local))
    }

    private func user(_ uid: UInt32, home: String = "/home/ann") -> UserAnswer {
        .found(UserRecord(name: "ann", uid: uid, gid: 1000, home: home))
    }

    private func code<Value>(_ decision: AgentRules.Decision<Value>) -> UInt16? {
        guard case .refused(let outcome) = decision else { return nil }
        return outcome.reply.code
    }

    @Test func `a maildir without a path is the one in the home directory`() {
        let expected = AgentRules.Plan(
            method: .maildir(path: "~/Maildir", junk: .unused), knownBy: .system(user: "ann"))
        #expect(AgentRules.plan(action(.maildir(path: nil, .unused)), for: "ann", .mailbox) == .allowed(expected))
    }

    @Test(arguments: [
        LocalAction.Method.mbox, .maildir(path: nil, .unused), .command("x"), .expandOnly,
        .lmtp(destination: "a", .user),
    ])
    func `what the user's file says is done whatever the action does`(method: LocalAction.Method) {
        let plan = AgentRules.plan(action(method), for: "ann", .commands)
        #expect(plan == .allowed(AgentRules.Plan(method: .commands(wrapper: nil), knownBy: .system(user: "ann"))))
        let table = AgentRules.plan(action(method, userbase: "people"), for: "ann", .commands)
        #expect(
            table == .allowed(AgentRules.Plan(method: .commands(wrapper: nil), knownBy: .userbase(table: "people"))))
    }

    @Test func `what an alias says is done as the user of foreign programs, and nothing else is`() {
        let foreign = AgentRules.Plan(method: .commands(wrapper: nil), knownBy: .foreign)
        #expect(AgentRules.plan(action(.mbox), for: "_martletu", .commands) == .allowed(foreign))
        #expect(AgentRules.plan(action(.mbox, user: "vmail"), for: "_martletu", .commands) == .allowed(foreign))
        #expect(AgentRules.plan(action(.mbox, userbase: "people"), for: "_martletu", .commands) == .allowed(foreign))
        #expect(code(AgentRules.plan(action(.mbox), for: "_martletu", .mailbox)) == 550)
        #expect(code(AgentRules.plan(nil, for: "_martletu", .commands)) == 451)
    }

    @Test func `an action that delivers as one user runs the commands of no other`() {
        #expect(code(AgentRules.plan(action(.mbox, user: "vmail"), for: "ann", .commands)) == 451)
        let plan = AgentRules.plan(action(.mbox, user: "vmail"), for: "vmail", .commands)
        #expect(plan == .allowed(AgentRules.Plan(method: .commands(wrapper: nil), knownBy: .system(user: "vmail"))))
    }

    @Test func `the user of the action is whom the agent becomes`() {
        let plan = AgentRules.plan(action(.mbox, user: "vmail"), for: "ann", .mailbox)
        #expect(plan == .allowed(AgentRules.Plan(method: .mbox, knownBy: .system(user: "vmail"))))
    }

    @Test func `a userbase knows the user instead of the system`() {
        let plan = AgentRules.plan(action(.mbox, userbase: "people"), for: "ann", .mailbox)
        #expect(plan == .allowed(AgentRules.Plan(method: .mbox, knownBy: .userbase(table: "people"))))
    }

    @Test(arguments: [
        LocalAction.Method.expandOnly, .forwardOnly, .lmtp(destination: "a", .user),
    ])
    func `only mailboxes have agents`(method: LocalAction.Method) {
        #expect(code(AgentRules.plan(action(method), for: "ann", .mailbox)) == 451)
    }

    @Test func `a command is run inside of the wrapper of the action`() {
        var local = LocalAction(.command("dlv"))
        local.wrapper = "low"
        let action = ActionDefinition(name: "in", kind: .local(local))
        let text = "mda wrapper high \"x %{mda}\"\nmda wrapper low \"nice %{mda}\"\n"
        let wrappers =
            ServerConfiguration.parse(Array(text.utf8), named: "t", options: ParseOptions(.partial))
            .configuration?.wrappers ?? []
        let plan = AgentRules.plan(action, for: "ann", .mailbox, wrappers: wrappers)
        let expected = AgentRules.Plan(
            method: .command("dlv", wrapper: "nice %{mda}"), knownBy: .system(user: "ann"))
        #expect(plan == .allowed(expected))
        let own = AgentRules.plan(action, for: "ann", .commands, wrappers: wrappers)
        #expect(
            own == .allowed(AgentRules.Plan(method: .commands(wrapper: "nice %{mda}"), knownBy: .system(user: "ann"))))
    }

    @Test func `another user's agent is told the home of the recipient where that is named`() {
        func home(_ method: LocalAction.Method, userbase: String? = nil) -> AgentRules.Directory? {
            let plan = AgentRules.plan(
                action(method, user: "vmail", userbase: userbase), for: "ann", .mailbox)
            guard case .allowed(let plan) = plan else { return nil }
            return plan.homeKnownBy
        }
        #expect(home(.maildir(path: "~/Maildir", .unused)) == .system(user: "ann"))
        #expect(home(.maildir(path: "~/Maildir", .unused), userbase: "people") == .userbase(table: "people"))
        #expect(home(.command("dlv -d %{user.directory}")) == .system(user: "ann"))
        #expect(home(.maildir(path: nil, .unused)) == nil)
        #expect(home(.maildir(path: "/srv/%{user.username}", .unused)) == nil)
    }

    @Test(
        arguments: [
            ("localhost:24", .host("localhost", port: 24)),
            ("/run/%{user.username}/lmtp", .socket(path: "/run/ann/lmtp")),
            ("[::1]:24", IPAddress("::1").map { .address($0, port: 24) }),
        ] as [(String, LMTPDestination.Place?)])
    func `an LMTP server is where the action says`(text: String, place: LMTPDestination.Place?) throws {
        let decision = AgentRules.server(action(.lmtp(destination: text, .user)), for: "ann", delimiters: .plus)
        #expect(decision == .allowed(try #require(place)))
    }

    @Test func `an action that is gone or relays keeps the mail waiting`() {
        #expect(code(AgentRules.plan(nil, for: "ann", .mailbox)) == 451)
        let relay = ActionDefinition(name: "out", kind: .relay(RelayAction()))
        #expect(code(AgentRules.plan(relay, for: "ann", .mailbox)) == 451)
    }

    @Test(arguments: ["", ".", "..", "../ann", "a/b", "-rf", "a b", "a\nb", "a\0", String(repeating: "a", count: 256)])
    func `what cannot be a part of a path is no user`(name: String) {
        #expect(code(AgentRules.plan(action(.mbox), for: name, .mailbox)) == 550)
    }

    @Test(arguments: ["ann", "ann.b", "a_b-c", "büro", "ann@example.org"])
    func `other names are`(name: String) { #expect(AgentRules.isName(name)) }

    @Test func `nobody becomes root or a daemon`() {
        #expect(code(rules.check(user(0), named: "root")) == 550)
        #expect(code(rules.check(user(903), named: "_martletq")) == 550)
        #expect(code(rules.check(user(905), named: "_martletd")) == 550)
        let ann = UserRecord(name: "ann", uid: 1000, gid: 1000, home: "/home/ann")
        #expect(rules.check(user(1000), named: "ann") == .allowed(ann))
    }

    @Test func `an unknown user is final, a silent database is not`() {
        #expect(code(rules.check(.absent, named: "ann")) == 550)
        #expect(code(rules.check(.temporaryFailure, named: "ann")) == 451)
        #expect(code(rules.check(user(1000, home: ""), named: "ann")) == 451)
    }

    @Test func `the agent is told its duty in a fixed order`() {
        let maildir = AgentRules.Plan(method: .maildir(path: "~/M", junk: .used), knownBy: .system(user: "ann"))
        let mbox = AgentRules.Plan(method: .mbox, knownBy: .system(user: "ann"))
        func arguments(_ plan: AgentRules.Plan) -> [String] {
            AgentRules.arguments(
                plan, user: "ann", home: "/home/ann", hostName: "mx.example.org", mailboxes: "/var/mail",
                delimiters: SubaddressDelimiters("+-"), mostCommands: 7)
        }
        #expect(arguments(maildir) == ["maildir", "~/M", "ann", "/home/ann", "mx.example.org", "+-", "junk"])
        let commands = AgentRules.Plan(method: .commands(wrapper: nil), knownBy: .system(user: "ann"))
        #expect(arguments(commands) == ["command", "-", "ann", "/home/ann", "mx.example.org", "+-", "7", "-"])
        #expect(arguments(mbox) == ["mbox", "/var/mail", "ann", "/home/ann", "mx.example.org", "+-"])
        let command = AgentRules.Plan(method: .command("dlv", wrapper: "nice %{mda}"), knownBy: .system(user: "ann"))
        let words = ["mda", "dlv", "ann", "/home/ann", "mx.example.org", "+-", "7", "nice %{mda}"]
        #expect(arguments(command) == words)
    }
}
