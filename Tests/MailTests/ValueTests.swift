// SPDX-License-Identifier: ISC

import Mail
import Testing

@Suite struct ValueTests {
    @Test func `ids are written in hexadecimal of one width and read again`() {
        #expect(MessageID(0xA).description == "0000000a")
        #expect(MessageID("0000000a") == MessageID(0xA))
        #expect(EnvelopeID(MessageID(0x1234_5678), number: 0x9).description == "1234567800000009")
        #expect(EnvelopeID("1234567800000009")?.message == MessageID(0x1234_5678))
        #expect(EnvelopeID("1234567800000009")?.number == 9)
        #expect(EnvelopeID("ffffffffffffffff")?.number == .max)
        #expect(SessionID(1).description == "0000000000000001")
        for text in ["", "a", "00000000a", "0000000g", "1234567800000009"] { #expect(MessageID(text) == nil) }
        for text in ["", "0000000a", "123456780000000x", "12345678000000090"] { #expect(EnvelopeID(text) == nil) }
        #expect(MessageID(1) < MessageID(2) && EnvelopeID(1) < EnvelopeID(2))
    }

    @Test(
        arguments: [
            (0, "0s"), (59, "59s"), (60, "1m"), (3600, "1h"), (86400, "1d"), (93784, "1d2h3m4s"), (90000, "1d1h"),
            (-5, "0s"), (Int64.max, "106751991167300d15h30m7s"), (Int64.min, "0s"),
        ] as [(Int64, String)])
    func `a length of time leaves out what is zero`(seconds: Int64, text: String) {
        #expect(Interval(seconds: seconds).description == text)
    }

    @Test func `times that a peer made up never trap`() {
        let last = Timestamp(seconds: .max)
        _ = last + .seconds(1)
        _ = Timestamp(seconds: .min) - last
        #expect(Timestamp(seconds: 100) + .minutes(1) == Timestamp(seconds: 160))
        #expect(Timestamp(seconds: 100) - Timestamp(seconds: 40) == .seconds(60))
        #expect(Interval.hours(24) == .days(1))
    }

    @Test func `a secret prints as one and keeps its bytes`() {
        let secret = Secret(Array("correct horse".utf8))
        #expect("\(secret)" == "<secret>")
        #expect(String(reflecting: secret) == "<secret>")
        #expect(secret.count == 13)
        #expect(secret.withBytes { $0[0] } == UInt8(ascii: "c"))
    }

    @Test func `who said nothing is told of failure and delay`() {
        let silent = ReportRequest()
        #expect(silent.wantsFailure && silent.wantsDelay && !silent.wantsSuccess)
        let never = ReportRequest(notify: .never)
        #expect(!never.wantsFailure && !never.wantsDelay && !never.wantsSuccess)
        let success = ReportRequest(notify: .success)
        #expect(success.wantsSuccess && !success.wantsFailure && !success.wantsDelay)
    }

    @Test func `a dispatch names its action`() {
        #expect(Dispatch.relay(action: "out").action == "out")
        #expect(Dispatch.local(action: "in", user: "joe", subaddress: nil, form: .action).action == "in")
    }
}
