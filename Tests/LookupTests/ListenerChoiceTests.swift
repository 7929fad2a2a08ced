// SPDX-License-Identifier: ISC

import Configuration
import IPC
import Mail
import Testing

@testable import Lookup

@Suite struct ListenerChoiceTests {
    private static let text = """
        listen on socket
        listen on eth0 inet4 tag outside
        listen on eth1 port 587 tls-require pki m auth <creds> tag submission
        listen on eth2 tls pki m
        """

    private func choose(_ change: (inout HypotheticalRecipient) -> Void) throws -> ListenerChoice {
        let parsed = ServerConfiguration.parse(
            Array(Self.text.utf8), named: "t", options: ParseOptions(.partial, unsupported: []))
        let configuration = try #require(parsed.configuration)
        var recipient = HypotheticalRecipient(
            client: IPAddress("192.0.2.1"), sender: .null, recipient: try #require(Mailbox("bob@example.org")))
        change(&recipient)
        return ListenerChoice.choose(for: recipient, among: configuration.listeners)
    }

    private func line(_ change: (inout HypotheticalRecipient) -> Void = { _ in }) throws -> Int? {
        guard case .found(let listener) = try choose(change) else { return nil }
        return listener.location.line
    }

    @Test func `a client comes in where it can`() throws {
        #expect(try line() == 4)
        #expect(try line { $0.client = nil } == 1)
        #expect(try line { $0.tag = "outside" } == 2)
        #expect(try line { $0.client = IPAddress("2001:db8::1") } == 4)
        #expect(try line { $0.isSecure = true } == 4)
        #expect(
            try line {
                $0.isSecure = true
                $0.user = "bob"
            } == 3)
    }

    @Test func `what no statement takes is refused with the reason`() throws {
        #expect(try choose { $0.tag = "none" } == .none("no listen statement has the tag none"))
        #expect(try choose { $0.user = "bob" } == .none("every such listen statement wants TLS first: try --tls"))
        #expect(
            try choose {
                $0.tag = "submission"
                $0.isSecure = true
            } == .none("every such listen statement wants a password first: try --auth"))
        #expect(
            try choose {
                $0.tag = "outside"
                $0.client = IPAddress("2001:db8::1")
            } == .none("no listen statement has the tag outside"))
        #expect(
            try choose {
                $0.tag = "outside"
                $0.isSecure = true
            } == .none("no such listen statement offers TLS"))
        #expect(
            try choose {
                $0.client = nil
                $0.user = "bob"
            } == .none("no such listen statement asks for a password"))
    }
}
