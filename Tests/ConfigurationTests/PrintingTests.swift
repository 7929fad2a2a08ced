// SPDX-License-Identifier: ISC

import Configuration
import Testing

struct PrintingTests {
    static let text = """
        pki m cert "/c" key "/k"
        srs key "srs-secret"
        table creds { bob = "listener-secret" }
        table relaycreds { l = "relay-secret" }
        table hosts { "smtp+tls://l@mx.example.org" }
        queue encryption "queue-secret-that-has-32-bytes-x"
        listen on eth0 tls pki m auth <creds>
        action in mda "deliver command-secret" alias { a = b } user bob ttl 2d
        action out relay host <hosts> auth <relaycreds> srs
        match for local action in
        match for any action out
        """

    static let holders: [(PrintedRole, [String])] = [
        (.all, ["srs", "listener", "relay", "queue", "command"]), (.listener, []),
        (.lookup, ["srs", "listener", "relay", "command"]), (.queue, ["queue"]), (.relay, []), (.local, []),
        (.keys, []),
        (.resolver, []),
    ]

    @Test(arguments: holders)
    func `a print holds only the secrets of its role`(role: PrintedRole, secrets: [String]) throws {
        let print = try #require(parse(Self.text).configuration).printed(for: role)
        for secret in ["srs", "listener", "relay", "queue", "command"] {
            #expect(print.contains("\(secret)-secret") == secrets.contains(secret), "\(secret)")
        }
        #expect(print.contains("/k") == (role == .all))
    }

    static let prints: [(PrintedRole, String)] = [
        (.listener, "pki m\nlisten on eth0 tls pki m auth <creds>\nlisten on socket\n"),
        (.queue, "queue encryption queue-secret-that-has-32-bytes-x\naction in mbox ttl 2d\naction out relay\n"),
        (
            .relay,
            """
            table hosts { smtp+tls://l@mx.example.org }
            action out relay host <hosts> auth <relaycreds> srs

            """
        ),
        (.local, "action in mda \"\" user bob ttl 2d\n"), (.keys, "pki m\n"), (.resolver, ""),
    ]

    @Test(arguments: prints)
    func `a role's print`(role: PrintedRole, expected: String) throws {
        #expect(try #require(parse(Self.text).configuration).printed(for: role) == expected)
    }

    @Test func `any string that can be read can be printed`() throws {
        var random = Random(seed: 7)
        let bytes = Array("ab:_ \t\\\"'$#{}<>=!,()/@.-%0123456789\u{e9}".unicodeScalars)
        for _ in 0..<5_000 {
            var text = "table t { \""
            for _ in 0..<random.below(8) { text.unicodeScalars.append(bytes[random.below(bytes.count)]) }
            text += "\" a"
            for _ in 0..<random.below(4) { text.unicodeScalars.append(bytes[random.below(bytes.count)]) }
            text += "\n}"
            guard let first = parse(text, .partial).configuration else { continue }
            let again = parse(first.printed(for: .all), .partial).configuration
            #expect(again?.withoutLocations == first.withoutLocations, "\(text)")
        }
    }
}
