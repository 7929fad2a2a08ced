// SPDX-License-Identifier: ISC

import Chance
import Mail
import Testing

@testable import Message

struct LegacyEnvelopeTests {
    private static let base = """
        version: 3
        dispatcher: out
        tag: t1
        type: mta
        smtpname: mx.example.org
        helo: client.example.org
        hostname: client.example.org
        errorline: 451 4.4.1 No route
        sockaddr: [2001:db8::1]
        sender: alice@example.org
        rcpt: bob@example.com
        dest: robert@example.com
        ctime: 1700000000
        last-try: 1700000400
        ttl: 345600
        retry: 2
        flags: authenticated internal
        dsn-notify: 3
        dsn-ret: HDRS
        dsn-envid: QQ314159
        dsn-orcpt: rfc822;bob@example.com
        esc-class: 4
        esc-code: 41

        """

    private func parse(_ text: String) throws -> LegacyEnvelope {
        try LegacyEnvelope(parsing: Array(text.utf8).span)
    }

    private static func without(_ name: String) -> String {
        base.split(separator: "\n").filter { !$0.hasPrefix("\(name):") }.joined(separator: "\n") + "\n"
    }

    @Test func `everything that the file says is understood`() throws {
        let envelope = try parse(Self.base)
        #expect(envelope.kind == .relay && envelope.action == "out")
        #expect(envelope.sender.description == "alice@example.org")
        #expect(envelope.recipient.description == "bob@example.com")
        #expect(envelope.destination.description == "robert@example.com")
        #expect(envelope.origin.address == IPAddress("2001:db8::1") && envelope.origin.tag == "t1")
        #expect(envelope.origin.isInternal && envelope.origin.user == "unknown")
        #expect(envelope.created.seconds == 1_700_000_000 && envelope.lastTry?.seconds == 1_700_000_400)
        #expect(envelope.attempts == 2 && !envelope.isSuspended)
        #expect(envelope.report.notify == [.success, .failure])
        #expect(envelope.report.originalRecipient == "rfc822;bob@example.com")
        #expect(envelope.request.returned == .headers && envelope.request.envelopeIdentifier == "QQ314159")
        #expect(envelope.reply == Reply(451, EnhancedStatus(4, 4, 1), "No route"))
    }

    @Test(
        arguments: [
            ("type: mda\nmda-user: joe\nmda-subaddress: tag", .local(user: "joe", subaddress: "tag", command: nil)),
            ("type: mda\nmda-user: joe\nmda-exec: /bin/x", .local(user: "joe", subaddress: nil, command: "/bin/x")),
            ("type: bounce\nbounce-type: failed", .notice(.failed)),
            ("type: bounce\nbounce-type: delayed\nbounce-delay: 14400", .notice(.delayed)),
        ] as [(String, LegacyEnvelope.Kind)])
    func `every kind of envelope is told`(lines: String, kind: LegacyEnvelope.Kind) throws {
        #expect(try parse(Self.without("type") + lines + "\n").kind == kind)
    }

    @Test(
        arguments: [
            ("sender", "sender: @", ""), ("sender", "sender: \"a b\"@example.org", "\"a b\"@example.org"),
        ])
    func `nobody is a sender too`(field: String, line: String, sender: String) throws {
        #expect(try parse(Self.without(field) + line + "\n").sender.description == sender)
    }

    @Test(
        arguments: [
            ("errorline: Network error on destination MXs", 451, "4.4.1", "Network error on destination MXs"),
            ("errorline: 550 5.1.1 No such user", 550, "5.1.1", "No such user"),
            ("errorline: 421 Try later", 421, "4.4.1", "Try later"),
        ] as [(String, UInt16, String, String)])
    func `the last error is a reply or a sentence`(line: String, code: UInt16, status: String, text: String) throws {
        let reply = try #require(try parse(Self.without("errorline") + line + "\n").reply)
        #expect(reply.code == code && reply.enhancedStatus?.description == status && reply.lines == [text])
    }

    @Test(
        arguments: [
            ("version: 2", "version", .wrongVersion), ("", "version", .wrongVersion),
            ("nonsense: 1", "tag", .unknownField("nonsense")), ("tag: a\ntag: b", "tag", .repeatedField("tag")),
            ("no colon", "tag", .badLine(23)), (": x", "tag", .badLine(23)), ("tag: a\u{1}b", "tag", .badLine(23)),
            ("", "dispatcher", .missingField("dispatcher")), ("", "type", .missingField("type")),
            ("type: mda", "type", .missingField("mda-user")), ("type: x", "type", .badValue("type")),
            ("type: bounce", "type", .badValue("bounce-type")), ("", "helo", .missingField("helo")),
            ("", "hostname", .missingField("hostname")), ("", "smtpname", .missingField("smtpname")),
            ("smtpname: -", "smtpname", .badValue("smtpname")), ("sender: x", "sender", .badValue("sender")),
            ("rcpt: @", "rcpt", .badValue("rcpt")), ("", "rcpt", .missingField("rcpt")),
            ("dest: a@b@c", "dest", .badValue("dest")), ("", "ctime", .missingField("ctime")),
            ("ctime: -1", "ctime", .badValue("ctime")), ("retry: x", "retry", .badValue("retry")),
            ("flags: odd", "flags", .badValue("flags")), ("dsn-ret: SOME", "dsn-ret", .badValue("dsn-ret")),
            ("dsn-notify: 16", "dsn-notify", .badValue("dsn-notify")),
            ("sockaddr: 1.2.3", "sockaddr", .badValue("sockaddr")),
        ] as [(String, String, LegacyEnvelope.Fault)])
    func `what is wrong is named`(line: String, field: String, fault: LegacyEnvelope.Fault) {
        #expect(throws: fault) { try parse(Self.without(field) + (line.isEmpty ? "" : line + "\n")) }
    }

    @Test func `a file without end is refused`() {
        #expect(throws: LegacyEnvelope.Fault.tooLong) {
            try parse(String(repeating: "x", count: LegacyEnvelope.longest + 1))
        }
    }

    @Test func `no beginning of a file and no other bytes can stop the reading`() {
        let bytes = Array(Self.base.utf8)
        for count in 0..<bytes.count { _ = try? LegacyEnvelope(parsing: Array(bytes[..<count]).span) }
        var random = TestRandom(seed: 3)
        for _ in 0..<2000 {
            var changed = bytes
            for _ in 0..<4 {
                let index = Int.random(in: 0..<changed.count, using: &random)
                changed[index] = UInt8.random(in: 0...255, using: &random)
            }
            _ = try? LegacyEnvelope(parsing: changed.span)
        }
    }

    @Test(
        arguments: [
            ("Message-ID: <a@b>\r\n\r\n", "<a@b>"), ("message-id:\r\n <a@b> \r\n\r\n", "<a@b>"),
            ("X: y\r\nMessage-ID: <1@x>\r\nMessage-ID: <2@x>\r\n\r\n", "<1@x>"), ("X: Message-ID: <1@x>\r\n\r\n", nil),
            ("Message-ID: " + String(repeating: "x", count: 1000) + "\r\n\r\n", nil),
        ] as [(String, String?)])
    func `the header scanner tells the first Message-ID`(header: String, identifier: String?) {
        for size in [1, 3, 4096] {
            var scanner = HeaderScanner()
            let bytes = Array(header.utf8)
            for start in stride(from: 0, to: bytes.count, by: size) {
                scanner.scan(Array(bytes[start..<min(start + size, bytes.count)]).span)
            }
            scanner.finish()
            #expect(scanner.findings.messageID == identifier)
        }
    }
}
