// SPDX-License-Identifier: ISC

import Bytes

/// Where the fields of a message are, whose lines end with LF.
nonisolated struct HeaderFields: Hashable, Sendable {
    struct Field: Hashable, Sendable {
        /// In small letters; empty for a `From ` line, which is no field.
        let name: String
        /// Its lines, with their ends.
        var whole: Range<Int>
        /// What stands behind the colon.
        var body: Range<Int>

        func isAny(of names: [String]) -> Bool { names.contains(name) }
    }

    private(set) var fields: [Field] = []
    /// Behind the empty line, if there is one.
    private(set) var bodyStart = 0

    init(_ text: [UInt8]) {
        var offset = 0
        while offset < text.count {
            let end = text[offset...].firstIndex(of: .lineFeed) ?? text.count
            let next = min(end + 1, text.count)
            if end == offset {
                offset = next
                break
            }
            if text[offset].isBlank, let last = fields.indices.last {
                fields[last].whole = fields[last].whole.lowerBound..<next
                fields[last].body = fields[last].body.lowerBound..<end
            } else if text[offset..<end].starts(with: "From ".utf8) {
                fields.append(Field(name: "", whole: offset..<next, body: end..<end))
            } else if let colon = Self.colon(text[offset..<end]) {
                let name = text[offset..<colon].prefix { !$0.isBlank }.map(\.lowercased)
                fields.append(
                    Field(name: String(decoding: name, as: UTF8.self), whole: offset..<next, body: (colon + 1)..<end))
            } else {
                break
            }
            offset = next
        }
        bodyStart = offset
    }

    // field-name = 1*ftext; blanks before the colon are the obsolete syntax (RFC 5322 section 4.5.3).
    private static func colon(_ line: ArraySlice<UInt8>) -> Int? {
        guard let colon = line.firstIndex(of: .colon) else { return nil }
        let name = line[..<colon]
        let letters = name.prefix { $0.isVisible }
        guard !letters.isEmpty, name[letters.endIndex...].allSatisfy(\.isBlank) else { return nil }
        return colon
    }

    func has(_ name: String) -> Bool { fields.contains { $0.name == name } }

    /// The content consists of parts that have headers of their own.
    func isComposite(_ text: [UInt8]) -> Bool {
        guard let field = fields.first(where: { $0.name == "content-type" }) else { return false }
        let type = String(decoding: text[field.body].drop { $0.isBlank || $0 == .lineFeed }.prefix(16), as: UTF8.self)
            .asciiLowercased
        return type.hasPrefix("multipart/") || type.hasPrefix("message/")
    }
}
