// SPDX-License-Identifier: ISC

import Chance
import Mail
import Message
import Testing

@Suite struct MailDateTests {
    @Test(
        arguments: [
            (0, 0, "UTC", "Thu, 1 Jan 1970 00:00:00 +0000 (UTC)"),
            (1_136_210_645, 3600, "CET", "Mon, 2 Jan 2006 15:04:05 +0100 (CET)"),
            (-1, 0, "", "Wed, 31 Dec 1969 23:59:59 +0000"),
            (951_782_400, 0, "UTC", "Tue, 29 Feb 2000 00:00:00 +0000 (UTC)"),
            (4_107_542_400, 0, "UTC", "Mon, 1 Mar 2100 00:00:00 +0000 (UTC)"),
            (1_136_210_645, -12600, "NST", "Mon, 2 Jan 2006 10:34:05 -0330 (NST)"),
            (1_709_251_199, 0, "UTC", "Thu, 29 Feb 2024 23:59:59 +0000 (UTC)"),
            (0, 0, "a) evil", "Thu, 1 Jan 1970 00:00:00 +0000"),
            (0, 19800, "+0530", "Thu, 1 Jan 1970 05:30:00 +0530 (+0530)"),
            (Int64.max, 0, "", "Thu, 30 Dec 9999 23:59:59 +0000"),
            (Int64.min, Int.min, "", "Mon, 1 Jan 0001 00:00:01 -2359"),
        ] as [(Int64, Int, String, String)]) func `a moment is written`(
            seconds: Int64, offset: Int, zone: String, text: String
        )
    {
        #expect(MailDate(Timestamp(seconds: seconds), offset: offset, zone: zone).description == text)
    }

    @Test func `days follow one another for four hundred years`() {
        let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        var (year, month, day) = (1970, 0, 1)
        for count in 0..<146_097 {
            if count % 7 == 0 || day >= 28 || day == 1 {
                let text = MailDate(Timestamp(seconds: Int64(count) * 86400), zone: "").description
                #expect(text.hasSuffix(", \(day) \(names[month]) \(year) 00:00:00 +0000"))
            }
            let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
            day += 1
            if day > lengths[month] + (month == 1 && isLeap ? 1 : 0) { (month, day) = (month + 1, 1) }
            if month == 12 { (year, month) = (year + 1, 0) }
        }
    }
}

@Suite struct TraceFieldTests {
    private static let secureAuthenticated: TraceField.TransmissionType = {
        var type = TraceField.TransmissionType.esmtp
        type.isSecure = true
        type.isAuthenticated = true
        return type
    }()

    static let server = Domain("mx.example.org") ?? Domain(literal: .documentation)
    static let date = MailDate(Timestamp(seconds: 1_136_210_645), offset: 3600, zone: "CET")

    static func text(_ field: TraceField) -> String {
        var output: [UInt8] = []
        field.write(to: &output)
        return String(decoding: output, as: UTF8.self)
    }

    @Test func `the field has all its parts`() {
        var field = TraceField(
            client: .init(greeting: "client.example.org", hostName: "<unknown>", address: .documentation),
            serverName: Self.server, type: Self.secureAuthenticated, messageID: MessageID(0xABCD),
            security: .init(
                version: "TLSv1.2", cipher: "AES256-SHA", bits: 256, clientCertificate: .absent),
            authentication: .user("joe"), onlyRecipient: Mailbox("joe@example.org"), date: Self.date)
        #expect(
            Self.text(field) == """
                Received: from client.example.org (<unknown> [192.0.2.1])\r
                \tby mx.example.org (Martlet) with ESMTPSA id 0000abcd (TLSv1.2:AES256-SHA:256:NO) auth=yes user=joe\r
                \tfor <joe@example.org>;\r
                \tMon, 2 Jan 2006 15:04:05 +0100 (CET)\r\n
                """)
        field.priority = MessageRequest.Priority(3)
        #expect(Self.text(field).contains("\r\n\tfor <joe@example.org> PRIORITY 3;\r\n\tMon"))
        field.priority = MessageRequest.Priority(-9)
        field.onlyRecipient = nil
        #expect(Self.text(field).contains("user=joe\r\n\tPRIORITY -9;\r\n\tMon"))
        field.priority = nil
        field.security = nil
        field.authentication = .none
        field.onlyRecipient = nil
        field.client?.address = IPAddress("2001:db8::1")
        field.client?.greeting = "a)\r\nX: (b"
        #expect(
            Self.text(field) == """
                Received: from a???X:??b (<unknown> [2001:db8::1])\r
                \tby mx.example.org (Martlet) with ESMTPSA id 0000abcd auth=no;\r
                \tMon, 2 Jan 2006 15:04:05 +0100 (CET)\r\n
                """)
        field.client = nil
        field.authentication = .untold
        field.type = .smtp
        #expect(Self.text(field).hasPrefix("Received: by mx.example.org (Martlet) with SMTP id 0000abcd;\r\n\tMon"))
    }

    @Test func `the local socket has no address`() {
        let field = TraceField(
            client: .init(greeting: "localhost", hostName: "mx.example.org", address: nil), serverName: Self.server,
            type: .esmtp, messageID: MessageID(1), date: Self.date)
        #expect(Self.text(field).hasPrefix("Received: from localhost (mx.example.org [local])\r\n"))
    }

    @Test func `whatever the client calls itself, the field has four lines`() {
        var random = TestRandom(seed: 5)
        for _ in 0..<1000 {
            let bytes = (0..<300).map { _ in UInt8.random(in: 0...255, using: &random) }
            let evil = String(decoding: bytes, as: UTF8.self)
            let field = TraceField(
                client: .init(greeting: evil, hostName: evil, address: nil), serverName: Self.server, type: .esmtp,
                messageID: MessageID(1), authentication: .user(evil), date: Self.date)
            let lines = Self.text(field).split(separator: "\r\n", omittingEmptySubsequences: false)
            #expect(lines.count == 4)
            #expect(
                lines.allSatisfy { $0.utf8.count < 998 && $0.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F || $0 == 9 } })
        }
    }
}

extension IPAddress {
    static let documentation: IPAddress = {
        guard let address = IPAddress("192.0.2.1") else { preconditionFailure("a constant address") }
        return address
    }()
}
