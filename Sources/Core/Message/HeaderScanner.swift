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
    }

    // The longest name that is looked for is Delivered-To; a little room for blanks before the colon.
    private static let longestKnownName = 32

    private let deliveredTo: DeliveredTo
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

    public init(deliveredTo: DeliveredTo = .ignored) { self.deliveredTo = deliveredTo }

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
                if byte == .colon {
                    guard nameLength > 0 else { return fail(.neitherFieldNorContinuation(at: lineStart)) }
                    beginValue()
                } else if byte == .lineFeed {
                    return fail(.neitherFieldNorContinuation(at: lineStart))
                } else {
                    nameLength += 1
                    if nameLength <= Self.longestKnownName { name.append(byte.lowercased) }
                    guard nameLength <= Self.longestName else { return fail(.nameTooLong(at: lineStart)) }
                }
                index += 1
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

    private mutating func beginValue() {
        // obs-optional: blanks may stand between name and colon (RFC 5322 section 4.5.8).
        while let last = name.last, last.isBlank { name.removeLast() }
        hasField = true
        fieldStart = lineStart
        field = .other
        place = .value
        guard nameLength <= Self.longestKnownName else { return }
        // Shares the storage: the span of a property would hold all of `self`.
        let name = self.name
        let known = name.span
        if known.equalsCaseInsensitively("Received") { findings.receivedCount += 1 }
        if known.equalsCaseInsensitively("Date") { findings.hasDate = true }
        if known.equalsCaseInsensitively("Message-ID") { findings.hasMessageID = true }
        if known.equalsCaseInsensitively("From") { findings.hasFrom = true }
        if known.equalsCaseInsensitively("Bcc") { field = .bcc }
        if deliveredTo == .collected, known.equalsCaseInsensitively("Delivered-To") { field = .deliveredTo }
    }

    /// Skips or collects to the end of the line; returns the index behind what was taken.
    private mutating func takeValue(_ segment: Span<UInt8>, from start: Int) -> Int {
        var end = start
        while end < segment.count, segment[end] != .lineFeed { end += 1 }
        switch field {
        case .other, .bcc:
            break
        case .deliveredTo:
            // One more than is kept, so that a longer value is known as such.
            let room = Self.longestDeliveredTo + 1 - value.count
            for index in start..<end where index - start < room && segment[index] != .carriageReturn {
                value.append(segment[index])
            }
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
        case .deliveredTo:
            if value.count <= Self.longestDeliveredTo, findings.deliveredTo.count < Self.mostDeliveredTo {
                findings.deliveredTo.append(String(displaying: value.span.trimmed))
            }
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
