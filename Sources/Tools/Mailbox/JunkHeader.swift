// SPDX-License-Identifier: ISC

import Bytes

/// Whether the header of a message says that it is spam: `X-Spam: yes` or `X-Spam-Flag: yes`, in any case.
nonisolated struct JunkHeader {
    // Longer than any line that is looked for.
    private static let longestLine = 64

    private(set) var isJunk = false
    private var isEnded = false
    private var line: [UInt8] = []

    /// Looks at the next segment of the content.
    mutating func scan(_ content: [UInt8]) {
        for byte in content {
            if isEnded { return }
            if byte == .lineFeed {
                endLine()
            } else if line.count < Self.longestLine {
                line.append(byte)
            }
        }
    }

    private mutating func endLine() {
        if line.last == .carriageReturn { line.removeLast() }
        isEnded = line.isEmpty
        let text = line
        var rest = text.span
        let name = rest.take(while: { $0 != .colon && !$0.isBlank })
        _ = rest.take(while: \.isBlank)
        if rest.take(byte: .colon), rest.trimmed.equalsCaseInsensitively("yes"),
            name.equalsCaseInsensitively("X-Spam") || name.equalsCaseInsensitively("X-Spam-Flag")
        {
            isJunk = true
            isEnded = true
        }
        line.removeAll(keepingCapacity: true)
    }
}
