// SPDX-License-Identifier: ISC

import Bytes
import Mail
import Testing

@testable import Message

@Suite struct `Fields of addresses` {
    private static func field(_ text: String) -> AddressField {
        let value = Array(text.utf8)
        return AddressField(kind: .to, range: 0..<value.count, value: value)
    }

    private static func domain(_ text: String) throws -> Domain { try #require(Domain(text)) }

    @Test(arguments: [
        (" bob\r\n", " bob@mx.example.org\r\n"), (" bob, <al>\r\n", " bob@mx.example.org, <al@mx.example.org>\r\n"),
        (" Bob B <bob>\r\n", " Bob B <bob@mx.example.org>\r\n"),
        (
            " \"a, b\" <bob>,\r\n\tal (the, other)\r\n",
            " \"a, b\" <bob@mx.example.org>,\r\n\tal@mx.example.org (the, other)\r\n"
        ),
        (" \"x@y\"\r\n", " \"x@y\"@mx.example.org\r\n"),
        (" a@b.example, bob\r\n", " a@b.example, bob@mx.example.org\r\n"),
    ]) func `an address without a domain gets one`(text: String, expected: String) throws {
        let field = Self.field(text)
        let domain = try Self.domain("mx.example.org")
        let count = expected.utf8.count
        #expect(field.completed(with: domain, most: count) == .changed(Array(expected.utf8)))
        #expect(field.completed(with: domain, most: count - 1) == .tooLong)
    }

    @Test(arguments: [
        " a@b.example\r\n", " <a@b.example>\r\n", " undisclosed recipients:;\r\n", " group: bob, al;\r\n", " \"bob\r\n",
        " bob (x\r\n", " <bob\r\n", " bob>\r\n", " <<bob>>\r\n", " bob smith\r\n", " <>\r\n", "\r\n", " , ,\r\n",
        " a@[192.0.2.1\r\n",
    ]) func `everything else stays as it is`(text: String) throws {
        #expect(Self.field(text).completed(with: try Self.domain("mx.example.org"), most: 1000) == .unchanged)
    }

    @Test(arguments: [
        (" Boss <boss@example.com>\r\n", " Boss <bob@example.org>\r\n"),
        (" boss@example.com (boss), <other>\r\n", " bob@example.org (boss), <bob@example.org>\r\n"),
    ]) func `a masquerade says who wrote it`(text: String, expected: String) throws {
        let bob = try #require(Mailbox("bob@example.org"))
        let count = expected.utf8.count
        #expect(Self.field(text).masqueraded(as: bob, most: count) == .changed(Array(expected.utf8)))
        #expect(Self.field(text).masqueraded(as: bob, most: count - 1) == .tooLong)
    }

    @Test func `fields are found wherever the content is cut`() {
        let content = Array("From: al\r\nX: y\r\ncc: bob,\r\n\tcarl\r\nBcc: d\r\nTo:x\r\n\r\nTo: body\r\n".utf8)
        for cut in 0...content.count {
            var scanner = HeaderScanner(addressFields: .collected)
            let parts = [Array(content[..<cut]), Array(content[cut...])]
            for part in parts { scanner.scan(part.span) }
            scanner.finish()
            let fields = scanner.findings.addressFields
            #expect(fields.map(\.kind) == [.from, .carbonCopy, .to])
            #expect(
                fields.map { String(decoding: $0.value, as: UTF8.self) } == [" al\r\n", " bob,\r\n\tcarl\r\n", "x\r\n"])
            for field in fields { #expect(Array(content[field.range]) == field.value) }
        }
    }

    @Test func `a field that is too long is left out`() {
        let content = Array("To: \(String(repeating: "a", count: 70_000))\r\nCc: b\r\n\r\n".utf8)
        var scanner = HeaderScanner(addressFields: .collected)
        scanner.scan(content.span)
        scanner.finish()
        #expect(scanner.findings.addressFields.map(\.kind) == [.carbonCopy])
    }

    @Test(arguments: ["To:a\r\n", "Cc: b@example.org\r\n", "From: \(String(repeating: "a", count: 9_000))\r\n"])
    func `a header with more fields of addresses than anybody needs is none`(field: String) {
        for (count, fault) in [(100, nil), (101, HeaderFindings.Fault.tooManyAddressFields)] {
            let content = Array((String(repeating: field, count: count) + "\r\n").utf8)
            var scanner = HeaderScanner(addressFields: .collected)
            scanner.scan(content.span)
            scanner.finish()
            #expect(scanner.findings.fault == fault)
            // A relay counts nothing that it does not touch.
            var other = HeaderScanner()
            other.scan(content.span)
            other.finish()
            #expect(other.findings.fault == nil)
        }
    }

    @Test(arguments: [
        "From: \(String(repeating: "a,", count: 30_000))\r\nTo: b\r\n\r\n",
        "From: \(String(repeating: "a,", count: 40_000))\r\nTo: b\r\n\r\n",
        "To: b\r\n\(String(repeating: "Cc: \(String(repeating: " ", count: 50_000))\r\n", count: 3))From: a\r\n\r\n",
    ]) func `a From that cannot be made true is told, what cannot be completed stays`(header: String) throws {
        var scanner = HeaderScanner(addressFields: .collected)
        scanner.scan(Array(header.utf8).span)
        scanner.finish()
        let server = try Self.domain("mx.example.org")
        let bob = try #require(Mailbox("bob@example.org"))
        #expect(MessagePieces.rewritten(scanner.findings, serverName: server, author: bob) == nil)
        let completed = try #require(MessagePieces.rewritten(scanner.findings, serverName: server, author: nil))
        #expect(completed.map { String(decoding: $0.bytes, as: UTF8.self) } == [" b@mx.example.org\r\n"])
    }
}
