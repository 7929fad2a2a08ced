// SPDX-License-Identifier: ISC

import Mail
import Testing

@Suite struct `International addresses` {
    // The first are from RFC 3492 section 7.1, the others from names that are in use.
    @Test(arguments: [
        ("他们为什么不说中文", "xn--ihqwcrb4cv8a8dqg056pqjye"),
        ("почемужеонинеговорятпорусски", "xn--b1abfaaepdrnnbgefbadotcwatmq2g4l"),
        ("bücher.example", "xn--bcher-kva.example"), ("Bücher.Example", "xn--bcher-kva.example"),
        ("παράδειγμα.δοκιμή", "xn--hxajbheg2az3al.xn--jxalpdlp"), ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
        ("faß.example", "xn--fa-hia.example"), ("example.org", "example.org"),
    ]) func `a U-label has one A-label`(name: String, ascii: String) throws {
        let domain = try #require(Domain(name))
        #expect(domain.canonical == ascii)
        #expect(domain.text == name)
        #expect(domain.inASCII?.text.lowercased() == ascii)
        #expect(domain == Domain(ascii))
    }

    @Test(arguments: [
        "b ücher.example", "bü\u{0}cher.example", "bü\u{202E}cher.example", "ü@example", "ü!.example", "ü..example",
        "-ü.☺",
        String(repeating: "ü", count: 64) + ".example",
    ]) func `what is no name stays none`(name: String) {
        #expect(Domain(name) == nil)
    }

    @Test(arguments: ["δοκιμή@παράδειγμα.δοκιμή", "ü@example.org", "\"ü ü\"@example.org", "a@bücher.example"])
    func `an address beyond ASCII comes back as it was`(text: String) throws {
        let mailbox = try #require(Mailbox(text))
        #expect(mailbox.description == text)
        #expect(!mailbox.isASCII)
        #expect(Mailbox(mailbox.description) == mailbox)
    }

    @Test(arguments: ["ü\r\n@example.org", "ü\u{85}@example.org", "ü\u{2028}@example.org", "\"ü\n\"@example.org"])
    func `no character of an address ends a line`(text: String) {
        #expect(Mailbox(text) == nil)
    }

    @Test func `a domain can be said in ASCII, a local part cannot`() throws {
        #expect(try #require(Mailbox("a@bücher.example")).inASCII?.description == "a@xn--bcher-kva.example")
        #expect(try #require(Mailbox("ü@example.org")).inASCII == nil)
    }
}
