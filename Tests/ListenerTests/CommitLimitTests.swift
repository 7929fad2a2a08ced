// SPDX-License-Identifier: ISC

import Chance
import IPC
import Mail
import Message
import Testing

/// A request that Queue takes for an attack has the worker replaced: no content may lead to one.
@Suite struct `What a header makes of the commit` {
    private static func commit(_ content: [UInt8], author: Mailbox?) throws -> CommitRequest? {
        let server = try #require(Domain(String(repeating: "mx.example.", count: 22) + "example.org"))
        var scanner = HeaderScanner(addressFields: .collected)
        scanner.scan(content.span)
        scanner.finish()
        guard scanner.findings.fault == nil,
            let replacements = MessagePieces.rewritten(scanner.findings, serverName: server, author: author)
        else { return nil }
        let date = MailDate(Timestamp(seconds: 0), offset: 0, zone: "UTC")
        let pieces = MessagePieces.list(
            scanner.findings, contentCount: content.count, trace: [UInt8](repeating: 0x78, count: 4096),
            missing: MissingFields(date: date, messageID: "<1@\(server)>"), replacements: replacements)
        return CommitRequest(
            message: MessageID(1), session: SessionID(1), envelopes: 1,
            pieces: pieces.map {
                switch $0 {
                case .bytes(let bytes): .bytes(bytes)
                case .range(let range): .range(offset: UInt64(range.lowerBound), length: UInt64(range.count))
                }
            }, request: MessageRequest())
    }

    static let fields = [
        "To:a\r\n", "Cc: b@example.org\r\n", "Bcc: c\r\n", "X: y\r\n", "From: d\r\n",
        "To: \(String(repeating: "a,", count: 600))\r\n", "From: \(String(repeating: "a,", count: 300))\r\n",
        "Cc: \(String(repeating: "a,", count: 32_000))\r\n",
        "To: \(String(repeating: "e@example.org,", count: 4_600))\r\n",
    ]

    @Test(arguments: fields) func `one field over and over`(field: String) throws {
        for count in [1, 2, 3, 20, 99, 100, 101, 6000] where count * field.utf8.count <= 1 << 20 {
            for between in ["", "X: y\r\n"] {
                let content = Array((String(repeating: field + between, count: count) + "\r\nbody\r\n").utf8)
                let commit = try Self.commit(content, author: nil)
                #expect(commit?.fault(inContentOf: UInt64(content.count)) == nil)
            }
        }
    }

    @Test func `any of them in any order`() throws {
        var chance = TestRandom(seed: 20261125)
        let author = Mailbox(String(repeating: "a", count: 60) + "@example.org")
        var taken = 0
        for _ in 1...60 {
            var header = ""
            for _ in 0..<Int.random(in: 1...220, using: &chance) {
                // Short ones more often, or all headers would be too long.
                let some = Int.random(in: 0..<8, using: &chance) == 0 ? Self.fields[...] : Self.fields[..<5]
                header += some.randomElement(using: &chance) ?? ""
            }
            let content = Array((header + "\r\nbody\r\n").utf8)
            let commit = try Self.commit(content, author: Bool.random(using: &chance) ? author : nil)
            if commit != nil { taken += 1 }
            #expect(commit?.fault(inContentOf: UInt64(content.count)) == nil)
        }
        #expect(taken > 5)
    }
}
