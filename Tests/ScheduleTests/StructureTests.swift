// SPDX-License-Identifier: ISC

import Testing

@testable import Schedule

struct StructureTests {
    @Test func `a heap gives what was put in, in order`() {
        var numbers = Numbers(state: 1)
        var heap = Heap<Int>()
        var expected: [Int] = []
        for _ in 0..<5000 {
            let value = numbers.below(1000)
            heap.push(value)
            expected.append(value)
        }
        heap.retain { $0 % 3 != 0 }
        expected = expected.filter { $0 % 3 != 0 }.sorted()
        var seen: [Int] = []
        while let value = heap.pop() { seen.append(value) }
        #expect(seen == expected)
    }

    @Test(arguments: [UInt64(1), 2, 3])
    func `the index agrees with a dictionary`(seed: UInt64) {
        var numbers = Numbers(state: seed)
        var index = OrderedIndex()
        var model: [UInt64: UInt32] = [:]
        for step in 0..<20000 {
            let key = UInt64(numbers.below(4000)) << 32
            if numbers.below(step < 12000 ? 3 : 8) < 2 {
                let slot = UInt32(step)
                #expect(index.insert(key, slot) == (model[key] == nil))
                if model[key] == nil { model[key] = slot }
            } else {
                index.remove(key)
                model[key] = nil
            }
            #expect(index.count == model.count)
        }
        for key in 0..<4000 { #expect(index[UInt64(key) << 32] == model[UInt64(key) << 32]) }
        var keys: [UInt64] = []
        let start = UInt64(1000) << 32
        index.visit(from: start) { key, slot in
            #expect(model[key] == slot)
            keys.append(key)
            return true
        }
        #expect(keys == model.keys.filter { $0 >= start }.sorted())
    }

    @Test func `ascending and descending keys fill the index alike`() {
        var up = OrderedIndex()
        var down = OrderedIndex()
        for key in 0..<3000 as Range<UInt64> {
            #expect(up.insert(key, UInt32(key)) == true)
            #expect(down.insert(2999 - key, UInt32(key)) == true)
        }
        for key in 0..<3000 as Range<UInt64> {
            #expect(up[key] == UInt32(key) && down[key] == UInt32(2999 - key))
        }
        for key in 0..<3000 as Range<UInt64> { up.remove(key) }
        #expect(up.count == 0 && up[5] == nil)
    }

    @Test func `a slab uses freed slots again and forgets all when empty`() {
        var slab = Slab<Int>()
        let slots = (0..<3000).map { slab.insert($0) }
        #expect(slab[slots[2999]] == 2999)
        slab.remove(slots[5])
        #expect(slab.insert(99) == slots[5])
        for slot in slots { slab.remove(slot) }
        #expect(slab.count == 0 && !slab.contains(0))
        #expect(slab.insert(1) == 0)
    }

    @Test func `a ring gives first in, first out`() {
        var ring = Ring()
        var next: UInt32 = 0
        var expected: UInt32 = 0
        var numbers = Numbers(state: 3)
        for _ in 0..<20000 {
            if numbers.below(2) == 0 {
                ring.append(next)
                next += 1
            } else if let item = ring.popFirst() {
                #expect(item == expected)
                expected += 1
            }
        }
        while let item = ring.popFirst() {
            #expect(item == expected)
            expected += 1
        }
        #expect(expected == next && ring.isEmpty)
    }
}
