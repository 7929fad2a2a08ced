// SPDX-License-Identifier: ISC

import Bytes
import Mail
import SMTP
import Testing

/// Drives a session by text: what it sends is compared, what it is told is a reply.
struct ClientDialogue {
    var session: ClientSession
    var last: ClientSession.Action

    init(_ dialect: ClientSession.Dialect = .smtp, offer: [String]) {
        session = ClientSession(name: clientDomain("client.example.org"), dialect: dialect)
        last = session.begin()
        last = session.receive(Reply(220, nil, "mx.example.org"))
        last = session.receive(Reply(250, lines: ["mx.example.org"] + offer))
    }

    mutating func start(_ transaction: ClientSession.Transaction) -> String {
        last = session.start(transaction)
        return sent
    }

    /// What the session sends upon the reply; for other actions their name in brackets.
    mutating func hear(_ code: UInt16, _ text: String = "x") -> String {
        last = session.receive(Reply(code, nil, text))
        return sent
    }

    var sent: String {
        switch last {
        case .wait: return "[wait]"
        case .send(let bytes): return String(decoding: bytes, as: UTF8.self)
        case .sendContent: return "[content]"
        case .sendChunk: return "[chunk]"
        case .idle: return "[idle]"
        case .startTLS: return "[tls]"
        case .makeKey: return "[key]"
        case .finished(_, .idle): return "[finished]"
        case .finished(_, .send(let bytes)): return "[finished]" + String(decoding: bytes, as: UTF8.self)
        case .finished(_, .close): return "[finished][close]"
        case .close: return "[close]"
        }
    }

    /// A letter for each outcome: delivered, temporary, permanent; with the reply's code.
    var outcomes: [String] {
        guard case .finished(let outcomes, _) = last else { return [] }
        return outcomes.map { outcome in
            switch outcome {
            case .delivered(let reply, let reports): "d\(reply.code)\(reports ? "!" : "")"
            case .deferred(let reply): "t\(reply.code)"
            case .failed(let reply): "p\(reply.code)"
            }
        }
    }
}

func clientDomain(_ text: String) -> Domain {
    guard let domain = Domain(text) else { preconditionFailure("a constant domain") }
    return domain
}

func clientMailbox(_ name: String) -> Mailbox {
    Mailbox(LocalPart(name) ?? .postmaster, at: clientDomain("example.org"))
}

func clientTransaction(_ count: Int = 1, size: Int = 100) -> ClientSession.Transaction {
    ClientSession.Transaction(
        sender: .mailbox(clientMailbox("from")),
        recipients: (0..<count).map { ClientSession.Recipient(clientMailbox("r\($0)")) }, size: ByteCount(size))
}

@Suite struct ClientSessionTests {
    @Test func `a message is sent step by step`() {
        var talk = ClientDialogue(offer: [])
        #expect(talk.last == .idle)
        #expect(talk.start(clientTransaction(2)) == "MAIL FROM:<from@example.org>\r\n")
        #expect(talk.hear(250) == "RCPT TO:<r0@example.org>\r\n")
        #expect(talk.hear(250) == "RCPT TO:<r1@example.org>\r\n")
        #expect(talk.hear(550) == "DATA\r\n")
        #expect(talk.hear(354) == "[content]")
        #expect(talk.session.contentSent() == .wait)
        #expect(talk.hear(250) == "[finished]")
        #expect(talk.outcomes == ["d250", "p550"])
        #expect(talk.start(clientTransaction()) == "MAIL FROM:<from@example.org>\r\n")
    }

    @Test func `PIPELINING sends all commands in one write`() {
        var talk = ClientDialogue(offer: ["PIPELINING"])
        let commands =
            "MAIL FROM:<from@example.org>\r\nRCPT TO:<r0@example.org>\r\nRCPT TO:<r1@example.org>\r\nDATA\r\n"
        #expect(talk.start(clientTransaction(2)) == commands)
        for code: UInt16 in [250, 250, 452] { #expect(talk.hear(code) == "[wait]") }
        #expect(talk.hear(354) == "[content]")
        #expect(talk.session.contentSent() == .wait)
        #expect(talk.hear(250) == "[finished]")
        #expect(talk.outcomes == ["d250", "t452"])
    }

    @Test func `at most a hundred recipients are outstanding`() {
        var talk = ClientDialogue(offer: ["PIPELINING"])
        func count(_ text: String) -> Int { text.split(separator: "\r\n").filter { $0.hasPrefix("RCPT") }.count }
        var outstanding = count(talk.start(clientTransaction(250)))
        var sent = outstanding
        #expect(outstanding == 100)
        #expect(talk.hear(250) == "[wait]")
        var text = ""
        while outstanding > 0 {
            text = talk.hear(250)
            outstanding += count(text) - 1
            sent += count(text)
            #expect(outstanding <= 100)
        }
        #expect(sent == 250)
        #expect(talk.hear(354) == "[content]")
    }

    @Test func `EHLO falls back to HELO on a permanent refusal only`() {
        var session = ClientSession(name: clientDomain("client.example.org"))
        #expect(session.begin() == .wait)
        #expect(session.receive(Reply(220, nil, "")) == .send(Array("EHLO client.example.org\r\n".utf8)))
        var other = session
        #expect(session.receive(Reply(502, nil, "")) == .send(Array("HELO client.example.org\r\n".utf8)))
        #expect(session.receive(Reply(250, nil, "")) == .idle)
        #expect(other.receive(Reply(451, nil, "")) == .close(.refused(Reply(451, nil, ""))))
    }

    @Test func `a greeting that is no welcome ends the session`() {
        for code: UInt16 in [354, 421, 450, 554] {
            var session = ClientSession(name: clientDomain("client.example.org"))
            _ = session.begin()
            #expect(session.receive(Reply(code, nil, "")) == .close(.refused(Reply(code, nil, ""))))
        }
    }

    @Test func `parameters are sent when offered`() {
        var wanted = clientTransaction()
        wanted.request = MessageRequest(returned: .headers, envelopeIdentifier: "a+b c=", body: .eightBitMIME)
        wanted.recipients[0].report = ReportRequest(
            notify: [.success, .delay], originalRecipient: "rfc822;o+x@example.org")
        var plain = ClientDialogue(offer: [])
        #expect(plain.start(wanted) == "MAIL FROM:<from@example.org>\r\n")
        #expect(plain.hear(250) == "RCPT TO:<r0@example.org>\r\n")
        var rich = ClientDialogue(offer: ["SIZE 1000", "8bitmime", "DSN"])
        let mail = "MAIL FROM:<from@example.org> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=a+2Bb+20c+3D\r\n"
        #expect(rich.start(wanted) == mail)
        #expect(rich.hear(250) == "RCPT TO:<r0@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;o+2Bx@example.org\r\n")
        #expect(rich.hear(250) == "DATA\r\n")
        #expect(rich.hear(354) == "[content]")
        _ = rich.session.contentSent()
        _ = rich.hear(250)
        #expect(rich.outcomes == ["d250!"])
    }

    @Test func `a message that is too large for the peer is not tried`() {
        var talk = ClientDialogue(offer: ["SIZE 99"])
        #expect(talk.start(clientTransaction(2)) == "[finished]")
        #expect(talk.outcomes == ["p552", "p552"])
        #expect(talk.session.isIdle)
    }

    @Test(arguments: [(UInt16(550), "p550"), (451, "t451")]) func `a refused MAIL decides all`(
        code: UInt16, outcome: String
    ) {
        var step = ClientDialogue(offer: [])
        _ = step.start(clientTransaction(2))
        #expect(step.hear(code) == "[finished]")
        #expect(step.outcomes == [outcome, outcome])
        var pipelined = ClientDialogue(offer: ["PIPELINING"])
        _ = pipelined.start(clientTransaction(2))
        for reply in [code, 503, 503] { #expect(pipelined.hear(reply) == "[wait]") }
        var eager = pipelined
        #expect(pipelined.hear(503) == "[finished]")
        #expect(pipelined.outcomes == [outcome, outcome])
        #expect(eager.hear(354) == "[finished].\r\n")
        #expect(eager.outcomes == [outcome, outcome])
        #expect(eager.hear(554) == "[idle]")
    }

    @Test func `a refused MAIL with more recipients than the window ends after those sent`() {
        var talk = ClientDialogue(offer: ["PIPELINING"])
        _ = talk.start(clientTransaction(150))
        #expect(talk.hear(550) == "[wait]")
        for _ in 0..<99 { #expect(talk.hear(503) == "[wait]") }
        #expect(talk.hear(503) == "[finished]")
        #expect(talk.outcomes == Array(repeating: "p550", count: 150))
    }

    @Test func `nobody accepted means no content`() {
        var step = ClientDialogue(offer: [])
        _ = step.start(clientTransaction(2))
        _ = step.hear(250)
        _ = step.hear(550)
        #expect(step.hear(450) == "[finished]")
        #expect(step.outcomes == ["p550", "t450"])
        #expect(step.start(clientTransaction()) == "RSET\r\n")
        #expect(step.hear(250) == "MAIL FROM:<from@example.org>\r\n")

        var pipelined = ClientDialogue(offer: ["PIPELINING"])
        _ = pipelined.start(clientTransaction(2))
        for code: UInt16 in [250, 550, 450] { #expect(pipelined.hear(code) == "[wait]") }
        var eager = pipelined
        #expect(pipelined.hear(503) == "[finished]")
        #expect(pipelined.start(clientTransaction()).hasPrefix("RSET\r\nMAIL FROM:<from@example.org>\r\nRCPT"))
        #expect(eager.hear(354) == "[finished].\r\n")
        #expect(eager.outcomes == ["p550", "t450"])
        #expect(eager.hear(250) == "[idle]")
    }

    @Test(arguments: [(UInt16(554), "p554"), (451, "t451")]) func `a refused DATA or content decides the accepted`(
        code: UInt16, outcome: String
    ) {
        var talk = ClientDialogue(offer: ["PIPELINING"])
        _ = talk.start(clientTransaction(2))
        for reply: UInt16 in [250, 250, 550] { _ = talk.hear(reply) }
        var late = talk
        #expect(talk.hear(code) == "[finished]")
        #expect(talk.outcomes == [outcome, "p550"])
        _ = late.hear(354)
        _ = late.session.contentSent()
        #expect(late.hear(code) == "[finished]")
        #expect(late.outcomes == [outcome, "p550"])
        #expect(late.start(clientTransaction()).hasPrefix("MAIL"))
    }

    @Test func `421 and a lost connection defer what is not decided`() {
        for stop in 0..<6 {
            var talk = ClientDialogue(offer: ["PIPELINING"])
            _ = talk.start(clientTransaction(3))
            for code in [250, 250, 550, 250, 354].prefix(stop) { _ = talk.hear(UInt16(code)) }
            if stop == 5 { _ = talk.session.contentSent() }
            var lost = talk
            var late = talk
            #expect(talk.hear(421) == "[finished][close]")
            #expect(talk.outcomes == ["t421", stop > 2 ? "p550" : "t421", "t421"])
            lost.last = lost.session.closed()
            #expect(lost.outcomes == ["t451", stop > 2 ? "p550" : "t451", "t451"])
            late.last = late.session.timedOut()
            #expect(late.outcomes == lost.outcomes)
            #expect(late.session.closed() == .close(.lost(Reply(451, EnhancedStatus(4, 4, 2), "Connection lost"))))
        }
    }

    @Test func `unexpected replies defer and close`() {
        for replies: [UInt16] in [[354], [250, 354], [250, 250, 250], [250, 250, 354, 250]] {
            var talk = ClientDialogue(offer: ["PIPELINING"])
            _ = talk.start(clientTransaction())
            var sent = ""
            for code in replies { sent = talk.hear(code) }
            #expect(sent == "[finished][close]")
            #expect(talk.outcomes == ["t451"])
        }
        var idle = ClientDialogue(offer: [])
        #expect(idle.hear(250) == "[close]")
    }

    @Test func `an early refusal of the content counts and closes`() {
        var talk = ClientDialogue(offer: [])
        _ = talk.start(clientTransaction())
        for code: UInt16 in [250, 250, 354] { _ = talk.hear(code) }
        #expect(talk.hear(552) == "[finished][close]")
        #expect(talk.outcomes == ["p552"])
    }

    @Test func `25 refused recipients in a row end the transaction and the session`() {
        var talk = ClientDialogue(offer: [])
        _ = talk.start(clientTransaction(40))
        _ = talk.hear(250)
        #expect(talk.hear(250).hasPrefix("RCPT"))
        for _ in 0..<24 { #expect(talk.hear(550).hasPrefix("RCPT")) }
        #expect(talk.hear(550) == "DATA\r\n")
        _ = talk.hear(354)
        _ = talk.session.contentSent()
        #expect(talk.hear(250) == "[finished]QUIT\r\n")
        #expect(talk.outcomes == ["d250"] + Array(repeating: "p550", count: 25) + Array(repeating: "t451", count: 14))
        #expect(talk.hear(221) == "[close]")
    }

    @Test func `with PIPELINING those already named keep their own replies`() {
        var talk = ClientDialogue(offer: ["PIPELINING"])
        _ = talk.start(clientTransaction(120))
        _ = talk.hear(250)
        for _ in 0..<99 { #expect(talk.hear(550) == "[wait]" || talk.outcomes.isEmpty) }
        #expect(talk.hear(550) == "[finished]QUIT\r\n")
        #expect(talk.outcomes == Array(repeating: "p550", count: 100) + Array(repeating: "t451", count: 20))
    }

    @Test func `ten messages without success end the session`() {
        var talk = ClientDialogue(offer: [])
        for _ in 0..<9 {
            _ = talk.start(clientTransaction())
            #expect(talk.hear(550) == "[finished]")
        }
        _ = talk.start(clientTransaction())
        #expect(talk.hear(550) == "[finished]QUIT\r\n")
        #expect(talk.session.closed() == .close(.quit))
    }

    @Test func `552 to RCPT is temporary unless its status says otherwise`() {
        var talk = ClientDialogue(offer: [])
        _ = talk.start(clientTransaction(2))
        _ = talk.hear(250)
        _ = talk.hear(552)
        talk.last = talk.session.receive(Reply(552, EnhancedStatus(5, 2, 2), "full"))
        #expect(talk.outcomes == ["t552", "p552"])
    }

    @Test func `for whom there is no room beside others another transaction follows`() {
        var talk = ClientDialogue(offer: [])
        _ = talk.start(clientTransaction(40))
        #expect(talk.hear(250).hasPrefix("RCPT"))
        for _ in 0..<3 { #expect(talk.hear(250).hasPrefix("RCPT")) }
        for _ in 0..<24 { #expect(talk.hear(452).hasPrefix("RCPT")) }
        // It has said so often enough.
        #expect(talk.hear(452) == "DATA\r\n")
        _ = talk.hear(354)
        _ = talk.session.contentSent()
        #expect(talk.hear(250) == "[finished]")
        #expect(talk.outcomes.prefix(4) == ["d250", "d250", "d250", "t452"])
        #expect(talk.outcomes.count == 40)
        #expect(talk.session.takeSurplus() == Set(3..<40))
        #expect(talk.session.takeSurplus().isEmpty)
        #expect(talk.session.isIdle)
        var pipelined = ClientDialogue(offer: ["PIPELINING"])
        _ = pipelined.start(clientTransaction(120))
        for code in [250, 250] + Array(repeating: UInt16(552), count: 99) { _ = pipelined.hear(code) }
        #expect(pipelined.hear(354) == "[content]")
        _ = pipelined.session.contentSent()
        #expect(pipelined.hear(250) == "[finished]")
        #expect(pipelined.session.takeSurplus() == Set(1..<120))
    }

    @Test(
        arguments: [
            // Nobody was taken, the content was not taken, and a mailbox that is full is not a matter of room for others.
            ([452, 452, 452], [], ["t452", "t452", "t452"]), ([250, 452, 550], [451], ["t451", "t452", "p550"]),
            ([250, 452, 550], [550], ["p550", "t452", "p550"]), ([452, 250, 550], [250], ["t452", "d250", "p550"]),
        ] as [([UInt16], [UInt16], [String])])
    func `without a delivery or without another's place nobody is left over`(
        recipients: [UInt16], content: [UInt16], outcomes: [String]
    ) {
        var talk = ClientDialogue(offer: [])
        _ = talk.start(clientTransaction(3))
        for code in [250] + recipients { _ = talk.hear(code) }
        for code in content {
            _ = talk.hear(354)
            _ = talk.session.contentSent()
            _ = talk.hear(code)
        }
        #expect(talk.outcomes == outcomes)
        #expect(talk.session.takeSurplus().isEmpty)
    }

    @Test func `a mailbox that is full is no matter of room for others`() {
        var talk = ClientDialogue(offer: [])
        _ = talk.start(clientTransaction(2))
        for _ in 0..<2 { _ = talk.hear(250) }
        talk.last = talk.session.receive(Reply(452, EnhancedStatus(4, 2, 2), "full"))
        #expect(talk.sent == "DATA\r\n")
        _ = talk.hear(354)
        _ = talk.session.contentSent()
        _ = talk.hear(250)
        #expect(talk.outcomes == ["d250", "t452"])
        #expect(talk.session.takeSurplus().isEmpty)
    }

    @Test func `LMTP answers for each accepted recipient`() {
        var session = ClientSession(name: clientDomain("client.example.org"), dialect: .lmtp)
        _ = session.begin()
        #expect(session.receive(Reply(220, nil, "")) == .send(Array("LHLO client.example.org\r\n".utf8)))
        #expect(session.receive(Reply(500, nil, "")) == .close(.refused(Reply(500, nil, ""))))
        var talk = ClientDialogue(.lmtp, offer: ["PIPELINING"])
        _ = talk.start(clientTransaction(4))
        for code: UInt16 in [250, 250, 550, 250, 250] { _ = talk.hear(code) }
        #expect(talk.hear(354) == "[content]")
        _ = talk.session.contentSent()
        #expect(talk.hear(250) == "[wait]")
        #expect(talk.hear(452) == "[wait]")
        var lost = talk
        #expect(talk.hear(550) == "[finished]")
        #expect(talk.outcomes == ["d250", "p550", "t452", "p550"])
        lost.last = lost.session.closed()
        #expect(lost.outcomes == ["d250", "p550", "t452", "t451"])
    }

    @Test func `LMTP with nobody accepted does not wait for a reply to the dot`() {
        var talk = ClientDialogue(.lmtp, offer: ["PIPELINING"])
        _ = talk.start(clientTransaction())
        _ = talk.hear(250)
        _ = talk.hear(550)
        #expect(talk.hear(354) == "[finished].\r\nQUIT\r\n")
    }

    @Test func `STARTTLS forgets the offer and greets again`() {
        var talk = ClientDialogue(offer: ["STARTTLS", "SIZE 99", "AUTH PLAIN LOGIN", "AUTH=PLAIN"])
        #expect(talk.session.offer.extensions == [.startTLS, .size, .authentication])
        #expect(talk.session.offer.mechanisms == ["PLAIN", "LOGIN"])
        #expect(talk.session.startTLS() == .send(Array("STARTTLS\r\n".utf8)))
        #expect(talk.hear(220) == "[tls]")
        #expect(talk.session.tlsStarted() == .send(Array("EHLO client.example.org\r\n".utf8)))
        #expect(talk.session.offer == PeerOffer())
        #expect(talk.hear(250) == "[idle]")
    }

    var password: Secret { Secret(Array("correct horse".utf8)) }

    @Test func `AUTH PLAIN is preferred and needs TLS`() {
        var talk = ClientDialogue(offer: ["STARTTLS", "AUTH LOGIN PLAIN"])
        var plain = talk
        plain.last = plain.session.authenticate(user: "joe", password: password, nonce: "n")
        #expect(plain.sent == "[close]")
        _ = talk.session.startTLS()
        _ = talk.hear(220)
        _ = talk.session.tlsStarted()
        talk.last = talk.session.receive(Reply(250, lines: ["x", "AUTH LOGIN PLAIN"]))
        talk.last = talk.session.authenticate(user: "joe", password: password, nonce: "n")
        #expect(talk.sent == "AUTH PLAIN AGpvZQBjb3JyZWN0IGhvcnNl\r\n")
        var refused = talk
        #expect(talk.hear(235) == "[idle]")
        #expect(refused.hear(535) == "[close]")
    }

    @Test func `AUTH LOGIN asks twice`() {
        var session = ClientSession(name: clientDomain("client.example.org"), channel: .tls)
        _ = session.begin()
        _ = session.receive(Reply(220, nil, ""))
        _ = session.receive(Reply(250, lines: ["x", "AUTH LOGIN"]))
        var other = session
        #expect(
            session.authenticate(user: "joe", password: password, nonce: "n") == .send(Array("AUTH LOGIN\r\n".utf8)))
        #expect(session.receive(Reply(334, nil, "VXNlcm5hbWU6")) == .send(Array("am9l\r\n".utf8)))
        #expect(session.receive(Reply(334, nil, "UGFzc3dvcmQ6")) == .send(Array("Y29ycmVjdCBob3JzZQ==\r\n".utf8)))
        #expect(!String(describing: session).contains("Y29y"))
        #expect(session.receive(Reply(235, nil, "")) == .idle)
        guard case .close(.refused) = other.authenticate(user: "j\0e", password: password, nonce: "n") else {
            Issue.record("a user name with a NUL was sent")
            return
        }
    }

    @Test(arguments: ["PLAIN", "LOGIN", "SCRAM-SHA-256"])
    func `no word of a server that repeats what we prove ourselves with leaves the session`(mechanism: String) {
        var session = ClientSession(name: clientDomain("client.example.org"), channel: .tls)
        _ = session.begin()
        _ = session.receive(Reply(220, nil, ""))
        _ = session.receive(Reply(250, lines: ["x", "AUTH \(mechanism)"]))
        var action = session.authenticate(
            user: "user", password: Secret(Array("pencil".utf8)), nonce: "rOprNGfwEbeRWgbN")
        var questions = ["", ""]
        if mechanism.hasPrefix("SCRAM") {
            let first = Array("r=rOprNGfwEbeRWgbNx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096".utf8)
            questions[0] = String(decoding: Base64.encode(first.span), as: UTF8.self)
        }
        for question in questions {
            guard case .send(let line) = action else { break }
            let text = String(decoding: line.dropLast(2), as: UTF8.self)
            var other = session
            let refusal = Reply(535, EnhancedStatus(5, 7, 8), lines: ["Bad command:", text])
            #expect(
                other.receive(refusal)
                    == .close(.refused(Reply(535, EnhancedStatus(5, 7, 8), "Authentication refused"))), "\(text)")
            action = session.receive(Reply(334, nil, question))
            guard case .makeKey(var key) = action else { continue }
            var made: [UInt8]?
            while made == nil { made = key.advance(1000) }
            action = session.keyMade(made ?? [])
        }
    }

    @Test func `every recipient gets one outcome whatever the server says`() {
        var random = ClientTestRandom(seed: 3)
        let codes: [UInt16] = [250, 250, 250, 250, 354, 354, 421, 450, 550, 552]
        for round in 0..<1000 {
            let dialect: ClientSession.Dialect = round % 4 == 0 ? .lmtp : .smtp
            var talk = ClientDialogue(dialect, offer: round % 2 == 0 ? ["PIPELINING"] : [])
            let count = Int.random(in: 1..<130, using: &random)
            talk.last = talk.session.start(clientTransaction(count))
            for step in 0..<1000 {
                if !talk.outcomes.isEmpty { break }
                #expect(step < 999)
                if talk.last == .sendContent { _ = talk.session.contentSent() }
                if Int.random(in: 0..<200, using: &random) == 0 {
                    talk.last = talk.session.closed()
                } else {
                    let code =
                        step % 5 == 0 ? codes.randomElement(using: &random) ?? 250 : step == count + 1 ? 354 : 250
                    talk.last = talk.session.receive(Reply(code, nil, "x"))
                }
            }
            #expect(talk.outcomes.count == count)
        }
    }
}
