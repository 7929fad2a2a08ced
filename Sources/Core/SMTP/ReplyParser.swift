// SPDX-License-Identifier: ISC

import Bytes
public import Mail

/// Puts the replies of a remote server together from its bytes, however they were cut (RFC 5321 section 4.2).
///
/// A line ends at LF, with or without CR before it: what follows a bare LF is then the next line of a reply and never
/// part of a text, so no text carries a line end. `Reply` replaces every byte that is not printable ASCII.
public struct ReplyParser: Sendable {
    public enum Failure: Error, Hashable, Sendable {
        case lineTooLong
        /// The line does not begin with a code from 200 to 599 and a separator.
        case notAReply
        /// The lines of one reply carry different codes.
        case codesDiffer
        case tooManyLines
    }

    // Four times what RFC 5321 section 4.5.3.1.5 allows; the reference takes as much.
    public static let longestLine = 2048
    // What is kept of one reply; an EHLO reply has about twenty lines.
    public static let mostKeptLines = 100
    public static let mostKeptBytes = 8 << 10
    public static let mostLines = 1000

    private var line: [UInt8] = []
    private var code: UInt16?
    private var status: EnhancedStatus?
    private var lines: [String] = []
    private var keptBytes = 0
    private var lineCount = 0

    /// The lines of the last reply that were read and not kept.
    public private(set) var droppedLines = 0

    public init() {}

    /// The first bytes of a reply have come, its end has not.
    public var isInsideReply: Bool { code != nil || !line.isEmpty }

    /// The next reply that ends in `input`, whose bytes are removed from it; nil when all bytes are used and more are
    /// needed. After a failure the connection is of no further use.
    @_lifetime(input: copy input)
    public mutating func next(from input: inout Span<UInt8>) throws(Failure) -> Reply? {
        while !input.isEmpty {
            guard let end = input.firstIndex(of: .lineFeed) else {
                // One more for the CR, whose LF is still to come.
                guard line.count + input.count <= Self.longestLine + 1 else { throw .lineTooLong }
                line.append(input)
                input = input.extracting(droppingFirst: input.count)
                return nil
            }
            guard line.count + end <= Self.longestLine + 1 else { throw .lineTooLong }
            line.append(input.extracting(first: end))
            input = input.extracting(droppingFirst: end + 1)
            if line.last == .carriageReturn { line.removeLast() }
            guard line.count <= Self.longestLine else { throw .lineTooLong }
            let isLast = try readLine()
            line.removeAll(keepingCapacity: true)
            if isLast { return takeReply() }
        }
        return nil
    }

    // Reply-line = Reply-code [ ( SP / "-" ) [ textstring ] ]
    private mutating func readLine() throws(Failure) -> Bool {
        // Shares the storage: the span of a property would hold all of `self`.
        let line = self.line
        var rest = line.span
        guard rest.count >= 3, rest[0] >= 0x32, rest[0] <= 0x35, rest[1].isDigit, rest[2].isDigit else {
            throw .notAReply
        }
        let lineCode = UInt16(rest[0] - 0x30) * 100 + UInt16(rest[1] - 0x30) * 10 + UInt16(rest[2] - 0x30)
        guard code == nil || code == lineCode else { throw .codesDiffer }
        rest = rest.extracting(droppingFirst: 3)
        var isLast = true
        if let separator = rest.first {
            guard separator == .space || separator == UInt8(ascii: "-") else { throw .notAReply }
            isLast = separator == .space
            rest = rest.extracting(droppingFirst: 1)
        }
        lineCount += 1
        guard lineCount <= Self.mostLines else { throw .tooManyLines }
        // RFC 2034 section 4: every line repeats the status; one whose class contradicts the code is text.
        let found = EnhancedStatus(prefixOf: rest).flatMap { UInt16($0.statusClass) == lineCode / 100 ? $0 : nil }
        if code == nil { status = found }
        code = lineCode
        if let found, found == status {
            _ = rest.take(while: { !$0.isBlank })
            _ = rest.take(while: \.isBlank)
        }
        let text = rest.extracting(first: min(rest.count, Reply.longestLine))
        if lines.count < Self.mostKeptLines, keptBytes + text.count <= Self.mostKeptBytes {
            keptBytes += text.count
            lines.append(String(decoding: text.array.map { $0.isPrintable ? $0 : UInt8(ascii: "?") }, as: UTF8.self))
        }
        return isLast
    }

    private mutating func takeReply() -> Reply {
        let reply = Reply(code ?? 500, status, lines: lines)
        droppedLines = lineCount - lines.count
        code = nil
        status = nil
        lines = []
        keptBytes = 0
        lineCount = 0
        return reply
    }
}
