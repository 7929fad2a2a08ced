// SPDX-License-Identifier: ISC

import Configuration
import Testing

struct TLSTests {
    static let lists: [(String, TLSProtocols)] = [
        ("TLSv1.2", .version12), ("tlsv1.3", .version13), ("tlsv1.2,tlsv1.3", .all), ("tlsv1.3:tlsv1.2", .all),
        ("all", .all), ("default", .all), ("secure", .all), ("legacy", .all), ("tlsv1", .all),
        ("!tlsv1.3", .version12), ("all, !tlsv1.2", .version13), ("!tlsv1.0,!tlsv1.1", .all),
        ("tlsv1.0,tlsv1.1,tlsv1.2", .version12),
    ]

    @Test(arguments: lists) func `protocols are those that are left`(text: String, protocols: TLSProtocols) {
        #expect(TLSProtocols(parsing: text) == protocols)
    }

    @Test(arguments: [
        "", "ssl3", "tlsv1.1", "!all", "tlsv1.2,", ",", "!", "!!tlsv1.2", "tlsv1.2 tlsv1.3", "tlsv1.2,!tlsv1",
    ])
    func `what leaves no protocol that there is, or no word, is none`(text: String) {
        #expect(TLSProtocols(parsing: text) == nil)
    }

    @Test func `who needs which keys and authorities`() throws {
        let text = """
            pki a cert "/a" key "/ak"
            pki b cert "/b" key "/bk"
            pki c cert "/c" key "/ck"
            ca own cert "/own"
            listen on lo tls pki a pki b
            listen on lo port 465 smtps verify ca own pki a
            listen on lo port 587 tls-require verify pki b
            action x relay pki c ca own
            action y relay
            match from any for any action x
            """
        let configuration = try #require(parse(text).configuration)
        #expect(configuration.pkiOfListeners == ["a", "b"])
        #expect(configuration.pkiOfRelays == ["c"])
        #expect(configuration.authoritiesOfListeners == ["own", nil])
        #expect(configuration.authoritiesOfRelays == ["own", nil])
    }
}
