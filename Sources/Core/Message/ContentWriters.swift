// SPDX-License-Identifier: ISC

import Bytes

/// Writes text as quoted-printable (RFC 2045 section 6.7).
struct QuotedPrintableWriter {
    // 76 with the equals sign of a soft line break.
    private static let longestLine = 75

    private var column = 0
    /// Blanks are written when it is known that no line end follows.
    private var blank: UInt8?
    private var hasReturn = false

    mutating func take(_ bytes: [UInt8], into output: inout [UInt8]) {
        for byte in bytes {
            if hasReturn {
                hasReturn = false
                if byte == .lineFeed {
                    endLine(into: &output)
                    continue
                }
                put(encoded: .carriageReturn, into: &output)
            }
            switch byte {
            case .carriageReturn: hasReturn = true
            case .lineFeed: endLine(into: &output)
            case .space, .horizontalTab:
                flushBlank(into: &output)
                blank = byte
            default:
                flushBlank(into: &output)
                if byte.isVisible, byte != UInt8(ascii: "=") {
                    put(byte, into: &output)
                } else {
                    put(encoded: byte, into: &output)
                }
            }
        }
    }

    mutating func finish(into output: inout [UInt8]) {
        if hasReturn { put(encoded: .carriageReturn, into: &output) }
        if let blank { put(encoded: blank, into: &output) }
        // Text without an end of its own gets none.
        if column > 0 { output.append("=\r\n" as StaticString) }
        self = QuotedPrintableWriter()
    }

    private mutating func endLine(into output: inout [UInt8]) {
        if let blank { put(encoded: blank, into: &output) }
        blank = nil
        output += [.carriageReturn, .lineFeed]
        column = 0
    }

    private mutating func flushBlank(into output: inout [UInt8]) {
        guard let byte = blank else { return }
        blank = nil
        put(byte, into: &output)
    }

    private mutating func put(_ byte: UInt8, into output: inout [UInt8]) {
        let isSoftStart = makeRoom(1, into: &output)
        // What a soft line break puts at the start of a line must not look like a boundary there.
        if isSoftStart, byte == UInt8(ascii: "-") { return put(encoded: byte, into: &output) }
        output.append(byte)
        column += 1
    }

    private mutating func put(encoded byte: UInt8, into output: inout [UInt8]) {
        _ = makeRoom(3, into: &output)
        let digits = Array("0123456789ABCDEF".utf8)
        output += [UInt8(ascii: "="), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        column += 3
    }

    private mutating func makeRoom(_ width: Int, into output: inout [UInt8]) -> Bool {
        guard column + width > Self.longestLine else { return false }
        output.append("=\r\n" as StaticString)
        column = 0
        return true
    }
}

/// Writes bytes as base64 in lines (RFC 2045 section 6.8).
struct Base64Writer {
    // 57 bytes make a line of 76.
    private static let lineBytes = 57

    private var waiting: [UInt8] = []

    mutating func take(_ bytes: [UInt8], into output: inout [UInt8]) {
        let all = waiting + bytes
        // The last two may be the line end before a boundary.
        var start = 0
        while all.count - start >= Self.lineBytes + 2 {
            output += Base64.encode(all.span.extracting(start..<(start + Self.lineBytes)))
            output += [.carriageReturn, .lineFeed]
            start += Self.lineBytes
        }
        waiting = Array(all[start...])
    }

    mutating func finish(dropsLineEnd: Bool, into output: inout [UInt8]) {
        if dropsLineEnd, waiting.last == .lineFeed {
            waiting.removeLast()
            if waiting.last == .carriageReturn { waiting.removeLast() }
        }
        let all = waiting
        var start = 0
        while start < all.count {
            let end = min(start + Self.lineBytes, all.count)
            output += Base64.encode(all.span.extracting(start..<end))
            output += [.carriageReturn, .lineFeed]
            start = end
        }
        waiting = []
    }
}
