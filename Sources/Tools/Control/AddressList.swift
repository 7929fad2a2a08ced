// SPDX-License-Identifier: ISC

import Bytes

/// The addresses in a field such as To, or in an argument: those of mailboxes and of the members of groups, without
/// names and comments (RFC 5322 section 3.4). Local parts alone are addresses here: the server completes them.
nonisolated struct AddressList: Hashable, Sendable {
    enum Mistake: Error, Hashable, Sendable {
        case tooMany
        /// What stands where an address should.
        case invalid(String)

        var text: String {
            switch self {
            case .tooMany: "too many recipients"
            case .invalid(let text): "invalid address: \(text)"
            }
        }
    }

    static let mostAddresses = 10_000
    // RFC 5321 section 4.5.3.1.3 has 256; the server decides about what is less than twice as long.
    static let longestAddress = 512
    private static let deepestComment = 64

    private(set) var addresses: [String] = []

    /// Reads a list whose line ends, if it has any, are folds.
    init(parsing text: Span<UInt8>) throws(Mistake) {
        var reader = Reader(text.array)
        while !reader.isAtEnd {
            guard let found = try reader.next() else { continue }
            guard addresses.count < Self.mostAddresses else { throw .tooMany }
            addresses.append(found)
        }
    }

    init(_ text: String) throws(Mistake) { try self.init(parsing: Array(text.utf8).span) }

    private struct Reader {
        private let bytes: [UInt8]
        private var index = 0
        private var entryStart = 0
        // Of the entry under way: its text outside angles, and the text inside.
        private var plain: [UInt8] = []
        private var angle: [UInt8]?
        private var hasGap = false
        private var isPhrase = false

        init(_ bytes: [UInt8]) { self.bytes = bytes }

        var isAtEnd: Bool { index >= bytes.count }

        /// Reads up to the next separator; nil when no address stands before it.
        mutating func next() throws(Mistake) -> String? {
            begin()
            while index < bytes.count {
                let byte = bytes[index]
                index += 1
                switch byte {
                case UInt8(ascii: ","), UInt8(ascii: ";"): return try finish()
                case UInt8(ascii: ":"):
                    // The name of a group ends.
                    guard angle == nil else { throw invalid }
                    begin()
                case UInt8(ascii: "("): try skipComment()
                case UInt8(ascii: "<"):
                    guard angle == nil else { throw invalid }
                    try takeAngle()
                case UInt8(ascii: "\""):
                    markGap()
                    let text = try takeQuoted()
                    plain += text
                case UInt8(ascii: "["):
                    markGap()
                    let text = try takeLiteral()
                    plain += text
                case .space, .horizontalTab, .lineFeed, .carriageReturn: hasGap = true
                default:
                    markGap()
                    plain.append(byte)
                }
            }
            return try finish()
        }

        private mutating func begin() {
            plain = []
            angle = nil
            hasGap = false
            isPhrase = false
            entryStart = index
        }

        // White space between two words makes a phrase of them, except beside a dot or an at sign (obsolete syntax).
        private mutating func markGap() {
            defer { hasGap = false }
            guard hasGap, let last = plain.last, index <= bytes.count else { return }
            let following = bytes[index - 1]
            let joins: (UInt8) -> Bool = { $0 == .dot || $0 == UInt8(ascii: "@") }
            if !joins(last), !joins(following) { isPhrase = true }
        }

        private mutating func finish() throws(Mistake) -> String? {
            if let angle { return try checked(angle) }
            if plain.isEmpty { return nil }
            if isPhrase { throw invalid }
            return try checked(plain)
        }

        private func checked(_ address: [UInt8]) throws(Mistake) -> String {
            guard !address.isEmpty, address.count <= AddressList.longestAddress,
                address.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }), address.last != UInt8(ascii: "@"),
                let text = String(validating: address, as: UTF8.self)
            else { throw invalid }
            return text
        }

        private var invalid: Mistake {
            .invalid("\(VisibleText(bytes[min(entryStart, bytes.count)...].prefix(80)))")
        }

        private mutating func skipComment() throws(Mistake) {
            var depth = 1
            while index < bytes.count {
                let byte = bytes[index]
                index += 1
                switch byte {
                case UInt8(ascii: "\\"): index += 1
                case UInt8(ascii: "("):
                    depth += 1
                    guard depth <= AddressList.deepestComment else { throw invalid }
                case UInt8(ascii: ")"):
                    depth -= 1
                    if depth == 0 { return }
                default: break
                }
            }
            throw invalid
        }

        private mutating func takeQuoted() throws(Mistake) -> [UInt8] {
            var output = [UInt8(ascii: "\"")]
            while index < bytes.count {
                let byte = bytes[index]
                index += 1
                // A fold inside a quoted string is none of its text.
                if byte == .lineFeed || byte == .carriageReturn { continue }
                output.append(byte)
                if byte == UInt8(ascii: "\"") { return output }
                if byte == UInt8(ascii: "\\"), index < bytes.count {
                    output.append(bytes[index])
                    index += 1
                }
            }
            throw invalid
        }

        private mutating func takeLiteral() throws(Mistake) -> [UInt8] {
            var output = [UInt8(ascii: "[")]
            while index < bytes.count {
                let byte = bytes[index]
                index += 1
                output.append(byte)
                if byte == UInt8(ascii: "]") { return output }
            }
            throw invalid
        }

        // angle-addr = "<" [ obs-route ] addr-spec ">"
        private mutating func takeAngle() throws(Mistake) {
            var text: [UInt8] = []
            while index < bytes.count {
                let byte = bytes[index]
                index += 1
                switch byte {
                case UInt8(ascii: ">"):
                    angle = text
                    return
                case UInt8(ascii: "<"): throw invalid
                case UInt8(ascii: "\""): text += try takeQuoted()
                case UInt8(ascii: "["): text += try takeLiteral()
                case UInt8(ascii: "("): try skipComment()
                // A source route is understood and ignored (RFC 5322 section 4.4).
                case UInt8(ascii: ":") where text.first == UInt8(ascii: "@"): text = []
                case .space, .horizontalTab, .lineFeed, .carriageReturn: break
                default: text.append(byte)
                }
            }
            throw invalid
        }
    }
}
