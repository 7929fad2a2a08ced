// SPDX-License-Identifier: ISC

import Chance
import IPC
import Mail
import Schedule
import Spool
import Testing

@testable import Queue

@MainActor
struct ShelfTests {
    private func mailbox(_ text: String) throws -> Mailbox { try #require(Mailbox(text)) }

    private func message(
        _ recipients: [UInt32: StoredMessage.Recipient], position: UInt64 = 7, envid: String? = nil,
        sender: String = "alice@example.org"
    ) throws -> StoredMessage {
        StoredMessage(
            position: SpoolPosition(sequenceNumber: position), size: 4711,
            created: Timestamp(seconds: 1_700_000_000), born: 1_700_000_001,
            sender: sender.isEmpty ? .null : .mailbox(try mailbox(sender)),
            origin: Origin(
                serverName: try #require(Domain("mx.example.org")), greeting: "client.example.org",
                hostName: "client.example.org", address: IPAddress("192.0.2.1"), tag: nil),
            request: MessageRequest(returned: .full, envelopeIdentifier: envid, body: .eightBitMIME),
            fingerprint: MessageFingerprint(of: "<1@example.org>"), isBodyMissing: false, recipients: recipients)
    }

    private func recipient(_ random: inout TestRandom) throws -> StoredMessage.Recipient {
        let local = "user\(random.below(1000))"
        let address = try mailbox("\(local)@d\(random.below(5)).example.org")
        let dispatch: Dispatch =
            switch random.below(5) {
            case 0: .relay(action: "out")
            case 1: .local(action: "in", user: local, subaddress: nil, form: .action)
            case 2: .local(action: "in", user: local, subaddress: "tag", form: .forward(line: 513))
            case 3: .local(action: "in", user: "_martletu", subaddress: nil, form: .alias(item: "|/bin/x \(local)"))
            default: .relay(action: "backup")
            }
        return StoredMessage.Recipient(
            recipient: address,
            destination: random.below(3) == 0 ? try mailbox("\"a b\"@[192.0.2.9]") : address,
            dispatch: dispatch,
            report: ReportRequest(
                notify: .init(rawValue: UInt8(random.below(8))),
                originalRecipient: random.below(4) == 0 ? "rfc822;\(local)@example.org" : nil),
            isInternal: random.below(2) == 0,
            reply: random.below(3) == 0 ? Reply(451, EnhancedStatus(4, 4, 1), "No answer from \(local)") : nil)
    }

    private func expectSame(_ left: StoredMessage.Recipient?, _ right: StoredMessage.Recipient?) {
        #expect(left?.recipient == right?.recipient)
        #expect(left?.destination == right?.destination)
        #expect(left?.dispatch == right?.dispatch)
        #expect(left?.report == right?.report)
        #expect(left?.isInternal == right?.isInternal)
        #expect(left?.reply == right?.reply)
    }

    @Test func `what is put in comes out, whatever happens beside it`() throws {
        var random = TestRandom(seed: 11)
        var shelf = Shelf()
        var model: [UInt32: [UInt32: StoredMessage.Recipient]] = [:]
        for step in 0..<3000 {
            switch random.below(10) {
            case 0..<3:
                let id = UInt32(random.below(60) + 1)
                guard model[id] == nil else { continue }
                var recipients: [UInt32: StoredMessage.Recipient] = [:]
                // Of many recipients, some were done before a restart: the numbers have gaps.
                let count = random.below(8) == 0 ? 200 : random.below(4) + 1
                for number in 1...UInt32(count) where count < 5 || random.below(5) > 0 {
                    recipients[number] = try recipient(&random)
                }
                shelf.insert(MessageID(id), try message(recipients, position: UInt64(step) << 20))
                model[id] = recipients
            case 3..<6:
                guard let id = model.keys.sorted().randomElement(using: &random),
                    let number = model[id]?.keys.sorted().randomElement(using: &random)
                else { continue }
                let envelope = EnvelopeID(MessageID(id), number: number)
                switch random.below(3) {
                case 0:
                    let reply = random.below(4) == 0 ? nil : Reply(450, nil, "reply \(step)")
                    shelf.setReply(envelope, reply)
                    model[id]?[number]?.reply = reply
                case 1:
                    let other = try recipient(&random)
                    shelf.setDispatch(envelope, other.destination, other.dispatch)
                    model[id]?[number]?.destination = other.destination
                    model[id]?[number]?.dispatch = other.dispatch
                default:
                    let isRemoved = shelf.remove(envelope)
                    let isRemovedAgain = shelf.remove(envelope)
                    #expect(isRemoved && !isRemovedAgain)
                    model[id]?[number] = nil
                }
            case 6:
                guard let id = model.keys.sorted().randomElement(using: &random) else { continue }
                shelf.remove(MessageID(id))
                model[id] = nil
            default:
                guard let id = model.keys.sorted().randomElement(using: &random) else { continue }
                #expect(shelf.numbers(MessageID(id)) == model[id]?.keys.sorted())
                for (number, expected) in model[id] ?? [:] {
                    expectSame(shelf.recipient(EnvelopeID(MessageID(id), number: number)), expected)
                }
                #expect(shelf.recipient(EnvelopeID(MessageID(id), number: 9999)) == nil)
            }
            #expect(shelf.count == model.values.reduce(0) { $0 + $1.count })
        }
        for id in model.keys { shelf.remove(MessageID(id)) }
        // Nothing is left of the texts that they shared.
        #expect(shelf.count == 0 && shelf.messageCount == 0 && shelf.textCount == 0)
    }

    @Test(arguments: ["alice@example.org", ""])
    func `the head of a message is whole`(sender: String) throws {
        var random = TestRandom(seed: 5)
        var shelf = Shelf()
        let stored = try message([1: recipient(&random)], position: 1 << 50, envid: "QQ314159", sender: sender)
        shelf.insert(MessageID(3), stored)
        let head = try #require(shelf.head(MessageID(3)))
        #expect(head.position == stored.position && shelf.position(MessageID(3)) == stored.position)
        #expect(head.size == 4711 && head.created == stored.created && head.born == stored.born)
        #expect(head.sender == stored.sender && head.origin == stored.origin && head.request == stored.request)
        #expect(head.fingerprint == stored.fingerprint && !head.isBodyMissing)
        let fingerprint = MessageFingerprint(of: "1@example.org")
        let other = MessageFingerprint(of: "2@example.org")
        #expect(shelf.matches(MessageID(3), fingerprint, envelopeIdentifier: ""))
        #expect(shelf.matches(MessageID(3), other, envelopeIdentifier: "QQ314159"))
        #expect(!shelf.matches(MessageID(3), other, envelopeIdentifier: "QQ"))
    }

    /// Beside it the schedule has 157 and the spool 72.
    @Test func `a message of one recipient takes at most 103 bytes of the heap`() throws {
        var shelf = Shelf()
        let count: UInt32 = 100_000
        let stored = try (0..<1000).map { number in
            let address = try mailbox("user\(number)@d\(number % 100).example.org")
            return try message([
                1: StoredMessage.Recipient(
                    recipient: address, destination: address, dispatch: .relay(action: "out"),
                    report: ReportRequest(), isInternal: false,
                    reply: Reply(451, EnhancedStatus(4, 4, 1), "No answer from host"))
            ])
        }
        for id in 1...count { shelf.insert(MessageID(id), stored[Int(id) % 1000]) }
        // With the head of a row in its page, and a place in a hash table that is half full.
        let taken = shelf.rowBytes / Int(count) + 6 + 2 * (4 + 8)
        #expect(taken <= 103, "\(taken) bytes")
        // Nothing else is there for each of them.
        #expect(shelf.textCount < 200)
        #expect(shelf.count == Int(count))
    }
}

extension TestRandom {
    fileprivate mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }
}
