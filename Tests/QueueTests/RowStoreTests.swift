// SPDX-License-Identifier: ISC

import Chance
import Testing

@testable import Queue

@Suite @MainActor struct `The rows of the shelf` {
    @Test func `are what was put in, whatever comes and goes, in pages that are mostly full`() {
        var random = TestRandom(seed: 9)
        var store = RowStore()
        var expected: [UInt32: [UInt8]] = [:]
        var mostPages = 0
        for step in 0..<60_000 {
            let number = UInt32.random(in: 0..<4000, using: &random)
            let comes = step / 15_000 % 2 == 0
            if Int.random(in: 0..<10, using: &random) < (comes ? 7 : 2) {
                let count = step % 997 == 0 ? 40_000 : Int.random(in: 4..<200, using: &random)
                let row = (0..<count).map { UInt8(truncatingIfNeeded: $0 &+ step) }
                store.set(number, row)
                expected[number] = row
            } else if step % 3 == 0 {
                store.write(UInt32(step), number, at: 0)
                for place in 0..<4 { expected[number]?[place] = UInt8(truncatingIfNeeded: step >> (8 * place)) }
            } else {
                store.remove(number)
                expected[number] = nil
            }
            mostPages = max(mostPages, store.pageCount)
        }
        #expect(store.count == expected.count && Set(store.numbers) == Set(expected.keys))
        #expect(store.liveBytes == expected.values.reduce(0) { $0 + $1.count })
        for number in 0..<4001 as Range<UInt32> { #expect(store[number] == expected[number]) }
        #expect(mostPages <= 40, "\(mostPages)")
        for number in expected.keys { store.remove(number) }
        #expect(store.count == 0 && store.liveBytes == 0 && store.pageCount == 0)
    }
}
