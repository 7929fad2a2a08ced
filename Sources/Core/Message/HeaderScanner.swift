// SPDX-License-Identifier: ISC

import Bytes

/// Reads the header of a message as its content streams by, in segments of any size (RFC 5322 section 2.2).
///
/// A line that begins with a blank continues the field above it; a line with a colon begins a field; the first line
/// that is neither ends the header and must be empty. Lines end at LF, the CR before it is not looked at: the content
/// has CRLF only. Once the header has ended a segment costs one comparison.
public struct HeaderScanner: Sendable {
    public enum DeliveredTo: Hashable, Sendable {
        case ignored
        case collected
    }

    /// Whether From, To and Cc are kept, to be rewritten.
    public enum AddressFields: Hashable, Sendable {
        case ignored
        case collected
    }

    // The reference's limit; a longer field is left as it is.
    static let longestAddressField = 65_535
    // Of all together; what is beyond is left as it is.
    static let mostAddressBytes = 128 * 1024
    // RFC 5322 section 3.6 allows one of each; each costs two pieces in the spool.
    public static let mostAddressFields = 100

    // The reference's limit.
    public static let longestName = 1023
    // Postfix has 100 KiB, Exim 1 MiB.
    public static let longestHeader = 1 << 20
    // More than any honest message; each costs a piece in the spool.
    public static let mostBccRanges = 100
    // A message that was delivered more often than this loops by Received.
    public static let mostDeliveredTo = 100
    // Twice the longest address.
    public static let longestDeliveredTo = 1024
    // RFC 5322 section 2.1.1
    public static let longestMessageID = 998

    private enum Place: Sendable {
        case lineStart
        /// Behind a CR that begins a line.
        case emptyLine
        case name
        case value
        case ended
    }

    private enum Field: Sendable {
        case other
        case bcc
        case deliveredTo
        case messageID
        case addresses(AddressField.Kind)
    }

    private let deliveredTo: DeliveredTo
    private let addressFields: AddressFields
    private var addressBytes = 0
    private var addressFieldCount = 0
    private var valueStart = 0
    private var place = Place.lineStart
    private var field = Field.other
    private var name: [UInt8] = []
    private var nameLength = 0
    private var value: [UInt8] = []
    private var hasField = false
    private var lineStart = 0
    private var fieldStart = 0
    private var offset = 0

    public private(set) var findings = HeaderFindings()

    public init(deliveredTo: DeliveredTo = .ignored, addressFields: AddressFields = .ignored) {
        self.deliveredTo = deliveredTo
        self.addressFields = addressFields
    }

    /// The header has ended, or has a fault: further content is not looked at.
    public var isEnded: Bool {
        switch place {
        case .ended: true
        case .lineStart, .emptyLine, .name, .value: false
        }
    }

    /// Looks at the next segment of the content.
    public mutating func scan(_ segment: Span<UInt8>) {
        var index = 0
        while index < segment.count {
            let byte = segment[index]
            switch place {
            case .ended:
                return
            case .lineStart:
                index += beginLine(byte)
            case .emptyLine:
                guard byte == .lineFeed else { return fail(.neitherFieldNorContinuation(at: lineStart)) }
                index += 1
                endHeader(bodyStart: offset + index)
            case .name:
                index = takeName(segment, from: index)
            case .value:
                index = takeValue(segment, from: index)
            }
            guard offset + index <= Self.longestHeader || isEnded else { return fail(.headerTooLong) }
            if case .lineStart = place { lineStart = offset + index }
        }
        offset += segment.count
    }

    /// The content has ended; what was found stands in `findings`.
    public mutating func finish() {
        switch place {
        case .ended:
            return
        case .name, .emptyLine:
            fail(.neitherFieldNorContinuation(at: lineStart))
        case .lineStart:
            endField(at: offset)
            findings.headerEnd = offset
            place = .ended
        case .value:
            endField(at: offset)
            findings.headerEnd = offset
            findings.isUnterminated = true
            place = .ended
        }
    }

    /// Decides by its first byte what a line is; returns how many bytes that took.
    private mutating func beginLine(_ byte: UInt8) -> Int {
        if byte.isBlank {
            if hasField { place = .value } else { fail(.leadingBlank) }
            return 0
        }
        endField(at: lineStart)
        guard !isEnded else { return 0 }
        if byte == .carriageReturn {
            place = .emptyLine
            return 1
        }
        if byte == .lineFeed {
            endHeader(bodyStart: lineStart + 1)
            return 1
        }
        name.removeAll(keepingCapacity: true)
        nameLength = 0
        place = .name
        return 0
    }

    /// Looks for the colon; returns the index behind what was taken.
    private mutating func takeName(_ segment: Span<UInt8>, from start: Int) -> Int {
        let limit = min(segment.count, start + Self.longestName + 1 - nameLength)
        var end = start
        while end < limit, segment[end] != .colon, segment[end] != .lineFeed { end += 1 }
        nameLength += end - start
        guard nameLength <= Self.longestName else {
            fail(.nameTooLong(at: lineStart))
            return end
        }
        let part = segment.extracting(start..<end)
        guard end < segment.count else {
            name.append(part)
            return end
        }
        guard segment[end] == .colon, nameLength > 0 else {
            fail(.neitherFieldNorContinuation(at: lineStart))
            return end
        }
        valueStart = offset + end + 1
        // Only a name that was cut in two is copied.
        if name.isEmpty {
            beginValue(of: part)
        } else {
            name.append(part)
            let whole = name
            beginValue(of: whole.span)
        }
        return end + 1
    }

    private mutating func beginValue(of name: Span<UInt8>) {
        hasField = true
        fieldStart = lineStart
        field = .other
        place = .value
        // obs-optional: blanks may stand between name and colon (RFC 5322 section 4.5.8).
        let known = name.trimmed
        switch known.first?.lowercased {
        case UInt8(ascii: "r"):
            if known.equalsCaseInsensitively("Received") { findings.receivedCount += 1 }
        case UInt8(ascii: "d"):
            if known.equalsCaseInsensitively("Date") { findings.hasDate = true }
            if deliveredTo == .collected, known.equalsCaseInsensitively("Delivered-To") { field = .deliveredTo }
        case UInt8(ascii: "m"):
            if known.equalsCaseInsensitively("Message-ID") {
                if !findings.hasMessageID { field = .messageID }
                findings.hasMessageID = true
            }
        case UInt8(ascii: "f"):
            if known.equalsCaseInsensitively("From") {
                findings.hasFrom = true
                if addressFields == .collected { field = .addresses(.from) }
            }
        case UInt8(ascii: "t"):
            if addressFields == .collected, known.equalsCaseInsensitively("To") { field = .addresses(.to) }
        case UInt8(ascii: "c"):
            if addressFields == .collected, known.equalsCaseInsensitively("Cc") { field = .addresses(.carbonCopy) }
        case UInt8(ascii: "b"):
            if known.equalsCaseInsensitively("Bcc") { field = .bcc }
        default:
            break
        }
    }

    /// Skips or collects to the end of the line; returns the index behind what was taken.
    private mutating func takeValue(_ segment: Span<UInt8>, from start: Int) -> Int {
        let end = segment.indexOfLineFeed(from: start)
        if !findings.isInternational {
            for index in start..<end where segment[index] >= 0x80 {
                findings.isInternational = true
                break
            }
        }
        switch field {
        case .other, .bcc, .addresses:
            break
        case .deliveredTo, .messageID:
            // One more than is kept, so that a longer value is known as such.
            let room = Self.longestDeliveredTo + 1 - value.count
            for index in start..<end where index - start < room && segment[index] != .carriageReturn {
                value.append(segment[index])
            }
        }
        if case .addresses = field, value.count <= Self.longestAddressField {
            value.append(segment.extracting(start..<min(segment.count, end + 1)))
        }
        guard end < segment.count else { return end }
        place = .lineStart
        return end + 1
    }

    private mutating func endField(at end: Int) {
        guard hasField else { return }
        hasField = false
        switch field {
        case .other:
            break
        case .bcc:
            if let last = findings.bccRanges.last, last.upperBound == fieldStart {
                findings.bccRanges[findings.bccRanges.count - 1] = last.lowerBound..<end
            } else if findings.bccRanges.count < Self.mostBccRanges {
                findings.bccRanges.append(fieldStart..<end)
            } else {
                fail(.tooManyBccFields)
            }
        case .addresses(let kind):
            addressBytes += value.count
            addressFieldCount += 1
            if addressFieldCount > Self.mostAddressFields {
                fail(.tooManyAddressFields)
            } else if value.count <= Self.longestAddressField, addressBytes <= Self.mostAddressBytes {
                findings.addressFields.append(AddressField(kind: kind, range: valueStart..<end, value: value))
            } else if kind == .from {
                findings.lacksFrom = true
            }
            value.removeAll(keepingCapacity: true)
        case .deliveredTo:
            if value.count <= Self.longestDeliveredTo, findings.deliveredTo.count < Self.mostDeliveredTo {
                findings.deliveredTo.append(String(displaying: value.span.trimmed))
            }
            value.removeAll(keepingCapacity: true)
        case .messageID:
            if value.count <= Self.longestMessageID { findings.messageID = String(displaying: value.span.trimmed) }
            value.removeAll(keepingCapacity: true)
        }
    }

    private mutating func endHeader(bodyStart: Int) {
        guard !isEnded else { return }
        findings.headerEnd = lineStart
        findings.bodyStart = bodyStart
        place = .ended
    }

    private mutating func fail(_ fault: HeaderFindings.Fault) {
        if findings.fault == nil { findings.fault = fault }
        findings.headerEnd = lineStart
        place = .ended
    }
}

extension Span where Element == UInt8 {
    /// The index of the first LF at or behind `start`, eight bytes at a time; `count` when there is none.
    fileprivate func indexOfLineFeed(from start: Int) -> Int {
        let everyByte: UInt64 = 0x0101_0101_0101_0101
        let raw = bytes
        var index = start
        while index <= count &- 8 {
            let word = unsafe UInt64(littleEndian: raw.unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self))
            // A byte that is LF becomes zero; the lowest mark is exact, and no other is asked for.
            let zeroed = word ^ (everyByte &* UInt64(UInt8.lineFeed))
            let marks = (zeroed &- everyByte) & ~zeroed & (everyByte << 7)
            if marks != 0 { return index &+ marks.trailingZeroBitCount / 8 }
            index &+= 8
        }
        while index < count, self[index] != .lineFeed { index &+= 1 }
        return index
    }
}
