// SPDX-License-Identifier: ISC

import Bytes

/// The keys and values of a table in memory: all text in one array, found by a hash table of entry numbers.
///
/// A table of a million names is a matter of course for a mail host. As strings in a dictionary each entry would cost
/// more than a hundred bytes beside its text; here it costs about twenty.
///
///     text     ... key value key value ...
///     entries  where each begins and how long key and value are, in the order of insertion
///     slots    entry numbers by the hash of the key, linear probing, 0 for a free slot
struct EntryStore: Sendable {
    private struct Entry {
        var offset: UInt32
        var valueLength: UInt32
        var keyLength: UInt16
    }

    /// Where an entry stands; good until the store is changed.
    typealias Index = Int

    private var text: [UInt8] = []
    private var entries: [Entry] = []
    private var slots: [UInt32] = []

    /// Makes room for `count` entries of `bytes` bytes of text together.
    mutating func reserve(_ count: Int, bytes: Int) {
        text.reserveCapacity(bytes)
        entries.reserveCapacity(count)
        grow(toHold: count)
    }

    var count: Int { entries.count }

    func key(at index: Index) -> String {
        let entry = entries[index]
        return string(Int(entry.offset), Int(entry.keyLength))
    }

    func value(at index: Index) -> String {
        let entry = entries[index]
        return string(Int(entry.offset) + Int(entry.keyLength), Int(entry.valueLength))
    }

    private func string(_ offset: Int, _ length: Int) -> String {
        String(displaying: text.span.extracting(offset..<offset + length))
    }

    /// The entry whose key is `key`, which is in lower case.
    func find(_ key: String) -> Index? { find(key.utf8.span) }

    func find(_ key: Span<UInt8>) -> Index? {
        slots.isEmpty ? nil : probe(key).index
    }

    /// Every entry in ascending order of keys, compared byte by byte.
    var sorted: [Index] {
        text.withUnsafeBufferPointer { text in
            entries.indices.sorted { left, right in
                let one = entries[left]
                let two = entries[right]
                return text[Int(one.offset)..<Int(one.offset) + Int(one.keyLength)]
                    .lexicographicallyPrecedes(text[Int(two.offset)..<Int(two.offset) + Int(two.keyLength)])
            }
        }
    }

    /// Adds an entry, or gives the one of that key another value. `key` is in lower case and shorter than 64 KiB.
    @discardableResult
    mutating func insert(_ key: Span<UInt8>, _ value: Span<UInt8>) -> Index {
        // Files of tables are bounded far below this; who fills the store by other means bounds it likewise.
        guard let offset = UInt32(exactly: text.count), let keyLength = UInt16(exactly: key.count),
            let valueLength = UInt32(exactly: value.count)
        else { preconditionFailure("a table of more than 4 GiB") }
        if (entries.count + 1) * 4 > slots.count * 3 { grow(toHold: entries.count + 1) }
        let place = probe(key)
        text.append(key)
        text.append(value)
        let entry = Entry(offset: offset, valueLength: valueLength, keyLength: keyLength)
        if let index = place.index {
            entries[index] = entry
            return index
        }
        entries.append(entry)
        slots[place.slot] = UInt32(entries.count)
        return entries.count - 1
    }

    /// Joins a space and `addition` to the value at `index`; the length of the whole. The entry that was inserted last
    /// grows where it is.
    mutating func extend(_ index: Index, by addition: Span<UInt8>) -> Int {
        let entry = entries[index]
        let end = Int(entry.offset) + Int(entry.keyLength) + Int(entry.valueLength)
        if end != text.count {
            guard let offset = UInt32(exactly: text.count) else { preconditionFailure("a table of more than 4 GiB") }
            text += Array(text[Int(entry.offset)..<end])
            entries[index].offset = offset
        }
        text.append(.space)
        text.append(addition)
        entries[index].valueLength += UInt32(1 + addition.count)
        return Int(entries[index].valueLength)
    }

    private func probe(_ key: Span<UInt8>) -> (slot: Int, index: Index?) {
        let mask = slots.count - 1
        var slot = Self.hash(key) & mask
        while true {
            let number = Int(slots[slot])
            if number == 0 { return (slot, nil) }
            if isKey(number - 1, key) { return (slot, number - 1) }
            slot = (slot + 1) & mask
        }
    }

    private func isKey(_ index: Index, _ key: Span<UInt8>) -> Bool {
        let entry = entries[index]
        guard Int(entry.keyLength) == key.count else { return false }
        let start = Int(entry.offset)
        for place in key.indices where text[start + place] != key[place] { return false }
        return true
    }

    // Of a process's own seed: what is asked comes from afar, and must not find the slow places.
    private static func hash(_ key: Span<UInt8>) -> Int {
        var hasher = Hasher()
        key.withUnsafeBytes { hasher.combine(bytes: $0) }
        return hasher.finalize()
    }

    private mutating func grow(toHold count: Int) {
        var size = max(8, slots.count)
        while count * 4 > size * 3 { size *= 2 }
        guard size > slots.count else { return }
        slots = [UInt32](repeating: 0, count: size)
        for index in entries.indices {
            let entry = entries[index]
            let start = Int(entry.offset)
            var slot = Self.hash(text.span.extracting(start..<start + Int(entry.keyLength))) & (size - 1)
            while slots[slot] != 0 { slot = (slot + 1) & (size - 1) }
            slots[slot] = UInt32(index + 1)
        }
    }
}
