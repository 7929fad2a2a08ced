// SPDX-License-Identifier: ISC

import Bytes

/// Which bytes end a line in a session.
public enum LineDiscipline: Hashable, Sendable {
    /// CRLF alone (RFC 5321 section 2.3.8); a CR or LF by itself is refused.
    case strict
    /// Nothing was read yet from a client that may be a person at a terminal: the first line decides.
    case undecided
    /// A person types: LF ends a line, with or without CR before it.
    case hand
}

/// What a client did to its line ends; nothing behind it can be trusted to be a command.
public enum FramingViolation: Hashable, Sendable {
    case lineTooLong
    /// CR or LF by itself.
    case strayLineEnd
}

public enum Framing: Hashable, Sendable {
    /// The first `length` bytes are a line; with its end it takes `consumed` bytes.
    case line(length: Int, consumed: Int)
    case incomplete
    case violation(FramingViolation)
}

/// Finds command lines at the front of what was received.
///
/// The caller keeps the bytes: it removes `consumed` of them after each line, and asks again with more when a line is
/// incomplete. What was searched once is not searched again.
public struct LineFramer: Sendable {
    // RFC 5321 section 4.5.3.1.4 has 512 and lets parameters add to it; the reference takes 2048, line end included.
    public static let longestLine = 2048

    public private(set) var discipline: LineDiscipline
    /// Bytes at the front of the buffer that hold no line end.
    private var searched = 0

    public init(_ discipline: LineDiscipline) { self.discipline = discipline }

    public mutating func next(in buffer: Span<UInt8>) -> Framing {
        let isFull = buffer.count >= Self.longestLine
        let window = buffer.extracting(first: Self.longestLine)
        var index = min(searched, window.count)
        while index < window.count {
            index = window.indexOfLineControl(from: index)
            guard index < window.count else { break }
            switch window[index] {
            case .lineFeed:
                guard discipline != .strict else { return .violation(.strayLineEnd) }
                discipline = .hand
                searched = 0
                return .line(length: index, consumed: index + 1)
            case .carriageReturn:
                guard index + 1 < window.count else {
                    searched = index
                    return isFull ? .violation(.lineTooLong) : .incomplete
                }
                guard window[index + 1] == .lineFeed else { return .violation(.strayLineEnd) }
                if discipline == .undecided { discipline = .strict }
                searched = 0
                return .line(length: index, consumed: index + 2)
            default:
                // NUL ends no line; the command's parser refuses it.
                index += 1
            }
        }
        searched = window.count
        return isFull ? .violation(.lineTooLong) : .incomplete
    }
}
