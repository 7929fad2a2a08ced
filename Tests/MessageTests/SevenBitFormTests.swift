// SPDX-License-Identifier: ISC

import Bytes
import Chance
import Message
import Testing

struct SevenBitFormTests {
    /// The conversion, with the message cut into pieces of that many bytes.
    private func convert(_ message: [UInt8], pieces: Int = 1 << 20) -> (findings: EightBitFindings, output: [UInt8]) {
        func run(_ form: inout SevenBitForm) -> [UInt8] {
            var output: [UInt8] = []
            var start = 0
            while start < message.count {
                let end = min(message.count, start + pieces)
                form.take(message.span.extracting(start..<end), into: &output)
                start = end
            }
            form.finish(into: &output)
            return output
        }
        var first = SevenBitForm()
        #expect(run(&first).isEmpty)
        var second = SevenBitForm(first.findings)
        return (first.findings, run(&second))
    }

    private func lines(_ lines: String...) -> [UInt8] { Array(lines.map { $0 + "\r\n" }.joined().utf8) }

    @Test func `text without a word about its form becomes quoted-printable of an unknown character set`() {
        let result = convert(lines("Subject: a", "", "gr\u{fc}n = green "))
        let expected = lines(
            "MIME-Version: 1.0", "Content-Type: text/plain; charset=unknown-8bit", "Subject: a",
            "Content-Transfer-Encoding: quoted-printable", "", "gr=C3=BCn =3D green=20")
        #expect(String(decoding: result.output, as: UTF8.self) == String(decoding: expected, as: UTF8.self))
        #expect(result.findings.hasEightBit && result.findings.fault == nil)
    }

    @Test func `only the parts that need it are converted, at any depth`() {
        let message = lines(
            "MIME-Version: 1.0", "Content-Type: multipart/mixed;", " boundary=\"a b\"",
            "Content-Transfer-Encoding: 8bit", "", "preamble", "--a b", "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: 8bit", "", "\u{e9}", "--a b", "Content-Type: message/rfc822", "",
            "Subject: inner", "Content-Type: application/octet-stream", "content-transfer-encoding: BINARY", "",
            "\u{e9}\u{e9}\u{e9}", "--a b", "", "plain, and \u{2d}\u{2d}not a boundary", "--a b--", "epilogue")
        let expected = lines(
            "MIME-Version: 1.0", "Content-Type: multipart/mixed;", " boundary=\"a b\"",
            "Content-Transfer-Encoding: 7bit", "", "preamble", "--a b", "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: quoted-printable", "", "=C3=A9", "--a b", "Content-Type: message/rfc822", "",
            "Subject: inner", "Content-Type: application/octet-stream", "Content-Transfer-Encoding: base64", "",
            "w6nDqcOp", "--a b", "", "plain, and --not a boundary", "--a b--", "epilogue")
        for pieces in [1, 2, 7, 1 << 20] {
            let result = convert(message, pieces: pieces)
            #expect(String(decoding: result.output, as: UTF8.self) == String(decoding: expected, as: UTF8.self))
        }
    }

    @Test func `a message of seven bits stays as it is`() {
        let message = lines(
            "Subject: a", "MIME-Version: 1.0", "Content-Type: multipart/digest; boundary=x", "", "--x", "",
            "Subject: b", "", "text", "--x--")
        let result = convert(message)
        #expect(result.output == message && !result.findings.hasEightBit)
    }

    @Test(arguments: [
        ("Subject: gr\u{fc}n\r\n\r\na", EightBitFindings.Fault.header),
        ("Content-Transfer-Encoding: base64\r\n\r\ngr\u{fc}n", .part),
        ("Content-Type: message/delivery-status\r\n\r\ngr\u{fc}n", .part),
        ("A: b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\u{fc}", .part),
    ])
    func `what cannot be converted is told`(_ text: String, _ fault: EightBitFindings.Fault) {
        #expect(convert(Array(text.utf8)).findings.fault == fault)
    }

    @Test func `lines are at most 76 long and never look like a boundary by a break`() {
        let text = String(repeating: "\u{e9}", count: 20) + String(repeating: "-", count: 400)
        let result = convert(lines("MIME-Version: 1.0", "Content-Type: text/plain", "", text))
        let body = String(decoding: result.output, as: UTF8.self).split(separator: "\r\n")
        #expect(body.allSatisfy { $0.utf8.count <= 76 })
        #expect(body.dropFirst(4).allSatisfy { !$0.hasPrefix("--") })
    }

    @Test func `whatever comes, the result has seven bits unless it is refused`() {
        var chance = TestRandom(seed: 6152)
        let words = [
            "Content-Type: ", "multipart/mixed; boundary=", "message/rfc822", "text/plain", "--", "x", "--x--", "\r\n",
            "\r\n\r\n", "\n", "\r", "\u{e9}", "Content-Transfer-Encoding: ", "8bit", "base64", " ", "=", ";", "\"", "(",
        ]
        for _ in 0..<3000 {
            var message: [UInt8] = []
            for _ in 0..<Int.random(in: 0..<60, using: &chance) {
                message += Array((words.randomElement(using: &chance) ?? "").utf8)
            }
            let result = convert(message, pieces: Int.random(in: 1..<20, using: &chance))
            if result.findings.fault == nil { #expect(result.output.allSatisfy { $0 < 0x80 }) }
        }
    }
}
