// SPDX-License-Identifier: ISC

import Bytes

/// The header of a message or of a part, as far as it says how the content is written (RFC 2045 section 3).
struct MIMEFields {
    private var fields: [[UInt8]] = []
    /// In lower case; nil when there is none that can be read.
    private(set) var type: String?
    private(set) var boundary: [UInt8]?
    private(set) var hasVersion = false
    private(set) var hasEightBit: Bool
    /// In lower case; empty when it is not said.
    private var encoding = ""

    init(_ header: [UInt8]) {
        hasEightBit = header.contains { $0 >= 0x80 }
        var start = 0
        while start < header.count {
            var end = start
            // A field goes on in lines that begin with a blank.
            repeat {
                end = header[end...].firstIndex(of: .lineFeed).map { $0 + 1 } ?? header.count
            } while end < header.count && header[end].isBlank
            add(Array(header[start..<end]))
            start = end
        }
    }

    private mutating func add(_ field: [UInt8]) {
        fields.append(field)
        guard let colon = field.firstIndex(of: .colon) else { return }
        let name = String(decoding: field[..<colon], as: UTF8.self).asciiLowercased
        let value = field[(colon + 1)...].filter { $0 != .carriageReturn && $0 != .lineFeed }
        switch name.filter({ $0 != " " && $0 != "\t" }) {
        case "mime-version":
            hasVersion = true
        case "content-transfer-encoding":
            let text = String(decoding: value, as: UTF8.self).asciiLowercased
            encoding = String(text.filter { $0 != " " && $0 != "\t" }.prefix { $0 != "(" && $0 != ";" })
        case "content-type" where type == nil:
            readType(value)
        default:
            break
        }
    }

    // content = type "/" subtype *( ";" attribute "=" value )                            (RFC 2045 section 5.1)
    private mutating func readType(_ value: [UInt8]) {
        var parts: [[UInt8]] = [[]]
        var isQuoted = false
        var index = 0
        while index < value.count {
            let byte = value[index]
            if byte == UInt8(ascii: "\\"), isQuoted, index + 1 < value.count {
                index += 1
                parts[parts.count - 1].append(value[index])
            } else if byte == UInt8(ascii: "\"") {
                isQuoted.toggle()
            } else if byte == UInt8(ascii: ";"), !isQuoted {
                parts.append([])
            } else if isQuoted || !byte.isBlank {
                parts[parts.count - 1].append(byte)
            }
            index += 1
        }
        let text = String(decoding: parts[0], as: UTF8.self).asciiLowercased
        guard text.utf8.contains(UInt8(ascii: "/")) else { return }
        type = text
        for part in parts.dropFirst() {
            guard let equals = part.firstIndex(of: UInt8(ascii: "=")) else { continue }
            let name = String(decoding: part[..<equals], as: UTF8.self).asciiLowercased
            if name == "boundary", boundary == nil, equals + 1 < part.count { boundary = Array(part[(equals + 1)...]) }
        }
    }

    /// The content is written as it is.
    var isPlain: Bool { isIdentity || encoding == "8bit" || encoding == "binary" }
    /// And it is said, or meant, to have seven bits.
    var isIdentity: Bool { encoding.isEmpty || encoding == "7bit" }

    /// Writes all fields; with `encoding`, the one about the encoding says that.
    func write(encoding: StaticString?, to output: inout [UInt8]) {
        for field in fields {
            if encoding != nil, let colon = field.firstIndex(of: .colon) {
                let name = String(decoding: field[..<colon], as: UTF8.self).asciiLowercased
                if name.filter({ $0 != " " && $0 != "\t" }) == "content-transfer-encoding" { continue }
            }
            output += field
        }
        // A header that just ends has no line end of its own.
        if let last = fields.last, last.last != .lineFeed { output += [.carriageReturn, .lineFeed] }
        if let encoding {
            output.append("Content-Transfer-Encoding: " as StaticString)
            output.append(encoding)
            output += [.carriageReturn, .lineFeed]
        }
    }
}
