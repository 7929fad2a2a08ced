// SPDX-License-Identifier: ISC

import IPC
import Mail
import Testing

@testable import Control

@Suite struct OutputTests {
    private let row: [ControlField] = [
        ControlField(name: "evpid", value: .text("0123456789abcdef")),
        ControlField(name: "source", value: .text("inet4")),
        ControlField(name: "type", value: .text("mta")),
        ControlField(name: "flags", value: .text("auth,hold")),
        ControlField(name: "sender", value: .text("a|b@example.org")),
        ControlField(name: "rcpt", value: .text("c@example.org")),
        ControlField(name: "dest", value: .text("c@example.org")),
        ControlField(name: "ctime", value: .number(1)),
        ControlField(name: "expire", value: .number(2)),
        ControlField(name: "lasttry", value: .number(0)),
        ControlField(name: "retry", value: .number(3)),
        ControlField(name: "state", value: .text("pending")),
        ControlField(name: "seconds", value: .number(4)),
        ControlField(name: "error", value: .text("451 x|y\nz")),
    ]

    @Test func `a line of the queue has fourteen fields`() {
        let line = Rows.queueLine(row)
        #expect(
            line
                == "0123456789abcdef|inet4|mta|auth,hold|a\\174b@example.org|"
                + "c@example.org|c@example.org|1|2|0|3|pending|4|451 x\\174y\\012z\n"
        )
        #expect(line.split(separator: "|", omittingEmptySubsequences: false).count == 14)
    }

    @Test func `counters of all daemons are added up and sorted`() {
        let fields = Rows.merged(
            [
                [ControlField(name: "smtp.session", value: .number(2)), ControlField(name: "b", value: .text("x"))],
                [
                    ControlField(name: "smtp.session", value: .number(3)),
                    ControlField(name: "mta.session", value: .number(1)),
                ],
            ], uptime: 93_784)
        #expect(
            Rows.statisticsLines(fields)
                == "mta.session=1\nsmtp.session=5\nuptime=93784\nuptime.human=1d2h3m4s\n")
        #expect(
            JSONText.object(fields)
                == "{\"mta.session\": 1, \"smtp.session\": 5, \"uptime\": 93784, \"uptime.human\": \"1d2h3m4s\"}")
    }

    @Test func `a service and its state`() {
        #expect(Rows.statusLines([ControlField(name: "MDA", value: .text("running"))]) == "MDA running\n")
    }

    @Test func `an envelope shows what it has`() {
        let fields = [
            ControlField(name: "a", value: .text("b\nc")), ControlField(name: "d", value: .absent),
            ControlField(name: "e", value: .number(-1)),
        ]
        #expect(Rows.envelopeLines(fields) == "a: b\\012c\ne: -1\n")
    }

    @Test func `content is shown with the line ends of this host`() {
        #expect(Rows.localLines(Array("a\r\nb\rc\n\r\n\r".utf8)) == Array("a\nb\rc\n\n\r".utf8))
    }

    @Test func `sentences about numbers`() {
        #expect(Rows.sentence(0, .hold) == "0 envelopes held\n")
        #expect(Rows.sentence(1, .schedule) == "1 envelope scheduled\n")
        #expect(Rows.sentence(2, .remove) == "2 envelopes removed\n")
    }

    @Test(
        arguments: [
            ("", "\"\""), ("a\"b\\", "\"a\\\"b\\\\\""), ("\u{0}\u{1f}\u{7f}", "\"\\u0000\\u001f\\u007f\""),
            ("\n\r\t", "\"\\n\\r\\t\""), ("é😀", "\"é😀\""),
        ])
    func `strings of JSON`(text: String, written: String) {
        #expect(JSONText.string(text) == written)
    }

    @Test func `bytes of JSON keep their value`() {
        let bytes = (0...255).map { UInt8($0) }
        let text = String(decoding: JSONText.string(bytes: bytes), as: UTF8.self)
        #expect(text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F })
        #expect(JSONText.string(bytes: [0xC3, 0x28, 0x0A]) == Array("\"\\u00c3(\\n\"".utf8))
        #expect(JSONText.object([ControlField(name: "a", value: .absent)]) == "{\"a\": null}")
    }
}
