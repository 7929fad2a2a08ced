// SPDX-License-Identifier: ISC

import Bytes
import Mail
import SMTP
import Testing

@Suite struct `Command parser` {
    static func parse(
        _ text: String, _ extensions: ServerExtensions = [.deliveryStatus, .pipelining, .authorship]
    ) throws -> Command {
        let name = try #require(Domain("mx.example.org"))
        let line = Array(text.utf8)
        return try Command(parsing: line.span, serverName: name, extensions: extensions)
    }

    // Parsed or refused: both are well, a trap is not.
    static func attempt(_ bytes: [UInt8]) throws {
        let name = try #require(Domain("mx.example.org"))
        do throws(CommandError) {
            _ = try Command(parsing: bytes.span, serverName: name, extensions: [.deliveryStatus, .authorship])
        } catch {}
    }

    static func path(_ text: String) throws -> ReversePath { try #require(ReversePath(text)) }

    @Test(arguments: [
        ("HELO a.example.org", Command.helo("a.example.org")), ("ehlo  [192.0.2.1] ", .ehlo("[192.0.2.1]")),
        ("DATA", .data), ("data ", .data), ("RSET", .reset), ("NoOp", .noop), ("NOOP x y", .noop), ("QUIT", .quit),
        ("HELP", .help), ("VRFY a", .verify), ("EXPN a", .expand), ("STARTTLS", .startTLS),
        ("AUTH PLAIN x", .auth(mechanism: "PLAIN", initial: [0x78])),
        ("WIZ", .wizard),
    ])
    func `a verb may be written in any case`(text: String, command: Command) throws {
        #expect(try Self.parse(text) == command)
    }

    @Test(arguments: [
        ("", CommandError.unrecognized), (" NOOP", .unrecognized), ("NOOPX", .unrecognized), ("MAIL", .unrecognized),
        ("MAIL FROM <a@example.org>", .unrecognized), ("MAIL  FROM:<a@example.org>", .unrecognized),
        ("RCPT TO", .unrecognized), ("HELO\u{0}", .unrecognized), ("BDAT one", .chunkSyntax),
        ("GET / HTTP/1.1", .foreignProtocol), ("HELO", .missingArgument(.helo)), ("EHLO ", .missingArgument(.ehlo)),
        ("HELO a b", .invalidDomain), ("HELO é.example.org", .invalidDomain), ("EHLO -a", .invalidDomain),
        ("DATA x", .unexpectedArgument), ("RSET x", .unexpectedArgument), ("QUIT x", .unexpectedArgument),
        ("VRFY", .missingArgument(.verify)), ("MAIL FROM:", .senderSyntax), ("MAIL FROM:a@example.org", .senderSyntax),
        ("MAIL FROM:<a@example.org", .senderSyntax), ("MAIL FROM:<a@>", .senderSyntax),
        ("MAIL FROM:<é@example.org>", .internationalSender), ("MAIL FROM:<a b@example.org>", .senderSyntax),
        ("MAIL FROM:<a@example.org>X", .senderSyntax), ("MAIL FROM:<@a.example.org>", .senderSyntax),
        ("MAIL FROM:<@:a@example.org>", .senderSyntax), ("MAIL FROM:<\"a@example.org>", .senderSyntax),
        ("RCPT TO:<>", .recipientSyntax), ("RCPT TO:<a@b@example.org>", .recipientSyntax),
        ("RCPT TO:<a;b@example.org>", .recipientSyntax), ("RCPT TO:<a@example.org.>", .recipientSyntax),
        ("MAIL FROM:<> SIZE", .invalidParameter("SIZE")), ("MAIL FROM:<> SIZE=", .invalidParameter("SIZE")),
        ("MAIL FROM:<> SIZE=1a", .invalidParameter("SIZE")), ("MAIL FROM:<> SIZE=-1", .invalidParameter("SIZE")),
        ("MAIL FROM:<> SIZE=111111111111111111111", .invalidParameter("SIZE")),
        ("MAIL FROM:<> SIZE=1 SIZE=1", .invalidParameter("SIZE")), ("MAIL FROM:<> RET=ALL", .invalidParameter("RET")),
        ("MAIL FROM:<> ENVID=a+4", .invalidParameter("ENVID")), ("MAIL FROM:<> ENVID=+0A", .invalidParameter("ENVID")),
        ("MAIL FROM:<> ENVID=a=b", .invalidParameter("ENVID")), ("MAIL FROM:<> ENVID=+2b", .invalidParameter("ENVID")),
        ("MAIL FROM:<> ENVID=+b", .invalidParameter("ENVID")), ("MAIL FROM:<> ENVID=+", .invalidParameter("ENVID")),
        ("MAIL FROM:<> AUTH=e+mc2@example.com", .invalidParameter("AUTH")),
        ("MAIL FROM:<> AUTH=<> AUTH=<>", .invalidParameter("AUTH")),
        ("MAIL FROM:<> FOO=1", .unsupportedParameter("FOO")), ("MAIL FROM:<> =1", .unsupportedParameter("")),
        ("MAIL FROM:<> NOTIFY=NEVER", .unsupportedParameter("NOTIFY")),
        ("RCPT TO:<a> NOTIFY=", .invalidParameter("NOTIFY")),
        ("RCPT TO:<a> NOTIFY=DELAY,", .invalidParameter("NOTIFY")),
        ("RCPT TO:<a> NOTIFY=DELAY NOTIFY=DELAY", .invalidParameter("NOTIFY")),
        ("RCPT TO:<a> NOTIFY=DELAY,NEVER", .neverCombined), ("RCPT TO:<a> ORCPT=rfc822;", .originalRecipientSyntax),
        ("RCPT TO:<a> ORCPT=;a", .originalRecipientSyntax), ("RCPT TO:<a> ORCPT=rfc822;a+00", .originalRecipientSyntax),
    ])
    func `a bad command says what is wrong`(text: String, error: CommandError) {
        #expect(throws: error) { try Self.parse(text) }
    }

    @Test(arguments: [
        ("<>", ""), ("<a>", "a@mx.example.org"), ("<a@example.org>", "a@example.org"), ("  <a@b>", "a@b"),
        ("<@a.example.org:b@c>", "b@c"), ("<@a,@b:c@d>", "c@d"), ("<\"a b\"@c>", "\"a b\"@c"),
        ("<\"a\\\">\"@c>", "\"a\\\">\"@c"), ("<a@[192.0.2.1]>", "a@[192.0.2.1]"), ("<a+b=c@d>", "a+b=c@d"),
        ("<\"@a:b\"@c>", "\"@a:b\"@c"),
    ])
    func `a path becomes an address`(text: String, address: String) throws {
        #expect(try Self.parse("MAIL FROM:" + text) == .mail(Self.path(address), MailParameters()))
    }

    @Test func `postmaster needs no domain`() throws {
        #expect(try Self.parse("RCPT TO:<postMASTER>") == .recipient(.postmaster, RecipientParameters()))
        let mailbox = try #require(Mailbox("postmaster@example.org"))
        #expect(
            try Self.parse("RCPT TO:<postmaster@example.org>") == .recipient(.mailbox(mailbox), RecipientParameters()))
    }

    @Test func `parameters become values`() throws {
        let request = MessageRequest(returned: .full, envelopeIdentifier: "a b", body: .sevenBit)
        #expect(
            try Self.parse("MAIL FROM:<>  size=007  Body=7bit RET=full ENVID=a+20b AUTH=x@example.org ")
                == .mail(.null, MailParameters(size: ByteCount(7), request: request)))
        let report = ReportRequest(notify: [.success, .failure], originalRecipient: "rfc822;a+b@c")
        #expect(
            try Self.parse("RCPT TO:<a> NOTIFY=failure,SUCCESS ORCPT=rfc822;a+2Bb@c")
                == .recipient(.mailbox(try #require(Mailbox("a@mx.example.org"))), RecipientParameters(report: report)))
    }

    @Test func `a size that no number holds is the greatest`() throws {
        #expect(
            try Self.parse("MAIL FROM:<> SIZE=99999999999999999999")
                == .mail(.null, MailParameters(size: ByteCount(.max))))
    }

    @Test func `identifiers have a longest length`() throws {
        let hundred = String(repeating: "x", count: 100)
        #expect(throws: Never.self) { try Self.parse("MAIL FROM:<> ENVID=" + hundred) }
        #expect(throws: CommandError.invalidParameter("ENVID")) { try Self.parse("MAIL FROM:<> ENVID=x" + hundred) }
        let rest = String(repeating: "x", count: 493)
        #expect(throws: Never.self) { try Self.parse("RCPT TO:<a> ORCPT=rfc822;" + rest) }
        #expect(throws: CommandError.originalRecipientSyntax) { try Self.parse("RCPT TO:<a> ORCPT=rfc822;x" + rest) }
    }

    @Test func `the digits of ENVID are capitals, and a letter behind them is itself`() throws {
        let request = MessageRequest(envelopeIdentifier: "+a+f")
        #expect(
            try Self.parse("MAIL FROM:<> ENVID=+2Ba+2Bf") == .mail(.null, MailParameters(request: request)))
    }

    // RFC 4954 section 5: the parameter belongs to the extension.
    @Test func `without AUTH its parameter is unknown`() {
        #expect(throws: CommandError.unsupportedParameter("AUTH")) { try Self.parse("MAIL FROM:<> AUTH=<>", []) }
    }

    @Test func `without DSN its keywords are unknown`() {
        #expect(throws: CommandError.unsupportedParameter("RET")) { try Self.parse("MAIL FROM:<> RET=FULL", []) }
        #expect(throws: CommandError.unsupportedParameter("ORCPT")) { try Self.parse("RCPT TO:<a> ORCPT=a;b", []) }
    }

    @Test func `every prefix and every changed byte of a command is parsed or refused`() throws {
        let lines = [
            "MAIL FROM:<@a.example.org:\"a b\"@[IPv6:2001:db8::1]> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=a+20b AUTH=<>",
            "RCPT TO:<@a,@b:c@example.org> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;c+40example.org",
            "EHLO [IPv6:2001:db8::1]",
        ]
        for line in lines {
            #expect(throws: Never.self) { try Self.parse(line) }
            let bytes = Array(line.utf8)
            for end in 0..<bytes.count {
                try Self.attempt(Array(bytes[..<end]))
                for byte: UInt8 in [0, 0x20, 0x22, 0x2B, 0x3D, 0x3E, 0x40, 0x5C, 0xFF] {
                    var changed = bytes
                    changed[end] = byte
                    try Self.attempt(changed)
                }
            }
        }
    }
}
