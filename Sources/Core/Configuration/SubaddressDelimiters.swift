// SPDX-License-Identifier: ISC

import Bytes

/// The characters that separate a user's name from the tag behind it, as `+` in `bob+lists`.
public struct SubaddressDelimiters: Hashable, Sendable {
    public static let plus = SubaddressDelimiters("+")

    public let text: String
    private let bytes: [UInt8]

    /// Every byte of `text` is a delimiter of its own.
    public init(_ text: String) {
        self.text = text
        bytes = Array(text.utf8)
    }

    /// The name before the first delimiter and the tag behind it; nil when there is none. A delimiter in the first
    /// place separates nothing: no user has an empty name.
    public func split(_ name: String) -> (base: String, delimiter: UInt8, tag: String)? {
        let text = name.utf8
        guard let first = text.firstIndex(where: { bytes.contains($0) }), first != text.startIndex else { return nil }
        return (
            String(decoding: text[..<first], as: UTF8.self), text[first],
            String(decoding: text[text.index(after: first)...], as: UTF8.self)
        )
    }

    public func base(of name: String) -> String { split(name)?.base ?? name }
}
