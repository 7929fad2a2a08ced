// SPDX-License-Identifier: ISC

import Bytes
import IPC

/// Values written as JSON (RFC 8259).
nonisolated enum JSONText {
    /// A string in its quotes; control characters and DEL are escaped, other characters stand for themselves.
    static func string(_ text: String) -> String {
        var output: [UInt8] = [quote]
        for byte in text.utf8 { append(byte, escapingFrom: nil, to: &output) }
        output.append(quote)
        return String(decoding: output, as: UTF8.self)
    }

    /// Bytes as a string whose characters U+0000 to U+00FF are the bytes 0 to 255: nothing is lost, whatever they mean.
    static func string(bytes: [UInt8]) -> [UInt8] { [quote] + escaped(bytes: bytes) + [quote] }

    /// What stands between the quotes.
    static func escaped(bytes: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count + bytes.count / 8)
        for byte in bytes { append(byte, escapingFrom: 0x80, to: &output) }
        return output
    }

    static func value(_ value: ControlValue) -> String {
        switch value {
        case .text(let text): string(text)
        case .number(let number): "\(number)"
        case .absent: "null"
        }
    }

    /// One object, its members in the order given.
    static func object(_ fields: [ControlField]) -> String {
        "{" + fields.map { "\(string($0.name)): \(value($0.value))" }.joined(separator: ", ") + "}"
    }

    private static let quote = UInt8(ascii: "\"")
    private static let backslash = UInt8(ascii: "\\")

    private static func append(_ byte: UInt8, escapingFrom limit: UInt8?, to output: inout [UInt8]) {
        switch byte {
        case quote, backslash:
            output.append(backslash)
            output.append(byte)
        case .lineFeed: output.append("\\n" as StaticString)
        case .carriageReturn: output.append("\\r" as StaticString)
        case .horizontalTab: output.append("\\t" as StaticString)
        default:
            if byte < 0x20 || byte == 0x7F || limit.map({ byte >= $0 }) == true {
                output.append("\\u00" as StaticString)
                output.append(Hexadecimal.text(UInt64(byte), width: 2))
            } else {
                output.append(byte)
            }
        }
    }
}
