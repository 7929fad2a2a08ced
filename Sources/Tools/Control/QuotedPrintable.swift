// SPDX-License-Identifier: ISC

import Bytes

/// Text whose lines have any length as text whose lines have at most 76 characters (RFC 2045 section 6.7).
nonisolated enum QuotedPrintable {
    static let longestLine = 76
    private static let digits = Array("0123456789ABCDEF".utf8)

    /// Encodes lines that end with LF; so do those of the result.
    static func encode(_ text: some Collection<UInt8>) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(text.count + text.count / 8)
        var column = 0
        var index = text.startIndex
        while index != text.endIndex {
            let byte = text[index]
            text.formIndex(after: &index)
            if byte == .lineFeed {
                output.append(.lineFeed)
                column = 0
                continue
            }
            let isLast = index == text.endIndex || text[index] == .lineFeed
            // Rule 3: white space at the end of a line would be lost on the way.
            let isPlain = byte.isBlank ? !isLast : byte.isVisible && byte != UInt8(ascii: "=")
            let width = isPlain ? 1 : 3
            // Rule 5: one place is kept for the `=` of a soft line break.
            if column + width > (isLast ? longestLine : longestLine - 1) {
                output.append("=\n" as StaticString)
                column = 0
            }
            if isPlain {
                output.append(byte)
            } else {
                output.append(UInt8(ascii: "="))
                output.append(digits[Int(byte >> 4)])
                output.append(digits[Int(byte & 15)])
            }
            column += width
        }
        return output
    }
}
