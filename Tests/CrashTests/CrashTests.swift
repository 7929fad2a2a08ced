// SPDX-License-Identifier: ISC

import Bytes
import Chance
import Glibc
import Mail
import Posix
import Testing

@testable import Spool

/// How many states are to be visited; one command visits a million:
///
///     MARTLET_CRASH_STATES=1000000 swift test --filter 'CrashTests.*at any moment'
///
/// With SWIFT_DETERMINISTIC_HASHING=1 a seed gives the same states again; what is cleaned first is otherwise the order of a
/// hash table.
private let wanted = getenv("MARTLET_CRASH_STATES").flatMap { Int(String(cString: $0)) } ?? 20_000

@Suite struct `A crash at any moment` {
    /// A long visit tells how far it is after so many states.
    private static let progressEvery = 50_000

    /// Lives that begin in the wreck of the one before, until that many states were visited.
    private func visit(
        _ states: Int, of name: String, seed: UInt64, bound: Int, _ options: SpoolOptions
    ) throws -> Matrix {
        var matrix = Matrix(bound: bound, seed: seed, options: options)
        var told = Self.progressEvery
        matrix.mostStates = states
        var random = TestRandom(seed: seed)
        var image = DiskImage()
        var account = Account()
        var isLong = false
        while matrix.states < states, matrix.complaints.isEmpty {
            let calls = SimulatedCalls(image)
            let life = try Life(image, account, calls: calls, options: options, seed: random.next() >> 48)
            // Of a short life each moment is looked at; in a long one more happens, segments come, are cleaned and go.
            life.run(rounds: isLong ? 80 : 8)
            matrix.momentEvery = isLong ? 16 : 1
            isLong.toggle()
            (image, account) = try matrix.visit(life)
            if matrix.states >= told {
                told += Self.progressEvery
                print(
                    "\(name): \(matrix.states) states after \(clock() / 1_000_000) s of CPU; "
                        + "\(account.sent.count) messages live in \(image.files.count) files, "
                        + "\(image.usedBytes >> 10) KiB")
                fflush(nil)
            }
        }
        print("\(name): \(matrix.report)")
        return matrix
    }

    @Test func `leaves every acknowledged message there once, whole, and nothing that was done`() throws {
        let matrix = try visit(wanted, of: "Crash matrix", seed: 20_261_124, bound: 16, Life.options())
        #expect(matrix.complaints == [])
        #expect(matrix.states >= wanted)
    }

    @Test func `does the same to what is compressed and encrypted`() throws {
        var options = Life.options()
        options.isCompressed = true
        options.keys = try #require(SpoolKeys(current: [UInt8](repeating: 9, count: SpoolKeys.keySize)))
        let matrix = try visit(
            wanted / 5, of: "Crash matrix, compressed and encrypted", seed: 4, bound: 8, options)
        #expect(matrix.complaints == [])
        #expect(matrix.states >= wanted / 5)
    }

    @Test(arguments: SimulatedCalls.Defect.allCases) func `shows a defect of the order of writing`(
        defect: SimulatedCalls.Defect
    ) throws {
        var matrix = Matrix(bound: 8, seed: 7)
        matrix.mostComplaints = 1
        let calls = SimulatedCalls(DiskImage())
        calls.defect = defect
        let life = try Life(DiskImage(), Account(), calls: calls, options: Life.options(), seed: 7)
        life.run(rounds: 24)
        _ = try matrix.visit(life)
        print("Defect \(defect): \(matrix.complaints.first ?? "not seen"), \(matrix.report)")
        #expect(!matrix.complaints.isEmpty, "\(defect): \(matrix.report)")
    }
}

@Suite struct `A call that fails, whichever` {
    /// The last call at which something can fail.
    private func calls(seed: UInt64) throws -> Int {
        let calls = SimulatedCalls(DiskImage())
        try Life(DiskImage(), Account(), calls: calls, options: Life.options(), seed: seed).run(rounds: 10)
        return calls.changes
    }

    @Test(arguments: SimulatedCalls.Fault.allCases, [1, 7])
    func `costs no message that was acknowledged, then or in a crash`(fault: SimulatedCalls.Fault, times: Int) throws {
        let seed: UInt64 = 11
        var states = 0
        for number in 0..<(try calls(seed: seed)) {
            let calls = SimulatedCalls(DiskImage())
            calls.faults = (number..<number + times, fault)
            // A spool that cannot be made is told of, and there is no mail in it yet.
            guard let life = try? Life(DiskImage(), Account(), calls: calls, options: Life.options(), seed: seed)
            else { continue }
            #expect(life.run(rounds: 10, settles: true) == [], "\(fault) \(times) times at call \(number)")
            var matrix = Matrix(bound: 2, seed: seed &+ UInt64(number))
            matrix.secondLifeEvery = nil
            matrix.momentEvery = 8
            _ = try matrix.visit(life)
            #expect(matrix.complaints == [], "\(fault) \(times) times at call \(number)")
            states += matrix.states
        }
        print("Faults: \(fault) \(times) times at each call, \(states) states visited")
    }
}
