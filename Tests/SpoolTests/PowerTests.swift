// SPDX-License-Identifier: ISC

import Bytes
import Glibc
import Mail
import Posix
import Testing

@testable import Spool

@Suite struct `When the power fails` {
    /// What has been asked for and what was answered, over all the lives of one spool.
    private struct Account {
        var committed: [UInt32: SpoolPosition] = [:]
        var buried: Set<UInt32> = []
        var asked: Set<UInt32> = []
        var burialAsked: Set<UInt32> = []
    }

    @Test(arguments: 1...16) func `what was answered is true in the next life`(seed: Int) throws {
        var random = Noise(state: UInt64(seed) * 7919)
        let workshop = try Workshop()
        workshop.options.cleaningThreshold = 3
        var account = Account()
        var nextID: UInt32 = 1
        for _ in 0..<5 {
            workshop.calls = WatchedCalls()
            workshop.calls.cutPower(after: 5 + Int(random.next() % 150), seed: random.next())
            guard let opened = try? workshop.open(), !workshop.calls.isDark else { continue }
            check(opened.recovered, account)
            var isDark = false
            for _ in 0..<40 where !isDark {
                var waiting = 0
                for _ in 0..<Int(1 + random.next() % 4) {
                    let id = nextID
                    nextID += 1
                    account.asked.insert(id)
                    waiting += 1
                    opened.spool.commit(message(id, filler: Int(random.next() % 6000))) { result in
                        waiting -= 1
                        switch result {
                        case .success(let position): account.committed[id] = position
                        case .failure: isDark = true
                        }
                    }
                }
                let living = account.committed.filter { !account.burialAsked.contains($0.key) }.sorted {
                    $0.key < $1.key
                }
                for (id, position) in living.prefix(Int(random.next() % 5)) {
                    account.burialAsked.insert(id)
                    waiting += 1
                    let outcome = SpoolOutcome(message: position, envelope: 1, payload: [], isFinal: true)
                    opened.spool.record(
                        outcome,
                        durability: .now { result in
                            waiting -= 1
                            if case .success = result { account.buried.insert(id) } else { isDark = true }
                        })
                }
                try opened.spool.turn { waiting == 0 }
            }
            opened.spool.close()
        }
        workshop.calls = WatchedCalls()
        let last = try workshop.open()
        check(last.recovered, account)
        for found in last.recovered.messages { #expect(try last.spool.text(found.position).hasPrefix("Subject")) }
        last.spool.close()
    }

    private func check(_ recovered: RecoveredSpool, _ account: Account) {
        let found = Set(recovered.messages.map(\.id.value))
        let expected = Set(account.committed.keys).subtracting(account.burialAsked)
        #expect(expected.isSubset(of: found))
        #expect(found.isDisjoint(with: account.buried))
        #expect(found.isSubset(of: account.asked))
        let isDamaged = recovered.reports.contains { if case .corruption = $0 { true } else { false } }
        #expect(!isDamaged)
        for message in recovered.messages {
            guard let position = account.committed[message.id.value] else { continue }
            #expect(position == message.position)
        }
    }
}
