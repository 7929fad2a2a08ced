// SPDX-License-Identifier: ISC

import Bytes
import Mail
import SMTP
import Testing

struct ClientScramTests {
    // The example of RFC 7677 section 3.
    private static let nonce = "rOprNGfwEbeRWgbNEkqO"
    private static let clientFirst = "biwsbj11c2VyLHI9ck9wck5HZndFYmVSV2diTkVrcU8="
    private static let serverFirst =
        "cj1yT3ByTkdmd0ViZVJXZ2JORWtxTyVodllEcFdVYTJSYVRDQWZ1eEZJbGopaE5sRiRrMCxzPVcyMlphSjBTTlk3c2"
        + "9Fc1VFamI2Z1E9PSxpPTQwOTY="
    private static let clientFinal =
        "Yz1iaXdzLHI9ck9wck5HZndFYmVSV2diTkVrcU8laHZZRHBXVWEyUmFUQ0FmdXhGSWxqKWhObEYkazAscD1kSHpiWmFwV0lrNGpV"
        + "aE4rVXRlOXl0YWc5empmTUhnc3FtbWl6N0FuZFZRPQ=="
    private static let serverFinal = "dj02cnJpVFJCaTIzV3BSUi93dHVwK21NaFVaVW4vZEI1bkxUSlJzamw5NUc0PQ=="

    /// A first message of the server with that nonce, salt and count.
    private static func first(_ nonce: String, _ salt: String, _ count: String) -> String {
        "r=\(nonce),s=\(salt),i=\(count)"
    }

    private func begun() -> ClientSession {
        var session = ClientSession(name: clientDomain("client.example.org"), channel: .tls)
        _ = session.begin()
        _ = session.receive(Reply(220, nil, ""))
        _ = session.receive(Reply(250, lines: ["x", "AUTH PLAIN LOGIN SCRAM-SHA-256"]))
        let action = session.authenticate(
            user: "user", password: Secret(Array("pencil".utf8)), nonce: Self.nonce)
        #expect(action == .send(Array("AUTH SCRAM-SHA-256 \(Self.clientFirst)\r\n".utf8)))
        return session
    }

    private func keyed() -> ClientSession {
        var session = begun()
        guard case .makeKey(var key) = session.receive(Reply(334, nil, Self.serverFirst)) else {
            Issue.record("no key is asked for")
            return session
        }
        var made: [UInt8]?
        while made == nil { made = key.advance(1000) }
        #expect(session.keyMade(made ?? []) == .send(Array((Self.clientFinal + "\r\n").utf8)))
        return session
    }

    @Test func `SCRAM is preferred, and speaks as its RFC shows`() {
        var session = keyed()
        #expect(!String(describing: session).contains("pencil"))
        var inOneStep = session
        #expect(session.receive(Reply(334, nil, Self.serverFinal)) == .send(Array("\r\n".utf8)))
        #expect(session.receive(Reply(235, nil, "Welcome")) == .idle)
        #expect(inOneStep.receive(Reply(235, nil, Self.serverFinal)) == .idle)
    }

    @Test(arguments: ["v=AAAA", "", "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G3=", "e=other"])
    func `a server that does not know the password is left`(_ text: String) {
        let bytes = Array(text.utf8)
        let proof = String(decoding: Base64.encode(bytes.span), as: UTF8.self)
        for code: UInt16 in [235, 334] {
            var session = keyed()
            guard case .close(.refused) = session.receive(Reply(code, nil, proof)) else {
                Issue.record("believed: \(proof)")
                return
            }
        }
    }

    @Test(arguments: [
        first("other", "W22Z", "4096"), first(nonce, "W22Z", "4096"), first(nonce + "x", "W22Z", "100"),
        first(nonce + "x", "W22Z", "99999999"), first(nonce + "x", "", "4096"), first(nonce + "x", "!", "4096"),
        "r=\(nonce)x,i=4096", "m=x," + first(nonce + "x", "W22Z", "4096"), "",
    ])
    func `a first message that is not as it should be ends it`(_ text: String) {
        var session = begun()
        let bytes = Array(text.utf8)
        let message = String(decoding: Base64.encode(bytes.span), as: UTF8.self)
        guard case .close(.refused) = session.receive(Reply(334, nil, message)) else {
            Issue.record("taken: \(text)")
            return
        }
    }

    @Test func `success without a word of the server is none`() {
        var session = begun()
        guard case .close(.refused) = session.receive(Reply(235, nil, "")) else {
            Issue.record("believed")
            return
        }
    }
}
