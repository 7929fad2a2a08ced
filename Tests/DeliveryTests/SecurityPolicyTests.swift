// SPDX-License-Identifier: ISC

import Configuration
import Mail
import Testing

@testable import Delivery

@Suite struct SecurityPolicyTests {
    static let cases: [(RelayURL.Scheme, RelayAction.Encryption, SecurityPolicy?)] = [
        (.smtp, .opportunistic, .opportunistic), (.smtp, .required, .required(.full)),
        (.smtp, .requiredUnverified, .required(.none)), (.smtpTLS, .opportunistic, .required(.full)),
        (.smtpTLS, .required, .required(.full)), (.smtpTLS, .requiredUnverified, .required(.none)),
        (.smtps, .opportunistic, .immediate(.full)), (.smtps, .required, .immediate(.full)),
        (.smtps, .requiredUnverified, .immediate(.none)), (.smtpPlain, .opportunistic, SecurityPolicy.none),
        (.smtpPlain, .required, nil), (.smtpPlain, .requiredUnverified, nil),
        (.lmtp, .opportunistic, SecurityPolicy.none), (.lmtp, .required, .required(.full)),
        (.lmtp, .requiredUnverified, .required(.none)),
    ]

    @Test(arguments: cases)
    func `the URL and the action make the policy`(
        scheme: RelayURL.Scheme, encryption: RelayAction.Encryption, policy: SecurityPolicy?
    ) {
        #expect(SecurityPolicy(scheme, encryption) == policy)
    }

    private func endpoint(_ port: UInt16 = 25) throws -> Endpoint {
        Endpoint(
            scheme: .smtp, security: .opportunistic, name: try #require(Domain("mx.example.org")),
            address: try #require(IPAddress("192.0.2.1")), port: port)
    }

    @Test func `a host that had TLS must have it for two days`() throws {
        var memory = SecurityMemory()
        let host = try endpoint()
        #expect(!memory.mustHaveTLS(host, now: 1000))
        #expect(memory.succeeded(host, now: 1000) == true)
        #expect(memory.succeeded(host, now: 1000) == false)
        #expect(memory.mustHaveTLS(host, now: 1000 + SecurityMemory.trustedMilliseconds - 1))
        #expect(!memory.mustHaveTLS(host, now: 1000 + SecurityMemory.trustedMilliseconds))
        #expect(!memory.mustHaveTLS(try endpoint(26), now: 1000))
    }

    @Test func `a failure never makes a host that had TLS one that has not`() throws {
        var memory = SecurityMemory()
        let host = try endpoint()
        memory.failed(host, now: 0)
        #expect(memory.cannotDoTLS(host, now: 1) && !memory.mustHaveTLS(host, now: 1))
        #expect(!memory.cannotDoTLS(host, now: SecurityMemory.brokenMilliseconds))
        #expect(memory.succeeded(host, now: 2) == true)
        memory.failed(host, now: 3)
        #expect(!memory.cannotDoTLS(host, now: 4) && memory.mustHaveTLS(host, now: 4))
    }

    @Test func `what is known is renewed when a quarter of its time is gone`() throws {
        var memory = SecurityMemory()
        let host = try endpoint()
        memory.restore(host.address, port: host.port, milliseconds: .max, now: 0)
        #expect(memory.mustHaveTLS(host, now: SecurityMemory.trustedMilliseconds - 1))
        #expect(!memory.mustHaveTLS(host, now: SecurityMemory.trustedMilliseconds))
        #expect(memory.succeeded(host, now: SecurityMemory.renewalMilliseconds - 1) == false)
        #expect(memory.succeeded(host, now: SecurityMemory.renewalMilliseconds) == true)
        // Older than what is known.
        memory.restore(host.address, port: host.port, milliseconds: 1, now: SecurityMemory.renewalMilliseconds)
        #expect(memory.mustHaveTLS(host, now: SecurityMemory.trustedMilliseconds))
    }

    @Test func `the memory of hosts is bounded`() throws {
        var memory = SecurityMemory()
        for port in UInt16(1)...UInt16.max { _ = memory.succeeded(try endpoint(port), now: 0) }
        #expect(memory.count <= SecurityMemory.most)
        #expect(memory.mustHaveTLS(try endpoint(.max), now: 1))
    }
}
