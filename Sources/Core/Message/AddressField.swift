// SPDX-License-Identifier: ISC

import Bytes
public import Mail

/// A field of addresses as it came, and what submission makes of it.
///
/// Only what is plainly a list of mailboxes is touched: a group, a quote or comment that does not end, an address with
/// blanks in it, stay as they are, and so does every byte that is no part of an address.
public struct AddressField: Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        case from
        case to
        case carbonCopy
    }

    public let kind: Kind
    /// Of its value in the content, line end included.
    public let range: Range<Int>
    /// The bytes of that range.
    public let value: [UInt8]

    public init(kind: Kind, range: Range<Int>, value: [UInt8]) {
        self.kind = kind
        self.range = range
        self.value = value
    }

    /// What became of a value that was to be rewritten.
    public enum Rewriting: Hashable, Sendable {
        case unchanged
        case changed([UInt8])
        /// It would have more bytes than are allowed.
        case tooLong
    }

    /// The value with `@domain` behind each address that has none (RFC 6409 section 8.1).
    public func completed(with domain: Domain, most: Int) -> Rewriting {
        guard let addresses = Self.addresses(in: value) else { return .unchanged }
        let ends = addresses.filter { !Self.hasDomain(value[$0]) }.map { $0.upperBound..<$0.upperBound }
        return replacing(ends, by: Array("@\(domain)".utf8), most)
    }

    /// The value with each address replaced by `mailbox`.
    public func masqueraded(as mailbox: Mailbox, most: Int) -> Rewriting {
        guard let addresses = Self.addresses(in: value) else { return .unchanged }
        return replacing(addresses, by: Array(mailbox.description.utf8), most)
    }

    // A comma and a letter are an address, and become one of any length: what would come out is counted before it is made.
    private func replacing(_ ranges: [Range<Int>], by bytes: [UInt8], _ most: Int) -> Rewriting {
        guard !ranges.isEmpty else { return .unchanged }
        let count = ranges.reduce(value.count + ranges.count * bytes.count) { $0 - $1.count }
        guard count <= most else { return .tooLong }
        var output: [UInt8] = []
        output.reserveCapacity(count)
        var start = 0
        for range in ranges {
            output += value[start..<range.lowerBound]
            output += bytes
            start = range.upperBound
        }
        output += value[start...]
        return output == value ? .unchanged : .changed(output)
    }

    /// Where the addresses stand, each without angle brackets; nil when the value is no plain list.
    static func addresses(in value: [UInt8]) -> [Range<Int>]? {
        var found: [Range<Int>] = []
        var word: Range<Int>?
        var angle: Int?
        var bracketed: Range<Int>?
        var isBroken = false
        var followsGap = false
        var index = 0

        func take(to end: Int) {
            if angle == nil {
                if followsGap, word != nil { isBroken = true }
                word = (word?.lowerBound ?? index)..<end
            }
            followsGap = false
            index = end
        }
        func endElement() {
            if let bracketed {
                if !bracketed.isEmpty { found.append(bracketed) }
            } else if let word, !isBroken {
                found.append(word)
            }
            word = nil
            bracketed = nil
            isBroken = false
            followsGap = false
        }

        while index < value.count {
            switch value[index] {
            case UInt8(ascii: "\""):
                guard let end = Self.endOfQuote(value, index) else { return nil }
                take(to: end)
            case UInt8(ascii: "("):
                guard let end = Self.endOfComment(value, index) else { return nil }
                followsGap = true
                index = end
            case UInt8(ascii: "["):
                guard let end = value[index...].firstIndex(of: UInt8(ascii: "]")) else { return nil }
                take(to: end + 1)
            case UInt8(ascii: "<"):
                guard angle == nil, bracketed == nil else { return nil }
                angle = index + 1
                index += 1
            case UInt8(ascii: ">"):
                guard let start = angle else { return nil }
                bracketed = start..<index
                angle = nil
                index += 1
            case UInt8(ascii: ",") where angle == nil:
                endElement()
                index += 1
            case .colon where angle == nil, UInt8(ascii: ";") where angle == nil:
                return nil
            case .space, .horizontalTab, .carriageReturn, .lineFeed:
                followsGap = true
                index += 1
            default:
                take(to: index + 1)
            }
        }
        guard angle == nil else { return nil }
        endElement()
        return found
    }

    private static func endOfQuote(_ value: [UInt8], _ start: Int) -> Int? {
        var index = start + 1
        while index < value.count {
            if value[index] == UInt8(ascii: "\\") {
                index += 1
            } else if value[index] == UInt8(ascii: "\"") {
                return index + 1
            }
            index += 1
        }
        return nil
    }

    private static func endOfComment(_ value: [UInt8], _ start: Int) -> Int? {
        var depth = 0
        var index = start
        while index < value.count {
            switch value[index] {
            case UInt8(ascii: "\\"): index += 1
            case UInt8(ascii: "("): depth += 1
            case UInt8(ascii: ")"):
                depth -= 1
                if depth == 0 { return index + 1 }
            default: break
            }
            index += 1
        }
        return nil
    }

    private static func hasDomain(_ address: ArraySlice<UInt8>) -> Bool {
        let bytes = Array(address)
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "@") { return true }
            index = bytes[index] == UInt8(ascii: "\"") ? endOfQuote(bytes, index) ?? bytes.count : index + 1
        }
        return false
    }
}
