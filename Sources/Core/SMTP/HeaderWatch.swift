// SPDX-License-Identifier: ISC

import Bytes

/// Follows the header of a message as it passes: counts the hops and sees whether an empty line ends it.
///
/// As in the reference, a field is a line with a colon that does not begin with a blank, a line that begins with one
/// continues the field before it, and the first line that is neither must be empty. Memory does not grow with the header.
struct HeaderWatch: Sendable {
    /// `Received:` fields so far (RFC 5321 section 6.3).
    private(set) var hops = 0
    private(set) var isOver = false
    /// The header was ended by a line that is not empty.
    private(set) var isMalformed = false

    private var isFirstLine = true
    private var lineIsEmpty = true
    private var lineBeginsBlank = false
    private var lineHasColon = false
    /// How much of `received:` the line began with; nil when it began with something else.
    private var matched: Int? = 0

    private static let trace: [UInt8] = Array("received:".utf8)

    /// `content` has CRLF line ends only; it may begin and end anywhere.
    mutating func observe(_ content: Span<UInt8>) {
        var index = 0
        while index < content.count, !isOver {
            observe(content[index])
            index += 1
        }
    }

    private mutating func observe(_ byte: UInt8) {
        switch byte {
        case .lineFeed:
            endLine()
        case .carriageReturn:
            break
        default:
            if lineIsEmpty, byte.isBlank { lineBeginsBlank = true }
            lineIsEmpty = false
            if byte == .colon { lineHasColon = true }
            if let count = matched { match(byte, after: count) }
        }
    }

    private mutating func match(_ byte: UInt8, after count: Int) {
        guard byte.lowercased == Self.trace[count] else {
            matched = nil
            return
        }
        matched = count + 1
        if count + 1 == Self.trace.count {
            hops &+= 1
            matched = nil
        }
    }

    private mutating func endLine() {
        if lineIsEmpty {
            isOver = true
        } else if lineBeginsBlank ? isFirstLine : !lineHasColon {
            isOver = true
            isMalformed = true
        }
        isFirstLine = false
        lineIsEmpty = true
        lineBeginsBlank = false
        lineHasColon = false
        matched = 0
    }
}
