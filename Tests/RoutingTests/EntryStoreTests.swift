// SPDX-License-Identifier: ISC

import Chance
import Testing

@testable import Routing

@Suite struct EntryStoreTests {
    @Test func `it holds what a dictionary holds`() {
        var random = TestRandom(seed: 17)
        var store = EntryStore()
        var dictionary: [String: String] = [:]
        let alphabet = Array("abcdef.".utf8)
        for _ in 0..<5000 {
            let key = String(decoding: random.bytes(from: alphabet, atMost: 4), as: UTF8.self)
            let value = String(decoding: random.bytes(from: alphabet, atMost: 9), as: UTF8.self)
            store.insert(key.utf8.span, value.utf8.span)
            dictionary[key] = value
        }
        #expect(store.count == dictionary.count)
        for (key, value) in dictionary { #expect(store.find(key).map(store.value) == value) }
        for key in ["zzz", "aaaaa", "abcdefg"] { #expect(store.find(key) == nil) }
        #expect(store.sorted.map(store.key) == dictionary.keys.sorted())
    }

    @Test func `a value grows where it is, or moves to the end`() {
        var store = EntryStore()
        let one = store.insert("a".utf8.span, "1".utf8.span)
        #expect(store.extend(one, by: "22".utf8.span) == 4)
        let two = store.insert("b".utf8.span, "".utf8.span)
        #expect(store.extend(one, by: "3".utf8.span) == 6)
        #expect(store.extend(two, by: "4".utf8.span) == 2)
        #expect(store.value(at: one) == "1 22 3" && store.value(at: two) == " 4")
        #expect(store.key(at: one) == "a" && store.key(at: two) == "b")
    }

    @Test func `an empty store finds nothing`() {
        let store = EntryStore()
        #expect(store.find("") == nil && store.sorted.isEmpty)
    }
}
