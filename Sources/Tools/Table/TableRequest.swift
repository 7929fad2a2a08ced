// SPDX-License-Identifier: ISC

import Bytes
import Routing

/// One line of the server, by the external table protocol 0.1.
nonisolated enum TableRequest: Hashable, Sendable {
    /// Something about the server or the table; nothing depends on it.
    case setting
    /// The server has said all about itself.
    case ready
    case update(id: String)
    case check(TableService, id: String, key: String)
    case lookup(TableService, id: String, key: String)
    case fetch(TableService, id: String)

    enum SyntaxError: Error, Hashable, Sendable {
        case unknownLine
        case unknownProtocol
        case unknownService
        case notText
    }

    // A key of 1023 bytes, a table's name of 64, and what stands between.
    static let longestLine = 4096
    private static let longestID = 15

    // request = "config|" name [ "|" value ]
    //         / "table|0.1|" time "|" table "|" operation
    // operation = "update|" id / ( "check" / "lookup" ) "|" service "|" id "|" key / "fetch|" service "|" id
    init(parsing line: Span<UInt8>) throws(SyntaxError) {
        guard let text = line.withUnsafeBufferPointer({ String(validating: $0, as: UTF8.self) }) else { throw .notText }
        var rest = text[...]
        switch Self.takeField(from: &rest) {
        case "config":
            if rest == "ready" {
                self = .ready
            } else {
                if Self.takeField(from: &rest) == "protocol", rest != "0.1" { throw .unknownProtocol }
                self = .setting
            }
        case "table":
            guard Self.takeField(from: &rest) == "0.1" else { throw .unknownProtocol }
            _ = Self.takeField(from: &rest)
            _ = Self.takeField(from: &rest)
            self = try Self.operation(rest)
        default:
            throw .unknownLine
        }
    }

    private static func operation(_ text: Substring) throws(SyntaxError) -> TableRequest {
        var rest = text
        let verb = takeField(from: &rest)
        if verb == "update" { return .update(id: try identifier(rest)) }
        guard let service = TableService(rawValue: String(takeField(from: &rest))) else { throw .unknownService }
        switch verb {
        case "check":
            let id = try identifier(takeField(from: &rest))
            return .check(service, id: id, key: String(rest))
        case "lookup":
            let id = try identifier(takeField(from: &rest))
            return .lookup(service, id: id, key: String(rest))
        case "fetch":
            return .fetch(service, id: try identifier(rest))
        default:
            throw .unknownLine
        }
    }

    private static func identifier(_ text: Substring) throws(SyntaxError) -> String {
        guard (1...longestID).contains(text.utf8.count), text.utf8.allSatisfy(\.isAlphanumeric) else {
            throw .unknownLine
        }
        return String(text)
    }

    /// What stands before the next `|`, or all.
    private static func takeField(from text: inout Substring) -> Substring {
        let end = text.utf8.firstIndex(of: UInt8(ascii: "|")) ?? text.endIndex
        let field = text[..<end]
        text = end < text.endIndex ? text[text.utf8.index(after: end)...] : ""
        return field
    }
}
