// SPDX-License-Identifier: ISC

import Bytes

/// The versions of TLS that `protocols` leaves: a list of words, each perhaps with `!` in front, with commas or colons
/// between them.
public struct TLSProtocols: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let version12 = TLSProtocols(rawValue: 1)
    public static let version13 = TLSProtocols(rawValue: 2)
    public static let all: TLSProtocols = [.version12, .version13]

    /// nil when a word is unknown, or when none of the versions is left that there are.
    public init?(parsing text: String) {
        var left: TLSProtocols = []
        var isFirst = true
        for part in text.split(omittingEmptySubsequences: false, whereSeparator: { $0 == "," || $0 == ":" }) {
            var word = part.filter { $0 != " " && $0 != "\t" }
            let isRemoved = word.hasPrefix("!")
            if isRemoved { word.removeFirst() }
            guard let named = Self.named(word.asciiLowercased) else { return nil }
            // A list that begins with what is not wanted means all the others.
            if isFirst, isRemoved { left = .all }
            isFirst = false
            if isRemoved { left.subtract(named) } else { left.formUnion(named) }
        }
        if left.isEmpty { return nil }
        self = left
    }

    private static func named(_ word: String) -> TLSProtocols? {
        switch word {
        case "all", "default", "secure", "legacy", "tlsv1": .all
        case "tlsv1.2": .version12
        case "tlsv1.3": .version13
        // Nobody speaks them any more; old configurations still name them.
        case "tlsv1.0", "tlsv1.1": []
        default: nil
        }
    }
}
