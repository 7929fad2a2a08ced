// SPDX-License-Identifier: ISC

import Bytes

/// What becomes of capital letters in the keys of a table: what is asked of it is in lower case, and so are they.
public enum KeyFolding: Hashable, Sendable {
    case whole
    /// In a regular expression `\W` and `\S` stay, which mean the contrary of `\w` and `\s`.
    case expressions

    /// A key as it is kept.
    public func folded(_ key: Span<UInt8>) -> [UInt8] {
        var folded: [UInt8] = []
        fold(key, into: &folded)
        return folded
    }

    public func fold(_ key: Span<UInt8>, into output: inout [UInt8]) {
        var isEscaped = false
        for index in key.indices {
            let byte = key[index]
            output.append(isEscaped && Self.isContrary(byte) ? byte : byte.lowercased)
            isEscaped = self == .expressions && byte == UInt8(ascii: "\\") && !isEscaped
        }
    }

    private static func isContrary(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "W") || byte == UInt8(ascii: "S") }
}
