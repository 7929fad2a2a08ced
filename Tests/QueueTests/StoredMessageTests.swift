// SPDX-License-Identifier: ISC

import IPC
import Mail
import Schedule
import Spool
import Testing

@testable import Queue

@MainActor
struct StoredMessageTests {
    private let created = Timestamp(seconds: 1_700_000_000)

    private func mailbox(_ text: String) throws -> Mailbox { try #require(Mailbox(text)) }

    private func recipient(_ text: String, _ dispatch: Dispatch) throws -> StoredMessage.Recipient {
        StoredMessage.Recipient(
            recipient: try mailbox(text), destination: try mailbox("other@example.org"), dispatch: dispatch,
            report: ReportRequest(notify: [.failure, .delay], originalRecipient: "rfc822;\(text)"), isInternal: true)
    }

    private func record(_ recipients: [(UInt32, StoredMessage.Recipient)]) throws -> RecoveredMessage {
        let origin = Origin(
            serverName: try #require(Domain("mx.example.org")), greeting: "client", hostName: "<unknown>",
            address: IPAddress("192.0.2.1"), tag: "t")
        return RecoveredMessage(
            position: SpoolPosition(sequenceNumber: 7), id: MessageID(0x1234_5678),
            envelopeCount: UInt32(recipients.count), envelopes: QueueRecord.envelopes(recipients),
            attributes: QueueRecord.attributes(
                created: created, born: 77, fingerprint: MessageFingerprint(of: "<a@b>"),
                sender: .mailbox(try mailbox("\"a b\"@example.org")), origin: origin,
                request: MessageRequest(returned: .full, envelopeIdentifier: "QQ314159", body: .eightBitMIME)),
            size: 99, outcomes: [:], isBodyMissing: false)
    }

    @Test func `what the spool keeps of a message comes back whole`() throws {
        let recipients = [
            (UInt32(1), try recipient("a@example.org", .relay(action: "out"))),
            (
                UInt32(2),
                try recipient(
                    "b@example.org", .local(action: "in", user: "b", subaddress: "tag", form: .forward(line: 3)))
            ),
        ]
        let message = try StoredMessage(record(recipients))
        #expect(message.created == created)
        #expect(message.born == 77)
        #expect(message.fingerprint == MessageFingerprint(of: "a@b"))
        #expect(message.sender.description == "\"a b\"@example.org")
        #expect(message.request.returned == .full)
        #expect(message.origin.address == IPAddress("192.0.2.1"))
        #expect(message.recipients.count == 2)
        #expect(message.recipients[2]?.dispatch == recipients[1].1.dispatch)
        #expect(message.recipients[1]?.report == recipients[0].1.report)
    }

    @Test func `a record of the first layout is read, and placed by its date`() throws {
        var found = try record([(1, recipient("a@example.org", .relay(action: "out")))])
        var bytes: [UInt8] = [1]
        created.encode(to: &bytes)
        ReversePath.null.encode(to: &bytes)
        Optional(MessageRequest.Return.full).encode(to: &bytes)
        Optional("QQ314159").encode(to: &bytes)
        Optional<MessageRequest.Body>.none.encode(to: &bytes)
        Origin(
            serverName: try #require(Domain("mx.example.org")), greeting: "client", hostName: "<unknown>", address: nil
        ).encode(to: &bytes)
        found = RecoveredMessage(
            position: found.position, id: found.id, envelopeCount: found.envelopeCount, envelopes: found.envelopes,
            attributes: bytes, size: found.size, outcomes: found.outcomes, isBodyMissing: false)
        let message = try StoredMessage(found)
        #expect(message.request.returned == .full)
        #expect(message.request.envelopeIdentifier == "QQ314159")
        #expect(message.request.deadline == nil)
        // It is placed by its date.
        #expect(message.born == created.seconds)
        #expect(message.fingerprint == nil)
    }

    @Test func `a record without a priority is read`() throws {
        var found = try record([(1, recipient("a@example.org", .relay(action: "out")))])
        // The third layout has all but the last field of the request, which stands before the origin.
        let origin = Origin(
            serverName: try #require(Domain("mx.example.org")), greeting: "client", hostName: "<unknown>",
            address: IPAddress("192.0.2.1"), tag: "t")
        var tail: [UInt8] = []
        origin.encode(to: &tail)
        var bytes = found.attributes
        bytes[0] = 3
        bytes.remove(at: bytes.count - tail.count - 1)
        found.attributes = bytes
        let message = try StoredMessage(found)
        #expect(message.request.envelopeIdentifier == "QQ314159")
        #expect(message.request.priority == nil)
        #expect(message.origin == origin)
    }

    @Test func `an envelope that is done does not come back`() throws {
        var found = try record([
            (1, recipient("a@example.org", .relay(action: "out"))),
            (2, recipient("b@example.org", .relay(action: "out"))),
        ])
        found.outcomes = [1: RecoveredOutcome(payload: [], isFinal: true)]
        let message = try StoredMessage(found)
        #expect(message.recipients.keys.sorted() == [2])
    }

    @Test func `a record that was cut anywhere is refused`() throws {
        let whole = try record([(1, recipient("a@example.org", .relay(action: "out")))])
        for count in 0..<whole.envelopes.count {
            var cut = whole
            cut.envelopes = Array(whole.envelopes.prefix(count))
            #expect(throws: WireError.self) { try StoredMessage(cut) }
        }
        for count in 0..<whole.attributes.count {
            var cut = whole
            cut.attributes = Array(whole.attributes.prefix(count))
            #expect(throws: WireError.self) { try StoredMessage(cut) }
        }
    }

    @Test func `the progress of an envelope comes back as it was`() throws {
        let states: [EnvelopeProgress.State] = [
            .waiting, .suspended, .held, .awaitingNotice, .owesSuccess, .expired, .removing,
        ]
        for state in states {
            let progress = EnvelopeProgress(
                state, attempts: 3, lastTry: created, lastWarning: .hours(4),
                reply: Reply(451, EnhancedStatus(4, 4, 1), "No route"))
            let read = try EnvelopeProgress(decoding: progress.bytes)
            #expect(read.state == state)
            #expect(read.attempts == 3)
            #expect(read.lastTry == created)
            #expect(read.lastWarning == .hours(4))
            #expect(read.reply == progress.reply)
            for count in 0..<progress.bytes.count {
                #expect(throws: WireError.self) { try EnvelopeProgress(decoding: Array(progress.bytes.prefix(count))) }
            }
        }
    }
    @Test func `an envelope that goes another way says so in every record`() throws {
        var progress = EnvelopeProgress(.waiting, attempts: 1)
        progress.rerouting = EnvelopeProgress.Rerouting(
            destination: try mailbox("c@example.net"), dispatch: .relay(action: "new"))
        let read = try EnvelopeProgress(decoding: progress.bytes)
        #expect(read.rerouting?.destination.description == "c@example.net")
        #expect(read.rerouting?.dispatch == .relay(action: "new"))
        #expect(try EnvelopeProgress(decoding: EnvelopeProgress(.waiting).bytes).rerouting == nil)
        // The host that said it comes behind, with and without that.
        progress.reply = Reply(451, nil, "later")
        progress.reply?.host = Domain("mx.example.org")
        #expect(try EnvelopeProgress(decoding: progress.bytes).reply == progress.reply)
        progress.rerouting = nil
        let plain = try EnvelopeProgress(decoding: progress.bytes)
        #expect(plain.reply == progress.reply && plain.rerouting == nil)
    }
}
