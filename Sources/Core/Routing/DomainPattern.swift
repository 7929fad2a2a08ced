// SPDX-License-Identifier: ISC

import Bytes

/// A name in which `*` stands for any run up to the first occurrence of the character behind it.
///
/// There is no second try: `*.example.org` matches `a.example.org` and not `a.b.example.org`. Administrators rely on
/// that, for it decides whose mail is taken.
public struct DomainPattern: Hashable, Sendable {
    private let bytes: [UInt8]

    public init(_ text: String) { bytes = text.utf8.map(\.lowercased) }

    public func matches(_ name: String) -> Bool {
        let name = Array(name.utf8)
        var here = 0
        var there = 0
        while here < bytes.count, there < name.count {
            if bytes[here] == UInt8(ascii: "*") {
                while here < bytes.count, bytes[here] == UInt8(ascii: "*") { here += 1 }
                while there < name.count, here == bytes.count || name[there].lowercased != bytes[here] { there += 1 }
                continue
            }
            guard bytes[here] == name[there].lowercased else { return false }
            here += 1
            there += 1
        }
        return here == bytes.count && there == name.count
    }

    /// Many patterns at once: those of the form `*.name`, which are nearly all, cost one look into a set.
    struct Index: Sendable {
        private var matchesAnything = false
        private var parents: Set<String> = []
        private var others: [DomainPattern] = []

        mutating func insert(_ text: String) {
            if text == "*" {
                matchesAnything = true
            } else if text.hasPrefix("*."), !text.utf8.dropFirst().contains(UInt8(ascii: "*")) {
                parents.insert(String(text.dropFirst(2)))
            } else {
                others.append(DomainPattern(text))
            }
        }

        /// Whether any pattern matches `name`, which is in lower case.
        func matches(_ name: String) -> Bool {
            if name.isEmpty { return false }
            if matchesAnything { return true }
            if !parents.isEmpty, let dot = name.utf8.firstIndex(of: .dot),
                parents.contains(String(name[name.utf8.index(after: dot)...]))
            {
                return true
            }
            return others.contains { $0.matches(name) }
        }
    }
}
