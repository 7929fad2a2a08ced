// SPDX-License-Identifier: ISC

import Bytes

/// The paths behind `:include:` in the text of an alias table, whatever the table's form: who may read one of them is
/// decided by this, what is delivered by Lookup's own reading.
nonisolated enum IncludePaths {
    private static let keyword = Array("include:".utf8)

    // include = "include:" *WSP "/" path; the path ends at a comma, a quote, a backslash or the end of the line
    static func find(in text: [UInt8]) -> Set<String> {
        var paths: Set<String> = []
        var start = 0
        while start < text.count, let place = text[start...].firstIndex(of: UInt8(ascii: "i")) {
            start = place + 1
            guard text[place...].starts(with: keyword) else { continue }
            var rest = text[(place + keyword.count)...]
            while let byte = rest.first, byte.isBlank { rest = rest.dropFirst() }
            guard rest.first == UInt8(ascii: "/") else { continue }
            start = rest.startIndex
            var path = rest.prefix { !endsPath($0) }
            while let byte = path.last, byte.isBlank || byte == .carriageReturn { path = path.dropLast() }
            if let text = String(validating: path, as: UTF8.self) { paths.insert(text) }
        }
        return paths
    }

    private static func endsPath(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: ","), UInt8(ascii: "\""), UInt8(ascii: "\\"), .lineFeed, 0: true
        default: false
        }
    }
}
