// SPDX-License-Identifier: ISC

import Configuration
import IPC
import Mail
import Testing

@testable import Lookup

@Suite struct ListenerClaimsTests {
    struct Claim: Sendable {
        var statement: UInt16? = 0
        var address: String? = "192.0.2.1"
        var serverName = "mail.example.org"
        var greeting = "client.example.org"
        var tag: String?
        var user: String?
        var isInternal = false
        var isAuthenticated = false
        var isSecure = false
    }

    // 0: plain, 1: with TLS, a tag and a name of its own, 2: the socket
    private static var listeners: [ListenStatement] {
        var second = ListenStatement(.interface("192.0.2.9"))
        second.encryption = .offered
        second.tag = "INNER"
        second.hostname = "inner.example.org"
        return [ListenStatement(.interface("192.0.2.8")), second, ListenStatement(.socket)]
    }

    private func fault(_ claim: Claim, of user: String? = nil) throws -> String? {
        let name = try #require(Domain("mail.example.org"))
        let origin = Origin(
            serverName: try #require(Domain(claim.serverName)), greeting: claim.greeting, hostName: "<unknown>",
            address: claim.address.flatMap { IPAddress($0) }, tag: claim.tag, user: claim.user,
            isInternal: claim.isInternal)
        let request = ExpansionRequest(
            message: MessageID(1), number: 0, sender: .null, recipient: try #require(Mailbox("joe@example.org")),
            report: ReportRequest(), statement: claim.statement, origin: origin,
            isAuthenticated: claim.isAuthenticated, isSecure: claim.isSecure)
        return ListenerClaims(Self.listeners, serverName: name).fault(in: request, user: user)
    }

    static let good: [Claim] = [
        Claim(), Claim(statement: 1, serverName: "inner.example.org", tag: "INNER"),
        Claim(statement: 1, serverName: "INNER.example.org", tag: "INNER", isSecure: true),
        Claim(statement: 2, address: nil, isAuthenticated: true), Claim(statement: 2, address: nil),
        Claim(statement: 2, address: nil, isInternal: true), Claim(greeting: ""),
    ]

    @Test(arguments: good)
    func `what the listen statement allows may be said`(claim: Claim) throws { #expect(try fault(claim) == nil) }

    static let bad: [Claim] = [
        Claim(statement: 3), Claim(statement: nil), Claim(statement: nil, address: nil),
        Claim(statement: nil, address: nil, isInternal: true), Claim(statement: 2), Claim(address: nil),
        Claim(statement: 1, address: nil, serverName: "inner.example.org", tag: "INNER"), Claim(isAuthenticated: true),
        Claim(user: "joe"), Claim(statement: 2, address: nil, user: "joe", isAuthenticated: true),
        Claim(isInternal: true), Claim(tag: "INNER"), Claim(statement: 1, serverName: "inner.example.org"),
        Claim(isSecure: true), Claim(statement: 2, address: nil, isSecure: true),
        Claim(serverName: "inner.example.org"), Claim(greeting: "a\nb"), Claim(greeting: "a\u{7F}"),
        Claim(greeting: String(repeating: "a", count: 1025)),
    ]

    @Test(arguments: bad)
    func `a claim of more is a violation`(claim: Claim) throws { #expect(try fault(claim) != nil) }

    @Test func `a user that is known may be claimed, or nobody, but no other`() throws {
        #expect(try fault(Claim(user: "joe", isAuthenticated: true), of: "joe") == nil)
        // The last line of SCRAM was a star, or XCLIENT came.
        #expect(try fault(Claim(), of: "joe") == nil)
        for claim in [Claim(user: "ann", isAuthenticated: true), Claim(user: "joe"), Claim(isAuthenticated: true)] {
            #expect(try fault(claim, of: "joe") != nil)
        }
    }
}
