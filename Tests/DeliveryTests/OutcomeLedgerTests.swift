// SPDX-License-Identifier: ISC

import Mail
import Testing

@testable import Delivery

@Suite struct OutcomeLedgerTests {
    private let ids = (1...4).map { EnvelopeID(MessageID(7), number: UInt32($0)) }
    private let outcome = DeliveryOutcome.deferred(Reply(451, nil, "later"))

    @Test func `an outcome is kept until it is recorded`() {
        var ledger = OutcomeLedger()
        expectEqual(ledger.accept(ids[0]), .new)
        expectEqual(ledger.accept(ids[0]), .underWay)
        expectEqual(ledger.begin(ids[0]), true)
        expectEqual(ledger.begin(ids[0]), false)
        expectEqual(ledger.decide(ids[0], outcome), true)
        expectEqual(ledger.decide(ids[0], outcome), false)
        expectEqual(ledger.accept(ids[0]), .decided(outcome))
        #expect(ledger.inFlight == [ids[0]])
        #expect(ledger.kept.map(\.0) == [ids[0]])
        ledger.recorded([ids[0], ids[1]])
        #expect(ledger.inFlight.isEmpty)
        expectEqual(ledger.accept(ids[0]), .new)
    }

    @Test func `only what has not begun is cancelled`() {
        var ledger = OutcomeLedger()
        for id in ids { _ = ledger.accept(id) }
        expectEqual(ledger.begin(ids[1]), true)
        expectEqual(ledger.decide(ids[2], outcome), true)
        expectEqual(ledger.cancel(ids), [ids[0], ids[3]])
        #expect(ledger.inFlight == [ids[1], ids[2]])
        #expect(ids.map(ledger.isKnown) == [false, true, true, false])
        expectEqual(ledger.begin(ids[0]), false)
        expectEqual(ledger.decide(ids[0], outcome), false)
        expectEqual(ledger.decide(ids[1], outcome), true)
    }

    @Test func `recorded does not forget what is under way`() {
        var ledger = OutcomeLedger()
        _ = ledger.accept(ids[0])
        _ = ledger.begin(ids[0])
        ledger.recorded(ids)
        #expect(ledger.inFlight == [ids[0]])
    }

    @Test func `the counts are those of the stages`() {
        var ledger = OutcomeLedger()
        var generator = Deterministic(state: 42)
        var model: [EnvelopeID: Int] = [:]
        let many = (1...20).map { EnvelopeID(MessageID(7), number: UInt32($0)) }
        for _ in 0..<5000 {
            let id = many[Int(generator.next() % 20)]
            switch generator.next() % 5 {
            case 0:
                _ = ledger.accept(id)
                if model[id] == nil { model[id] = 0 }
            case 1:
                expectEqual(ledger.begin(id), model[id] == 0)
                if model[id] == 0 { model[id] = 1 }
            case 2:
                let may = model[id] == 0 || model[id] == 1
                expectEqual(ledger.decide(id, outcome), may)
                if may { model[id] = 2 }
            case 3:
                ledger.recorded([id])
                if model[id] == 2 { model[id] = nil }
            default:
                expectEqual(ledger.cancel([id]), model[id] == 0 ? [id] : [])
                if model[id] == 0 { model[id] = nil }
            }
            #expect(ledger.waitingCount == model.values.count { $0 == 0 })
            #expect(ledger.begunCount == model.values.count { $0 == 1 })
            #expect(ledger.decidedCount == model.values.count { $0 == 2 })
        }
    }
}

/// For what changes as it is asked, which `#expect` does not allow on either side of `==`.
func expectEqual<Value: Equatable>(_ found: Value, _ expected: Value, at location: SourceLocation = #_sourceLocation) {
    #expect(found == expected, sourceLocation: location)
}

/// Numbers that are the same in every run.
struct Deterministic {
    var state: UInt64

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state >> 33
    }
}
