// SPDX-License-Identifier: ISC

import Bytes

/// Makes the lines after DATA out of content: dots doubled, the terminator added (RFC 5321 section 4.5.2).
///
/// Every repair is a byte put between two neighbours, so all that is remembered from one segment to the next is its
/// last byte: CR x becomes CR LF x, x LF becomes x CR LF, and a dot that begins a line gets another before it. Hence
/// no bare CR and no bare LF can leave, whatever the content holds, and content without either is copied in whole
/// runs.
public struct DataEncoder: Sendable {
    // The start of content is the start of a line, as if a line end stood before it.
    private var previous = UInt8.lineFeed

    public init() {}

    /// Appends the wire form of the next segment of content to `output`.
    public mutating func encode(_ content: Span<UInt8>, into output: inout [UInt8]) {
        guard content.count > 0 else { return }
        repair(between: previous, and: content[0], in: &output)
        var start = 0
        while let end = Self.nextRepair(in: content, from: start) {
            output.append(content.extracting(start..<end))
            repair(between: content[end - 1], and: content[end], in: &output)
            start = end
        }
        output.append(content.extracting(droppingFirst: start))
        previous = content[content.count - 1]
    }

    /// Appends what ends the content: a line end where one is missing, and the dot on a line by itself.
    public mutating func finish(into output: inout [UInt8]) {
        if previous == .carriageReturn {
            output.append(.lineFeed)
        } else if previous != .lineFeed {
            output.append("\r\n" as StaticString)
        }
        output.append(".\r\n" as StaticString)
        previous = .lineFeed
    }

    private func repair(between left: UInt8, and right: UInt8, in output: inout [UInt8]) {
        if right == .lineFeed {
            if left != .carriageReturn { output.append(.carriageReturn) }
        } else {
            if left == .carriageReturn { output.append(.lineFeed) }
            if right == .dot, left == .carriageReturn || left == .lineFeed { output.append(.dot) }
        }
    }

    /// The first index behind `start` whose byte needs a repair before it.
    private static func nextRepair(in content: Span<UInt8>, from start: Int) -> Int? {
        var index = start
        let bytes = content.bytes
        let carriageReturn = SIMD16<UInt8>(repeating: .carriageReturn)
        let lineFeed = SIMD16<UInt8>(repeating: .lineFeed)
        let dot = SIMD16<UInt8>(repeating: .dot)
        // Sixteen pairs of neighbours at a time; a whole run without a repair is the usual case.
        while index + 17 <= content.count {
            let left = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: index, as: SIMD16<UInt8>.self)
            let right = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: index + 1, as: SIMD16<UInt8>.self)
            let unpaired = (left .== carriageReturn) .^ (right .== lineFeed)
            let dotted = (left .== lineFeed) .& (right .== dot)
            if any(unpaired .| dotted) { break }
            index += 16
        }
        while index + 1 < content.count {
            let (left, right) = (content[index], content[index + 1])
            if (left == .carriageReturn) != (right == .lineFeed) || (left == .lineFeed && right == .dot) {
                return index + 1
            }
            index += 1
        }
        return nil
    }
}
