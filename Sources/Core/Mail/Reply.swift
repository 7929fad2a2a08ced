// SPDX-License-Identifier: ISC

import Bytes

/// What a server says to a command: a code, an enhanced status where RFC 2034 asks for one, and text (RFC 5321 section 4.2).
///
/// The text of each line is printable ASCII by construction: a byte that is not becomes `?`, so that no reply, log
/// line or notice can be broken out of by what a remote party sent.
public struct Reply: Hashable, Sendable, CustomStringConvertible {
    public let code: UInt16
    public let enhancedStatus: EnhancedStatus?
    public let lines: [String]
    /// The server that said it; nil where the words are our own.
    public var host: Domain?

    /// Of a line's text, the enhanced status and its blank included; what is longer is cut.
    // RFC 5321 section 4.5.3.1.5 has 512, with code and separator (4) and line end (2).
    public static let longestLine = 506

    public init(_ code: UInt16, _ enhancedStatus: EnhancedStatus? = nil, _ text: String) {
        self.init(code, enhancedStatus, lines: [text])
    }

    public init(_ code: UInt16, _ enhancedStatus: EnhancedStatus? = nil, lines: [String]) {
        self.code = code
        self.enhancedStatus = enhancedStatus
        let room = max(0, Self.longestLine - (enhancedStatus.map { "\($0) ".utf8.count } ?? 0))
        self.lines = lines.isEmpty ? [""] : lines.map { Self.printable($0, room) }
    }

    public var isPositive: Bool { code / 100 == 2 }
    public var isIntermediate: Bool { code / 100 == 3 }
    public var isTemporary: Bool { code / 100 == 4 }
    public var isPermanent: Bool { code / 100 == 5 }

    /// One line for a log or a notice: `550 5.1.1 No such user`, further lines joined by a blank.
    public var description: String {
        let status = enhancedStatus.map { "\($0) " } ?? ""
        return "\(code) \(status)\(lines.joined(separator: " "))"
    }

    /// Appends the reply as it goes over the wire, each line with code, separator and CRLF.
    public func write(to output: inout [UInt8]) {
        let status = enhancedStatus.map { "\($0) " } ?? ""
        for (index, line) in lines.enumerated() {
            output.append("\(code)")
            output.append(index == lines.count - 1 ? UInt8.space : UInt8(ascii: "-"))
            output.append(status)
            output.append(line)
            output.append("\r\n" as StaticString)
        }
    }

    private static func printable(_ text: String, _ room: Int) -> String {
        let clipped = text.utf8.prefix(room)
        if clipped.count == text.utf8.count, clipped.allSatisfy(\.isPrintable) { return text }
        return String(decoding: clipped.map { $0.isPrintable ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
    }
}
