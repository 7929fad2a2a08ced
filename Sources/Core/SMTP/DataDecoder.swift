// SPDX-License-Identifier: ISC

public import Bytes

/// Why the content of a message cannot be taken.
public enum ContentViolation: Hashable, Sendable {
    case tooBig
    /// CR or LF by itself: two readers would see two different messages.
    case strayLineEnd
    case nul
    /// It has passed too many hosts.
    case loop
    /// The header does not end in an empty line.
    case malformed
}

/// What the decoder saw until the end of data.
public struct ContentFindings: Hashable, Sendable {
    /// Bytes of content, dots removed, each line end counted as two.
    public var size: ByteCount
    /// `Received:` fields in the header.
    public var hops: Int
    /// The first violation; nothing was written behind it.
    public var violation: ContentViolation?

    public init(size: ByteCount, hops: Int = 0, violation: ContentViolation? = nil) {
        self.size = size
        self.hops = hops
        self.violation = violation
    }
}

/// Turns what follows DATA into the content of a message (RFC 5321 section 4.5.2).
///
/// Only CRLF, dot, CRLF ends the data. A CR or LF by itself ends neither a line nor the data and is a violation
/// (SMTP smuggling). Behind a violation nothing is written, but the data are followed to their end, so that the session
/// stays in step. In a hand session LF ends a line too, and a text that begins without a header gets the empty line
/// that it lacks. Input may be cut anywhere.
public struct DataDecoder: Sendable {
    // What stands between the last byte and the next one.
    private enum Position {
        case lineStart
        /// A dot at the start of a line was read, not written.
        case dot
        case dotReturn
        case middle
        /// A CR was read and written; LF must follow.
        case carriageReturn
        case finished
    }

    /// Longest header line that is held back in a hand session until it shows its kind.
    private static let longestHeldLine = 65535

    private let isHandTyped: Bool
    private let limit: ByteCount
    private let maximumHops: Int
    private var position = Position.lineStart
    private var header = HeaderWatch()
    private var held: [UInt8] = []
    public private(set) var findings = ContentFindings(size: ByteCount(0))

    /// `limit`: most bytes of content; `maximumHops`: as many `Received:` fields are a loop.
    public init(_ discipline: LineDiscipline, limit: ByteCount, maximumHops: Int) {
        switch discipline {
        case .strict, .undecided: isHandTyped = false
        case .hand: isHandTyped = true
        }
        self.limit = limit
        self.maximumHops = maximumHops
    }

    /// Appends content from the front of `input` to `output`, lines with CRLF, and says how many bytes were used: all
    /// of them, unless the data ended before.
    public mutating func decode(
        _ input: Span<UInt8>, into output: inout [UInt8]
    ) -> (consumed: Int, isFinished: Bool) {
        var index = 0
        // input[run..<index] is content that was not written yet.
        var run = 0
        while index < input.count {
            switch position {
            case .lineStart:
                if input[index] == .dot {
                    write(input.extracting(run..<index), to: &output)
                    index += 1
                    run = index
                    position = .dot
                } else {
                    position = .middle
                }
            case .dot:
                switch input[index] {
                case .carriageReturn:
                    index += 1
                    run = index
                    position = .dotReturn
                case .lineFeed where isHandTyped:
                    position = .finished
                    return (index + 1, true)
                default:
                    position = .middle
                }
            case .dotReturn:
                if input[index] == .lineFeed {
                    position = .finished
                    return (index + 1, true)
                }
                note(.strayLineEnd)
                position = .middle
            case .middle:
                index = input.indexOfLineControl(from: index)
                guard index < input.count else { break }
                switch input[index] {
                case .carriageReturn:
                    position = .carriageReturn
                case .lineFeed where isHandTyped:
                    write(input.extracting(run..<index), to: &output)
                    writeLineEnd(to: &output)
                    run = index + 1
                    position = .lineStart
                case .lineFeed:
                    note(.strayLineEnd)
                default:
                    note(.nul)
                }
                index += 1
            case .carriageReturn:
                if input[index] == .lineFeed {
                    index += 1
                    position = .lineStart
                } else {
                    note(.strayLineEnd)
                    position = .middle
                }
            case .finished:
                return (0, true)
            }
        }
        write(input.extracting(run..<index), to: &output)
        return (index, position == .finished)
    }

    private mutating func note(_ violation: ContentViolation) {
        if findings.violation == nil { findings.violation = violation }
    }

    private mutating func writeLineEnd(to output: inout [UInt8]) {
        let lineEnd: [2 of UInt8] = [.carriageReturn, .lineFeed]
        write(lineEnd.span, to: &output)
    }

    private mutating func write(_ content: Span<UInt8>, to output: inout [UInt8]) {
        guard findings.violation == nil, !content.isEmpty else { return }
        findings.size.value += content.count
        guard findings.size <= limit else { return note(.tooBig) }
        if header.isOver {
            output.append(content)
        } else if isHandTyped {
            hold(content, output: &output)
        } else {
            watch(content)
            if header.isMalformed { note(.malformed) }
            if findings.violation == nil { output.append(content) }
        }
    }

    private mutating func watch(_ content: Span<UInt8>) {
        header.observe(content)
        findings.hops = header.hops
        if header.hops >= maximumHops { note(.loop) }
    }

    // The header of a hand session is written line by line: only the whole line shows whether it belongs to the header.
    private mutating func hold(_ content: Span<UInt8>, output: inout [UInt8]) {
        for index in content.indices {
            held.append(content[index])
            if content[index] == .lineFeed {
                let line = held
                held.removeAll()
                watch(line.span)
                guard findings.violation == nil else { return }
                if header.isMalformed {
                    findings.size.value += 2
                    output.append("\r\n" as StaticString)
                }
                output.append(contentsOf: line)
                if header.isOver { return output.append(content.extracting((index + 1)...)) }
            } else if held.count > Self.longestHeldLine {
                return note(.malformed)
            }
        }
    }
}
