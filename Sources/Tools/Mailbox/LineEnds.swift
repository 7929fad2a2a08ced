// SPDX-License-Identifier: ISC

import Bytes

/// Makes LF of CRLF, however the content was cut, and leaves every other byte as it is.
nonisolated struct LineEnds {
    // A CR that ended a segment: what it is depends on the next byte.
    private var holdsReturn = false

    mutating func convert(_ bytes: [UInt8], into output: inout [UInt8]) {
        guard let first = bytes.first else { return }
        if holdsReturn, first != .lineFeed { output.append(.carriageReturn) }
        holdsReturn = false
        var start = 0
        while let index = bytes[start...].firstIndex(of: .carriageReturn) {
            let next = index + 1
            if next == bytes.count {
                output += bytes[start..<index]
                holdsReturn = true
                return
            }
            // The CR is left out when LF follows, and the LF begins the next run.
            output += bytes[start..<(bytes[next] == .lineFeed ? index : next)]
            start = next
        }
        output += bytes[start...]
    }

    mutating func finish(into output: inout [UInt8]) {
        if holdsReturn { output.append(.carriageReturn) }
        holdsReturn = false
    }
}
