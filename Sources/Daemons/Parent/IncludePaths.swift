// SPDX-License-Identifier: ISC

import Bytes
import Posix

/// The paths behind `:include:` in the text of an alias table, whatever the table's form: who may read one of them is
/// decided by this, what is delivered by Lookup's own reading. The text may come in parts.
nonisolated struct IncludePaths {
    private static let keyword = Array("include:".utf8)
    // Longer than PATH_MAX and what stands before the path: what does not end before that is no path.
    private static let longestMention = 8192

    private(set) var paths: Set<String> = []
    // The end of what was read, where a mention may have begun.
    private var rest: [UInt8] = []

    static func find(in text: [UInt8]) -> Set<String> {
        var found = IncludePaths()
        found.read(text, isLast: true)
        return found.paths
    }

    // include = "include:" *WSP "/" path; the path ends at a comma, a quote, a backslash or the end of the line
    mutating func read(_ part: [UInt8], isLast: Bool) {
        let text = rest + part
        rest = []
        var position = 0
        while let colon = text.firstIndex(of: .colon, from: position) {
            position = colon + 1
            let start = position - Self.keyword.count
            guard start >= 0, text[start..<position].elementsEqual(Self.keyword) else { continue }
            var begin = position
            while begin < text.count, text[begin].isBlank { begin += 1 }
            var end = begin
            if begin < text.count {
                guard text[begin] == UInt8(ascii: "/") else { continue }
                while end < text.count, !Self.endsPath(text[end]) { end += 1 }
            }
            if end == text.count, !isLast {
                if text.count - start <= Self.longestMention { rest = Array(text[start...]) }
                return
            }
            position = end
            take(text[begin..<end])
        }
        if !isLast { rest = Array(text.suffix(Self.keyword.count - 1)) }
    }

    private mutating func take(_ path: ArraySlice<UInt8>) {
        var path = path
        while let byte = path.last, byte.isBlank || byte == .carriageReturn { path = path.dropLast() }
        if !path.isEmpty, let text = String(validating: path, as: UTF8.self) { paths.insert(text) }
    }

    private static func endsPath(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: ","), UInt8(ascii: "\""), UInt8(ascii: "\\"), .lineFeed, 0: true
        default: false
        }
    }
}
