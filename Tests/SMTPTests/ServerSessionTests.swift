// SPDX-License-Identifier: ISC

import Bytes
import Mail
import SMTP
import Testing

@Suite struct `Server session` {
    static func session(
        client: String = "192.0.2.7", transport: ServerSession.Client.Transport = .direct,
        encryption: ServerSession.Settings.Encryption = .unavailable
    ) throws -> ServerSession {
        var settings = ServerSession.Settings(serverName: try #require(Domain("mx.example.org")))
        settings.encryption = encryption
        return ServerSession(
            settings: settings,
            client: ServerSession.Client(address: IPAddress(client), hostName: "<unknown>", transport: transport))
    }

    static let security = ChannelSecurity(version: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384", bits: 256)

    static func receive(
        _ text: String, _ session: inout ServerSession, waiting: Int = 0
    ) -> ServerSession.Action {
        let line = Array(text.utf8)
        return session.receive(line.span, waiting: waiting)
    }

    @Test func `an idle session is small`() {
        #expect(MemoryLayout<ServerSession>.size <= 512)
    }

    @Test(arguments: [
        ("127.0.0.1", ServerSession.Client.Transport.direct, true), ("::1", .direct, true),
        ("::ffff:127.0.0.1", .direct, true), ("192.0.2.1", .direct, false), ("127.0.0.1", .tls, false),
        ("127.0.0.1", .proxied, false), ("", .direct, false),
    ])
    func `only a direct client from loopback may type by hand`(
        address: String, transport: ServerSession.Client.Transport, mayType: Bool
    ) throws {
        var session = try Self.session(client: address, transport: transport)
        let line = Array("HELO x\n".utf8)
        let framing = session.nextLine(in: line.span)
        #expect(framing == (mayType ? .line(length: 6, consumed: 7) : .violation(.strayLineEnd)))
        #expect(session.isHandSession == mayType)
    }

    @Test func `an answer that comes after the end is forgotten`() throws {
        var session = try Self.session()
        #expect(session.begin() == .ask(.connect))
        let reply = Reply(421, EnhancedStatus(4, 3, 2), "Service shutting down")
        #expect(session.shutDown() == .close(reply))
        #expect(session.answer(.proceed) == .close(nil))
        #expect(session.timedOut() == .close(nil))
        #expect(session.disconnected() == .close(nil))
    }

    @Test func `the transaction is told while it is open`() throws {
        var session = try Self.session()
        _ = session.begin()
        _ = session.answer(.proceed)
        let lines = [
            "EHLO client.example.org", "MAIL FROM:<a@example.org> SIZE=10", "RCPT TO:<b@example.org>",
            "RCPT TO:<c@example.org>",
        ]
        for line in lines {
            #expect(session.greeting == (line == lines[0] ? nil : "client.example.org"))
            _ = Self.receive(line, &session)
            _ = session.answer(.proceed)
        }
        #expect(session.protocolName == "ESMTP")
        #expect(session.transaction?.recipients == 2)
        #expect(session.transaction?.sender == ReversePath("a@example.org"))
        #expect(session.transaction?.announcedSize == ByteCount(10))
        _ = Self.receive("QUIT", &session)
        #expect(session.transaction?.recipients == 2)
        _ = session.answer(.proceed)
        #expect(session.transaction == nil)
    }

    // What the client may have done, by a second and simpler account.
    private struct Model {
        var hasMail = false
        var recipients = 0
        var messages = 0
        var isChunked = false
    }

    private static let lines: [String] = [
        "HELO a.example.org", "EHLO a.example.org", "MAIL FROM:<a@example.org>", "MAIL FROM:<> SIZE=999999999",
        "MAIL FROM:<a@example.org> RET=FULL", "RCPT TO:<b@example.org>", "RCPT TO:<c@example.org> NOTIFY=NEVER",
        "RCPT TO:<b@example.org>", "DATA", "DATA", "RSET", "NOOP", "HELP", "VRFY x", "EXPN x", "QUIT", "", "RCPT TO:<",
        "MAIL FROM:<", "STARTTLS", "AUTH PLAIN", "DATA x", "GET / HTTP/1.1",
        "AUTH PLAIN AHUAcA==", "AHUAcA==", "*", "AUTH LOGIN", "dQ==", "", "AUTH SCRAM-SHA-256 biwsbj11LHI9eA==",
        "AUTH =",
        "BDAT 10", "BDAT 10", "BDAT 10 LAST", "BDAT 0 LAST", "BDAT -1", "BDAT", "LHLO a.example.org",
        "XCLIENT ADDR=192.0.2.9", "XFORWARD NAME=a.example.org",
        "MAIL FROM:<a@example.org> BODY=BINARYMIME", "MAIL FROM:<a@example.org> SMTPUTF8", "RCPT TO:<ü@example.org>",
    ]

    @Test func `no order of events brings a message without its own MAIL and RCPT`() throws {
        var random = SplitMix(seed: 42)
        var session = try Self.session(encryption: .offered)
        var model = Model()
        var action = session.begin()
        var accepted = 0
        for _ in 0..<200_000 {
            switch action {
            case .ask(let question):
                action = try Self.answer(question, &session, &model, &accepted, &random)
            case .reply, .rollback:
                if case .rollback = action { model = Model() }
                #expect(session.transaction?.recipients ?? 0 == model.recipients)
                #expect((session.transaction != nil) == model.hasMail)
                if random.next(below: 200) == 0 {
                    action = session.timedOut()
                } else {
                    // Half of the time what would come next, so that whole messages happen.
                    let usual =
                        model.isChunked
                        ? "BDAT 0 LAST"
                        : model.recipients > 0 ? "DATA" : model.hasMail ? "RCPT TO:<b>" : "MAIL FROM:<a>"
                    let any = Self.lines[random.next(below: Self.lines.count)]
                    let line = random.next(below: 2) == 0 ? usual : any
                    action = Self.receive(line, &session, waiting: random.next(below: 20) / 19)
                }
            case .startData:
                #expect(model.hasMail && model.recipients > 0)
                if random.next(below: 50) == 0 {
                    action = session.shutDown()
                } else {
                    let violations: [ContentViolation?] = [nil, nil, .tooBig, .strayLineEnd, .nul, .loop, .malformed]
                    let findings = ContentFindings(
                        size: ByteCount(1), violation: violations[random.next(below: violations.count)])
                    action = session.receive(endOfData: findings, waiting: random.next(below: 2))
                }
            case .takeChunk(let size, let order, let place):
                #expect(model.hasMail && model.recipients > 0 && (order == .first) == !model.isChunked)
                model.isChunked = true
                let violations: [ContentViolation?] = [nil, nil, nil, .tooBig, .strayLineEnd]
                let violation = violations[random.next(below: violations.count)]
                action = session.receive(
                    endOfChunk: ContentFindings(size: ByteCount(size), violation: violation))
                if violation != nil {
                    let isRolledBack = if case .rollback = action { true } else { false }
                    #expect(isRolledBack)
                } else if place == .middle {
                    let goesOn = if case .reply(let reply) = action { reply.code == 250 } else { false }
                    #expect(goesOn)
                }
            case .skip(let size):
                #expect(size <= 10)
                action = session.skipped()
            case .startTLS:
                #expect(session.transaction == nil && !session.isSecure)
                action = random.next(below: 4) == 0 ? session.tlsFailed() : session.tlsStarted(Self.security)
            case .awaitCommand:
                #expect(session.isSecure && session.greeting == nil)
                session.mechanisms = [.plain, .login, .scram, .scramPlus]
                action = Self.receive("EHLO a.example.org", &session)
            case .close:
                #expect(session.isClosed && session.transaction == nil)
                session = try Self.session(
                    client: random.next(below: 2) == 0 ? "127.0.0.1" : "192.0.2.7", encryption: .offered)
                if random.next(below: 2) == 0 {
                    let line = Array("HELO x\n".utf8)
                    _ = session.nextLine(in: line.span)
                }
                model = Model()
                action = session.begin()
            }
        }
        #expect(accepted > 1000)
    }

    private static let pieces: [String] = [
        "HELO a\r\n", "HELO a\n", "EHLO b\r\n", "MAIL FROM:<a@example.org>", "RCPT TO:<b>", " SIZE=1", "\r\n", "\n",
        "\r",
        "DATA\r\n", ".\r\n", "A: b\r\n", "\0", "<", "\"", "é", "QUIT", "RSET\r\n", ".", " NOTIFY=SUCCESS", "\r\n.\r\n",
        "BDAT 6\r\n", "BDAT 3 LAST\r\n", "BDAT 0 LAST\r\n", "A: b\r\n\r\n", " BODY=BINARYMIME", " SMTPUTF8",
        "MAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nA: b\r\n\r\ntext\r\n.\r\n",
    ]

    @Test func `no bytes of a client trap, however they are cut`() throws {
        var random = SplitMix(seed: 99)
        var accepted = 0
        for _ in 0..<3_000 {
            var session = try Self.session(client: random.next(below: 2) == 0 ? "127.0.0.1" : "192.0.2.7")
            _ = session.begin()
            _ = session.answer(.proceed)
            var input: [UInt8] = Array((random.next(below: 4) == 0 ? "HELO a\n" : "HELO a\r\n").utf8)
            for _ in 0..<random.next(below: 30) {
                input += Array(Self.pieces[random.next(below: Self.pieces.count)].utf8)
            }
            accepted += Self.feed(input, to: &session, &random)
        }
        #expect(accepted > 100)
    }

    /// Sends `input` in random pieces, each question answered yes; returns how many messages were accepted.
    private static func feed(_ input: [UInt8], to session: inout ServerSession, _ random: inout SplitMix) -> Int {
        var buffer: [UInt8] = []
        var content: [UInt8] = []
        var decoder: DataDecoder?
        var sent = 0
        var accepted = 0
        while sent < input.count {
            let count = min(input.count - sent, 1 + random.next(below: 50))
            buffer += input[sent..<(sent + count)]
            sent += count
            var isHungry = false
            while !isHungry, !buffer.isEmpty {
                let received = buffer
                var action: ServerSession.Action
                if var open = decoder {
                    let (consumed, isFinished) = open.decode(received.span, into: &content)
                    buffer.removeFirst(consumed)
                    decoder = isFinished ? nil : open
                    guard isFinished else { break }
                    action = session.receive(endOfData: open.findings, waiting: buffer.count)
                } else {
                    switch session.nextLine(in: received.span) {
                    case .incomplete:
                        isHungry = true
                        continue
                    case .violation(let violation):
                        action = session.receive(violation)
                    case .line(let length, let consumed):
                        buffer.removeFirst(consumed)
                        action = session.receive(received.span.extracting(first: length), waiting: buffer.count)
                    }
                }
                while case .ask(let question) = action {
                    let isContent = if case .endOfData = question { true } else { false }
                    if isContent { accepted += 1 }
                    action = session.answer(isContent ? .accepted(MessageID(1)) : .proceed)
                }
                if case .startData = action { decoder = session.makeDecoder() }
                while true {
                    if case .takeChunk(let size, _, _) = action {
                        guard size <= buffer.count else { return accepted }
                        buffer.removeFirst(size)
                        action = session.receive(endOfChunk: ContentFindings(size: ByteCount(size)))
                    } else if case .skip(let size) = action {
                        guard size <= buffer.count else { return accepted }
                        buffer.removeFirst(size)
                        action = session.skipped()
                    } else if case .ask(let question) = action {
                        let isContent = if case .endOfData = question { true } else { false }
                        if isContent { accepted += 1 }
                        action = session.answer(isContent ? .accepted(MessageID(1)) : .proceed)
                    } else {
                        break
                    }
                }
                if case .close = action { return accepted }
            }
        }
        return accepted
    }

    private static func answer(
        _ question: ServerSession.Question, _ session: inout ServerSession, _ model: inout Model,
        _ accepted: inout Int, _ random: inout SplitMix
    ) throws -> ServerSession.Action {
        let refusals: [Reply] = [Reply(550, nil, "no"), Reply(450, nil, "later")]
        switch random.next(below: 120) {
        case 0: return session.shutDown()
        case 1: return session.answer(.disconnect(Reply(421, nil, "out")))
        case 2: return session.answer(.refuse(Reply(250, nil, "nonsense")))
        case 3..<10:
            if case .endOfData = question {
                let action = session.answer(.refuse(refusals[random.next(below: 2)]))
                let isRolledBack = if case .rollback = action { true } else { false }
                #expect(isRolledBack)
                return action
            }
            return session.answer(.refuse(refusals[random.next(below: 2)]))
        default: break
        }
        switch question {
        case .endOfData(let findings):
            #expect(model.hasMail && model.recipients > 0 && findings.violation == nil)
            model = Model()
            accepted += 1
            return session.answer(.accepted(MessageID(UInt32(truncatingIfNeeded: random.next()))))
        case .mail:
            #expect(!model.hasMail)
            model.hasMail = true
        case .recipient(let number, _, _):
            #expect(model.hasMail && number == model.recipients)
            model.recipients += 1
        case .connect, .greeting, .startTLS, .data, .reset, .noop, .quit, .client, .forward: break
        case .authenticate(let mechanism, let claim):
            #expect(session.isSecure && session.user == nil && !model.hasMail)
            if case .scramBegin = claim {
                return session.answer(.challenged(ScramChallenge(nonce: "n", salt: [1], rounds: 4096)))
            }
            let proof: [UInt8] = mechanism == .scram ? [1, 2, 3] : []
            return session.answer(.authenticated(user: "u", proof: proof))
        }
        return session.answer(.proceed)
    }
}
