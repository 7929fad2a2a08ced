// SPDX-License-Identifier: ISC

import Bytes
import Mail
import SMTP
import Testing

/// What a message needs of the next host, it gets there or the sender hears of it.
@Suite struct `What a client needs of the server` {
    private func transaction(_ change: (inout MessageRequest) -> Void) -> ClientSession.Transaction {
        var transaction = clientTransaction()
        change(&transaction.request)
        return transaction
    }

    @Test func `binary content goes in a chunk, when all recipients are known`() {
        var talk = ClientDialogue(offer: ["PIPELINING", "CHUNKING", "BINARYMIME", "8BITMIME"])
        var wanted = clientTransaction(2)
        wanted.request.body = .binaryMIME
        #expect(
            talk.start(wanted)
                == "MAIL FROM:<from@example.org> BODY=BINARYMIME\r\nRCPT TO:<r0@example.org>\r\nRCPT TO:<r1@example.org>\r\n"
        )
        #expect(talk.hear(250) == "[wait]")
        #expect(talk.hear(550) == "[wait]")
        #expect(talk.hear(250) == "[chunk]")
        talk.last = talk.session.contentSent()
        #expect(talk.hear(250) == "[finished]")
        #expect(talk.outcomes == ["p550", "d250"])
    }

    @Test func `binary content without a recipient is not sent`() {
        var talk = ClientDialogue(offer: ["CHUNKING", "BINARYMIME", "8BITMIME"])
        #expect(talk.start(transaction { $0.body = .binaryMIME }).hasPrefix("MAIL"))
        #expect(talk.hear(250).hasPrefix("RCPT"))
        #expect(talk.hear(550) == "[finished]")
        #expect(talk.outcomes == ["p550"])
    }

    @Test(arguments: [["CHUNKING"], ["BINARYMIME"], []])
    func `binary content is not given to a host that could not take it`(offer: [String]) {
        var talk = ClientDialogue(offer: offer)
        #expect(talk.start(transaction { $0.body = .binaryMIME }) == "[finished]")
        #expect(talk.outcomes == ["p554"])
    }

    @Test func `SMTPUTF8 is said where it is needed, and the message fails where it is unknown`() throws {
        var talk = ClientDialogue(offer: ["SMTPUTF8", "8BITMIME"])
        #expect(
            talk.start(transaction { $0.isInternational = true }) == "MAIL FROM:<from@example.org> SMTPUTF8\r\n")
        talk = ClientDialogue(offer: ["8BITMIME"])
        #expect(talk.start(transaction { $0.isInternational = true }) == "[finished]")
        #expect(talk.outcomes == ["p550"])
        var wanted = clientTransaction()
        wanted.recipients[0].mailbox = try #require(Mailbox("ü@example.org"))
        talk = ClientDialogue(offer: [])
        #expect(talk.start(wanted) == "[finished]")
        // A domain has another spelling.
        wanted.recipients[0].mailbox = try #require(Mailbox("a@bücher.example"))
        talk = ClientDialogue(offer: ["PIPELINING"])
        #expect(talk.start(wanted).contains("RCPT TO:<a@xn--bcher-kva.example>"))
    }

    @Test func `REQUIRETLS goes on under TLS only, and only to a host that keeps it`() {
        var talk = ClientDialogue(offer: ["REQUIRETLS"])
        #expect(talk.start(transaction { $0.requiresTLS = true }) == "[finished]")
        #expect(talk.outcomes == ["p550"])
        var session = ClientSession(name: clientDomain("client.example.org"), channel: .tls)
        _ = session.begin()
        _ = session.receive(Reply(220, nil, "mx.example.org"))
        _ = session.receive(Reply(250, lines: ["mx.example.org", "REQUIRETLS"]))
        var unverified = session
        guard case .finished(let outcomes, then: .idle) = unverified.start(transaction { $0.requiresTLS = true }),
            case .failed? = outcomes.first
        else {
            Issue.record("given to a host that nobody knows")
            return
        }
        session.isVerified = true
        #expect(
            session.start(transaction { $0.requiresTLS = true })
                == .send(Array("MAIL FROM:<from@example.org> REQUIRETLS\r\n".utf8)))
    }

    @Test func `a priority goes on to a host that knows of priorities, and nobody is refused for it`() {
        var talk = ClientDialogue(offer: ["MT-PRIORITY MIXER"])
        #expect(
            talk.start(transaction { $0.priority = MessageRequest.Priority(-3) })
                == "MAIL FROM:<from@example.org> MT-PRIORITY=-3\r\n")
        talk = ClientDialogue(offer: ["MT-PRIORITY"])
        #expect(talk.start(transaction { $0.priority = nil }) == "MAIL FROM:<from@example.org> MT-PRIORITY=0\r\n")
        talk = ClientDialogue(offer: [])
        #expect(
            talk.start(transaction { $0.priority = MessageRequest.Priority(9) }) == "MAIL FROM:<from@example.org>\r\n")
    }

    @Test func `a deadline goes on with the time that is left`() {
        var wanted = transaction {
            $0.deadline = MessageRequest.Deadline(time: Timestamp(seconds: 1000), mode: .giveUp, trace: .relays)
        }
        wanted.timeLeft = .seconds(90)
        var talk = ClientDialogue(offer: ["DELIVERBY 60"])
        #expect(talk.start(wanted) == "MAIL FROM:<from@example.org> BY=90;RT\r\n")
        talk = ClientDialogue(offer: [])
        #expect(talk.start(wanted) == "[finished]")
        wanted.timeLeft = .seconds(0)
        talk = ClientDialogue(offer: ["DELIVERBY"])
        #expect(talk.start(wanted) == "[finished]")
        wanted.request.deadline?.mode = .notify
        talk = ClientDialogue(offer: [])
        #expect(talk.start(wanted) == "MAIL FROM:<from@example.org>\r\n")
    }
}
