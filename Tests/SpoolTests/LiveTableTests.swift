// SPDX-License-Identifier: ISC

import Testing

@testable import Spool

@Suite struct `The table of live messages` {
    private func live(_ number: UInt64) -> DiskSpool.Live {
        DiskSpool.Live(
            location: RecordLocation(segment: number, offset: 0, length: 0), envelopeCount: 1, bodyFile: 0, bodySize: 0,
            bodyForm: .plain)
    }

    @Test func `has what a dictionary would have, whatever comes and goes`() {
        var random = Noise(state: 5)
        var table = LiveTable()
        var expected: [UInt64: UInt32] = [:]
        for step in 0..<20_000 {
            let number = random.next() % 3000 + 1
            // More comes than goes, and later the other way round, until all is gone and some comes again.
            switch random.next() % 10 {
            case 0..<(step / 5000 % 2 == 0 ? 6 : 1):
                if expected[number] == nil {
                    table[number] = live(number)
                    expected[number] = 0
                }
            case 6, 7:
                table[number]?.finals += 1
                if let known = expected[number] { expected[number] = known + 1 }
            default:
                table[number] = nil
                expected[number] = nil
            }
        }
        #expect(table.count == expected.count)
        #expect(table.allSatisfy { expected[$0.number] == $0.live.finals && $0.live.location.segment == $0.number })
        #expect(table.map(\.number) == expected.keys.sorted())
        for number in 1...3001 as ClosedRange<UInt64> { #expect(table[number]?.finals == expected[number]) }
        for number in expected.keys { table[number] = nil }
        #expect(table.count == 0 && Array(table).isEmpty)
        table[7] = live(7)
        #expect(table.map(\.number) == [7])
    }

    @Test func `has full pages when old messages are found behind new ones`() {
        var table = LiveTable()
        // New ones first, and then, in their order, those that were there before.
        for number in 10_000..<20_000 as Range<UInt64> { table[number] = live(number) }
        for number in 1..<10_000 as Range<UInt64> { table[number] = live(number) }
        #expect(table.map(\.number) == Array(1..<20_000))
        #expect(table.pageCount == 20_000 / 512 + 2)
    }
}
