// SPDX-License-Identifier: ISC

import Bytes
import Glibc
import IPC
import Mail

/// A message as it stands in an mbox file: a `From ` line, LF line ends, `>` before lines that begin with `From `, an
/// empty line behind it.
nonisolated struct MboxText {
    private static let separator = Array("From ".utf8)

    private var lineEnds = LineEnds()
    // So many bytes of `From ` at the beginning of a line have come; nil in the middle of a line.
    private var matched: Int? = 0
    private var last = UInt8.lineFeed

    /// The line that begins a message. `time` is as of ctime(3), without its line end.
    static func separatorLine(_ sender: ReversePath, time: String) -> [UInt8] {
        let name = sender.mailbox.map { "\($0)" } ?? "MAILER-DAEMON"
        return Array("From \(name) \(time)\n".utf8)
    }

    mutating func append(_ content: [UInt8], to output: inout [UInt8]) {
        var lines: [UInt8] = []
        lines.reserveCapacity(content.count)
        lineEnds.convert(content, into: &lines)
        quote(lines, into: &output)
    }

    mutating func finish(into output: inout [UInt8]) {
        var lines: [UInt8] = []
        lineEnds.finish(into: &lines)
        quote(lines, into: &output)
        flushMatch(into: &output)
        if last != .lineFeed { output.append(.lineFeed) }
        output.append(.lineFeed)
    }

    private mutating func quote(_ lines: [UInt8], into output: inout [UInt8]) {
        var index = 0
        while index < lines.count {
            guard let count = matched else {
                // The middle of a line goes out in one run.
                let end = lines[index...].firstIndex(of: .lineFeed) ?? lines.count
                output += lines[index..<end]
                if end > index { last = lines[end - 1] }
                index = end
                if end < lines.count {
                    output.append(.lineFeed)
                    last = .lineFeed
                    index += 1
                    matched = 0
                }
                continue
            }
            guard lines[index] == Self.separator[count] else {
                flushMatch(into: &output)
                continue
            }
            index += 1
            matched = count + 1
            if count + 1 == Self.separator.count {
                output.append(UInt8(ascii: ">"))
                flushMatch(into: &output)
            }
        }
    }

    private mutating func flushMatch(into output: inout [UInt8]) {
        if let count = matched, count > 0 {
            output += Self.separator[..<count]
            last = Self.separator[count - 1]
        }
        matched = nil
    }
}

/// The time of a `From ` line, in the zone of this host.
nonisolated func separatorTime(_ moment: Timestamp) -> String {
    var seconds = time_t(moment.seconds)
    var parts = tm()
    guard localtime_r(&seconds, &parts) != nil else { return "Thu Jan  1 00:00:00 1970" }
    var text = [CChar](repeating: 0, count: 64)
    let count = strftime(&text, text.count, "%a %b %e %H:%M:%S %Y", &parts)
    return String(decoding: text[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
