// SPDX-License-Identifier: ISC

import Routing
import Testing

@testable import Table

@Suite struct TableRequestTests {
    private func parse(_ line: String) throws(TableRequest.SyntaxError) -> TableRequest {
        let bytes = Array(line.utf8)
        return try TableRequest(parsing: bytes.span)
    }

    nonisolated static let good: [(String, TableRequest)] = [
        ("config|smtpd-version|7.8.0", .setting), ("config|protocol|0.1", .setting), ("config|tablename|a|b", .setting),
        ("config|ready", .ready), ("table|0.1|1.000001|t|update|ab12", .update(id: "ab12")),
        ("table|0.1|1.000001|t|check|domain|1f|example.org", .check(.domain, id: "1f", key: "example.org")),
        ("table|0.1|1.000001|t|check|auth|1f|bob:pa|ss", .check(.authentication, id: "1f", key: "bob:pa|ss")),
        ("table|0.1|1.000001|t|lookup|alias|1f|", .lookup(.alias, id: "1f", key: "")),
        ("table|0.1|1.000001|t|fetch|source|1f", .fetch(.source, id: "1f")),
    ]

    @Test(arguments: good) func `a line is a request`(line: String, request: TableRequest) throws {
        #expect(try parse(line) == request)
    }

    nonisolated static let bad: [(String, TableRequest.SyntaxError)] = [
        ("", .unknownLine), ("hello", .unknownLine), ("config|protocol|0.2", .unknownProtocol),
        ("table|0.2|1.0|t|update|a", .unknownProtocol), ("table|0.1|1.0|t|check|weather|a|b", .unknownService),
        ("table|0.1|1.0|t|look|alias|a|b", .unknownLine), ("table|0.1|1.0|t|update|", .unknownLine),
        ("table|0.1|1.0|t|fetch|source|0123456789abcdef", .unknownLine), ("table|0.1|1.0|t", .unknownService),
        ("table|0.1|1.0|t|lookup|alias|-|b", .unknownLine),
    ]

    @Test(arguments: bad) func `any other line is none`(line: String, error: TableRequest.SyntaxError) {
        #expect(throws: error) { try parse(line) }
    }

    @Test func `every beginning of a line is read or refused`() {
        for (line, _) in Self.good {
            let bytes = Array(line.utf8)
            for count in 0..<bytes.count { _ = try? TableRequest(parsing: bytes.span.extracting(first: count)) }
        }
        let invalid: [UInt8] = [0xFF, 0x7C]
        #expect(throws: TableRequest.SyntaxError.notText) { try TableRequest(parsing: invalid.span) }
    }
}
