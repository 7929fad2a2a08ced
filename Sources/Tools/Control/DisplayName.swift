// SPDX-License-Identifier: ISC

import Bytes
import Mail

/// The name of a person before an address in a field (RFC 5322 section 3.4).
nonisolated struct DisplayName: Hashable, Sendable {
    // RFC 2047 section 2: an encoded word has at most 75 characters, 63 of them here in groups of four for three bytes.
    private static let bytesPerWord = 45
    private static let longest = 256

    private let text: String

    /// Control characters are left out, so that no name can begin another field.
    init(_ text: String) {
        let scalars = text.unicodeScalars.filter { $0.value >= 0x20 && $0.value != 0x7F }
        self.text = String(String.UnicodeScalarView(scalars.prefix(Self.longest)))
    }

    /// The name with `address`; the address alone when there is no name.
    func before(_ address: String) -> String {
        if text.isEmpty { return address }
        return "\(phrase) <\(address)>"
    }

    private var phrase: String {
        guard text.utf8.allSatisfy({ $0 < 0x80 }) else { return encodedWords }
        if text.utf8.allSatisfy({ $0.isAtomText || $0 == .space }) { return text }
        return "\"" + text.map { $0 == "\"" || $0 == "\\" ? "\\\($0)" : "\($0)" }.joined() + "\""
    }

    // A character is never divided between two words (RFC 2047 section 5).
    private var encodedWords: String {
        var words: [[UInt8]] = [[]]
        for scalar in text.unicodeScalars {
            let bytes = Array(String(scalar).utf8)
            if words[words.count - 1].count + bytes.count > Self.bytesPerWord { words.append([]) }
            words[words.count - 1] += bytes
        }
        return words.map { "=?UTF-8?B?\(String(decoding: Base64.encode($0.span), as: UTF8.self))?=" }
            .joined(separator: "\n ")
    }

    /// The name in the comment of an account (gecos): what stands before the first comma, `&` being the login with
    /// a capital.
    static func inComment(_ comment: String, login: String) -> String {
        let capitalised = login.prefix(1).uppercased() + login.dropFirst()
        return comment.prefix { $0 != "," }.map { $0 == "&" ? capitalised : "\($0)" }.joined()
    }
}
