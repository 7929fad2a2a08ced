// SPDX-License-Identifier: ISC

import Bytes
public import Configuration

/// The content of a table that is held in memory, indexed for every way of asking: a million exact keys cost one hash.
///
/// Keys are in lower case, and so is what is asked. Only keys with a wildcard are ever tried one by one.
public struct TableContent: Sendable {
    public enum Shape: Hashable, Sendable {
        case list
        case mapping
    }

    // The reference refuses longer keys.
    public static let longestKey = 1023

    public let shape: Shape
    // A list has empty values.
    private var entries = EntryStore()
    private var patterns = KeyPatterns()
    private var isCompiled = false

    public init(list: some Sequence<String>, folding: KeyFolding = .whole) {
        self.init(.list)
        for key in list { insert(folding.folded(key.utf8.span).span, "".utf8.span) }
    }

    /// A later value replaces an earlier one of the same key.
    public init(mapping: some Sequence<(String, String)>, folding: KeyFolding = .whole) {
        self.init(.mapping)
        for (key, value) in mapping { insert(folding.folded(key.utf8.span).span, value.utf8.span) }
    }

    /// To be filled entry by entry.
    init(_ shape: Shape) { self.shape = shape }

    /// The content that the configuration itself spells; nil for a table whose content is elsewhere.
    public init?(_ kind: TableDefinition.Kind, folding: KeyFolding = .whole) {
        switch kind {
        case .list(let elements): self.init(list: elements, folding: folding)
        case .mapping(let entries): self.init(mapping: entries.lazy.map { ($0.key, $0.value) }, folding: folding)
        case .file, .backend: return nil
        }
    }

    public var count: Int { entries.count }
    /// The value of one of the `count` entries, for who looks at all of them in any order.
    public func value(ofEntry number: Int) -> String { entries.value(at: number) }
    /// All keys in ascending order.
    public var keys: [String] { entries.sorted.map(entries.key) }

    public func contains(
        _ key: String, for service: TableService, delimiters: SubaddressDelimiters = .plus
    ) -> Bool {
        let key = key.asciiLowercased
        if service == .regularExpression, !isCompiled { return compiled.contains(key, for: service) }
        return patterns.matches(key, for: service, delimiters: delimiters) { entries.find($0) != nil }
    }

    /// The value of `key`, or of the first key in ascending order that matches it; nil when there is none.
    public func value(
        of key: String, for service: TableService, delimiters: SubaddressDelimiters = .plus
    ) -> String? {
        let key = key.asciiLowercased
        if service == .regularExpression, !isCompiled { return compiled.value(of: key, for: service) }
        let found = patterns.firstKey(matching: key, for: service, delimiters: delimiters) {
            entries.find($0) != nil
        }
        return found.flatMap(entries.find).map(entries.value)
    }

    /// Compiles the keys as regular expressions, once, for a table that is used as such, and returns those that are none.
    public mutating func compileRegularExpressions() -> [String] {
        addRegularExpressions(keys)
    }

    /// The same for some of the keys, in ascending order, and then for the next.
    public mutating func addRegularExpressions(_ keys: some Sequence<String>) -> [String] {
        isCompiled = true
        return patterns.compile(keys)
    }

    private var compiled: TableContent {
        var content = self
        _ = content.compileRegularExpressions()
        return content
    }

    // MARK: Filling

    mutating func reserve(_ count: Int, bytes: Int) { entries.reserve(count, bytes: bytes) }

    /// Adds an entry whose key is in lower case.
    @discardableResult
    mutating func insert(_ key: Span<UInt8>, _ value: Span<UInt8>) -> EntryStore.Index {
        let count = entries.count
        let index = entries.insert(key, value)
        if index == count { patterns.insert(key) }
        return index
    }

    /// Joins `addition` to the value at `index`; returns the length of the whole in bytes.
    mutating func extend(_ index: EntryStore.Index, by addition: Span<UInt8>) -> Int {
        entries.extend(index, by: addition)
    }

    func hasKey(_ key: Span<UInt8>) -> Bool { entries.find(key) != nil }

    /// Hands every entry to `body`, in ascending order of keys.
    public func forEachEntry<Failure: Error>(
        _ body: (_ key: String, _ value: String) throws(Failure) -> Void
    ) throws(Failure) {
        for index in entries.sorted { try body(entries.key(at: index), entries.value(at: index)) }
    }

    /// The entries in ascending order of keys, for who uses them in turn.
    var order: [EntryStore.Index] { entries.sorted }
    func key(at index: EntryStore.Index) -> String { entries.key(at: index) }
}
