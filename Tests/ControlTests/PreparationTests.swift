// SPDX-License-Identifier: ISC

import Testing

@testable import Control

@Suite struct MessagePreparationTests {
    private static let date = "Thu, 1 Jan 1970 00:00:00 +0000 (UTC)"

    private func prepare(
        _ text: String, to recipients: [String] = ["b@example.org"], from sender: String? = nil, reads: Bool = false,
        name: String = "Ann"
    ) throws -> MessagePreparation {
        try MessagePreparation(
            Array(text.utf8),
            MessagePreparation.Circumstances(
                sender: sender, login: "ann", fullName: name, arguments: recipients, readsRecipients: reads,
                date: Self.date))
    }

    private func text(_ message: MessagePreparation) -> String { String(decoding: message.content, as: UTF8.self) }

    @Test func `what is missing is added`() throws {
        let message = try prepare("Subject: x\n\nbody")
        #expect(text(message) == "Subject: x\nFrom: Ann <ann>\nDate: \(Self.date)\n\nbody\n")
        #expect(message.sender == "ann")
        #expect(message.recipients == ["b@example.org"])
    }

    @Test func `an added From field can be answered to`() throws {
        let circumstances = MessagePreparation.Circumstances(
            sender: nil, login: "ann", fullName: "Ann", hostName: "host.example.org", arguments: ["b"],
            readsRecipients: false, date: Self.date)
        let message = try MessagePreparation(Array("Subject: x\n\n".utf8), circumstances)
        #expect(text(message).contains("From: Ann <ann@host.example.org>\n"))
    }

    @Test func `what is there stays as it is`() throws {
        let header = "From: C <c@example.org>\nDate: yesterday\nX-A: 1\n\t2\n"
        let message = try prepare(header + "\n.\n..\nend\n")
        #expect(text(message) == header + "\n.\n..\nend\n")
        #expect(message.sender == "c@example.org")
    }

    @Test func `lines may end with CRLF`() throws {
        #expect(text(try prepare("From: c\r\nDate: x\r\n\r\na\r\n")) == "From: c\nDate: x\n\na\n")
    }

    @Test(arguments: ["no header at all\nreally", " begins with a blank\n", "http //x\n"])
    func `a message without a header gets one`(body: String) throws {
        let expected = "From: Ann <ann>\nDate: \(Self.date)\n\n\(body)" + (body.hasSuffix("\n") ? "" : "\n")
        #expect(text(try prepare(body)) == expected)
    }

    @Test func `a header ends where a line is none of it`() throws {
        #expect(
            text(try prepare("From: c\nDate: x\nnot a field\nY: z\n")) == "From: c\nDate: x\n\nnot a field\nY: z\n")
    }

    @Test func `an empty message is one`() throws {
        #expect(text(try prepare("")) == "From: Ann <ann>\nDate: \(Self.date)\n\n")
        #expect(text(try prepare("\n")) == "From: Ann <ann>\nDate: \(Self.date)\n\n")
    }

    @Test func `separators and blind copies do not leave`() throws {
        let message = try prepare(
            "From joe Thu Jan  1 00:00:00 1970\nReturn-Path: <x>\n folded\nBCC: d@example.org,\n e@example.org\n"
                + "From: c\nDate: x\n\nFrom y\nBcc: z\n"
        )
        #expect(text(message) == "From: c\nDate: x\n\nFrom y\nBcc: z\n")
        #expect(message.recipients == ["b@example.org"])
    }

    @Test func `fields name recipients, each once`() throws {
        let message = try prepare(
            "To: b@example.org, C <c@example.org>\nCc: g: d;\nBcc: e@example.org\nFrom: c\nDate: x\n\nTo: z\n",
            to: ["a,b@example.org"],
            reads: true)
        #expect(message.recipients == ["a", "b@example.org", "c@example.org", "d", "e@example.org"])
        #expect(!text(message).contains("Bcc"))
    }

    @Test func `somebody must get it`() {
        #expect(throws: MessagePreparation.Mistake.noRecipients) { try prepare("To: a\n\n", to: []) }
        #expect(throws: MessagePreparation.Mistake.noRecipients) { try prepare("Subject: a\n\n", to: [], reads: true) }
    }

    @Test func `the sender is the one given, else the author, else the user`() throws {
        #expect(try prepare("From: c\n\n", from: "<d@example.org>").sender == "d@example.org")
        #expect(try prepare("From: c\n\n", from: "D <d@example.org>").sender == "d@example.org")
        #expect(try prepare("From: c\n\n", from: "<>").sender == "")
        #expect(try prepare("From: c\n\n").sender == "c")
        #expect(try prepare("From: \n\n").sender == "ann")
        #expect(throws: MessagePreparation.Mistake.self) { try prepare("\n", from: "a, b") }
        #expect(text(try prepare("Date: x\n\n", from: "d@example.org")) == "Date: x\nFrom: Ann <d@example.org>\n\n")
    }

    @Test func `a long line is encoded`() throws {
        let long = String(repeating: "a", count: MessagePreparation.longestLine + 1)
        let encoded = text(try prepare("From: c\nDate: x\n\n\(long)\n=é \n"))
        #expect(
            encoded.hasPrefix(
                "From: c\nDate: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
                    + "Content-Transfer-Encoding: quoted-printable\n\naaa"))
        #expect(encoded.hasSuffix("\n=3D=C3=A9=20\n"))
        #expect(encoded.split(separator: "\n").allSatisfy { $0.utf8.count <= 76 })
    }

    @Test(arguments: [
        "Content-Transfer-Encoding: 8bit", "Content-Type: multipart/mixed; boundary=x",
        "content-type:\n Message/rfc822",
    ])
    func `what has an encoding or parts keeps its lines`(field: String) throws {
        let text = "From: c\nDate: x\n\(field)\n\n\(String(repeating: "a", count: 2000))\n"
        #expect(self.text(try prepare(text)) == text)
    }

    @Test func `the longest line is left`() throws {
        let text = "From: c\nDate: x\n\n\(String(repeating: "a", count: MessagePreparation.longestLine))\n"
        #expect(self.text(try prepare(text)) == text)
    }

    @Test func `names are written so that they stay names`() {
        #expect(DisplayName("").before("a") == "a")
        #expect(DisplayName("Ann B").before("a") == "Ann B <a>")
        #expect(DisplayName("B., \"Ann\"").before("a") == "\"B., \\\"Ann\\\"\" <a>")
        #expect(DisplayName("A\r\nBcc: x").before("a") == "\"ABcc: x\" <a>")
        #expect(DisplayName("Änn").before("a") == "=?UTF-8?B?w4Rubg==?= <a>")
        let long = DisplayName(String(repeating: "é", count: 60)).before("a")
        #expect(long.split(separator: "\n").allSatisfy { $0.utf8.count <= 78 })
        #expect(DisplayName.inComment("& Smith,Room 1", login: "ann") == "Ann Smith")
    }

    @Test func `any bytes become a message with a header`() {
        var random = TestRandom(seed: 11)
        let alphabet = Array("aF: \t\r\n.=From\u{0}é,<>".utf8)
        for _ in 0..<5000 {
            let input = (0..<random.next(below: 60)).map { _ in alphabet[random.next(below: alphabet.count)] }
            let circumstances = MessagePreparation.Circumstances(
                sender: nil, login: "ann", fullName: "", arguments: ["b"], readsRecipients: false, date: "x")
            guard let message = try? MessagePreparation(input, circumstances) else {
                Issue.record("refused \(input)")
                continue
            }
            let fields = HeaderFields(message.content)
            #expect(fields.has("from") && fields.has("date"))
            #expect(!fields.has("bcc") && message.content.last == UInt8(ascii: "\n"))
        }
    }

    @Test func `every prefix of a message is one`() throws {
        let whole = Array("From x\nFrom: a\n b\nBcc: c\nSubject: d\n\nbody\r\n".utf8)
        for count in 0...whole.count {
            _ = try MessagePreparation(
                Array(whole.prefix(count)),
                MessagePreparation.Circumstances(
                    sender: "s", login: nil, arguments: ["b"], readsRecipients: false, date: "x"))
        }
    }
}

@Suite struct QuotedPrintableTests {
    private func decode(_ encoded: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        var index = 0
        while index < encoded.count {
            if encoded[index] != UInt8(ascii: "=") {
                output.append(encoded[index])
                index += 1
            } else if encoded[index + 1] == 0x0A {
                index += 2
            } else {
                let digits = String(decoding: encoded[(index + 1)...(index + 2)], as: UTF8.self)
                output.append(UInt8(digits, radix: 16) ?? 0)
                index += 3
            }
        }
        return output
    }

    @Test(
        arguments: [
            ("", ""), ("abc\n", "abc\n"), ("a=b\n", "a=3Db\n"), ("a \nb\t", "a=20\nb=09"), ("a b\n", "a b\n"),
            ("\u{0}\r\n", "=00=0D\n"),
        ])
    func `rules of RFC 2045`(plain: String, encoded: String) {
        #expect(String(decoding: QuotedPrintable.encode(plain.utf8), as: UTF8.self) == encoded)
    }

    @Test func `lines are short and nothing is lost`() {
        var random = TestRandom(seed: 5)
        for round in 0..<300 {
            let spread = round % 2 == 0 ? 256 : 96
            let input = (0..<random.next(below: 400)).map { _ in
                UInt8(
                    truncatingIfNeeded: random.next(below: 40) == 0
                        ? 10 : random.next(below: spread) + (spread == 96 ? 32 : 0))
            }
            let encoded = QuotedPrintable.encode(input)
            #expect(decode(encoded) == input)
            for line in encoded.split(separator: 0x0A) {
                #expect(line.count <= QuotedPrintable.longestLine)
                #expect(line.last != 0x20 && line.last != 0x09)
            }
        }
    }
}
