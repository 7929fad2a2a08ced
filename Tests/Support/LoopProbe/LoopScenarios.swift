// SPDX-License-Identifier: ISC

import Glibc
import Posix
import Reactor

enum LoopScenarios {
    static func tasks() async throws {
        let sum = await withTaskGroup(of: Int.self) { group in
            for number in 1...20 {
                group.addTask {
                    try? await Task.sleep(for: .milliseconds(20))
                    await Task.yield()
                    return number
                }
            }
            var sum = 0
            for await number in group { sum += number }
            return sum
        }
        Check.equal(sum, 210, "sum of the group")
        async let first = slow(1)
        async let second = slow(2)
        Check.equal(await first + second, 3, "sum of two")
        let start = Loop.milliseconds
        await Loop.pause(milliseconds: 30)
        Check.that(Loop.milliseconds - start >= 29, "a pause lasts")
        let sleeper = Task { try await Task.sleep(for: .seconds(3600)) }
        sleeper.cancel()
        Check.that(await sleeper.result.isFailure, "a sleep can be cancelled")
        Check.equal(System.threads, 1, "threads after sleeps")
    }

    private static func slow(_ value: Int) async -> Int {
        try? await Task.sleep(for: .milliseconds(5))
        return value
    }

    static func timers() async throws {
        var fired: [String] = []
        let stopped = Timer()
        stopped.start(afterMilliseconds: 10) { fired.append("stopped") }
        stopped.stop()
        Check.that(!stopped.isRunning, "a stopped timer does not run")
        let replaced = Timer()
        replaced.start(afterMilliseconds: 10) { fired.append("first") }
        replaced.start(afterMilliseconds: 60) { fired.append("second") }
        Check.that(replaced.isRunning, "a started timer runs")
        var letGo: Timer? = Timer()
        letGo?.start(afterMilliseconds: 10) { fired.append("let go") }
        letGo = nil
        let again = Timer()
        var rounds = 0
        func round() {
            rounds += 1
            if rounds < 5 { again.start(afterMilliseconds: 1) { round() } }
        }
        again.start(afterMilliseconds: 0) { round() }
        await Loop.pause(milliseconds: 30)
        Check.equal(fired, [], "fired too early")
        await Loop.pause(milliseconds: 60)
        Check.equal(fired, ["second"], "fired")
        Check.equal(rounds, 5, "a timer that starts itself again")
        Check.that(!replaced.isRunning, "a timer that fired is not running")
    }

    static func endOfTurn() async throws {
        var order: [String] = []
        Loop.atEndOfTurn {
            order.append("end")
            // Planned at the end of a turn, with no event that would bring it back.
            Loop.atEndOfTurn { order.append("end again") }
            Task { order.append("task of the end") }
        }
        Task { order.append("task") }
        Task {
            await Task.yield()
            order.append("task again")
        }
        await Loop.pause(milliseconds: 5)
        Check.equal(order, ["task", "task again", "end", "task of the end", "end again"], "order")
    }

    /// Work without end that lets others go first does not keep an event back, as work that only yields does.
    static func nextTurn() async throws {
        let (left, right) = try ConnectionScenarios.connections()
        var isRead = false
        Task {
            try? await left.read(timeoutMilliseconds: ConnectionScenarios.patience)
            isRead = true
        }
        let begin = Loop.turn
        await Loop.nextTurn()
        Check.equal(Loop.turn, begin + 1, "a turn later")
        right.write([1])
        right.flush()
        for _ in 0..<10 where !isRead { await Loop.nextTurn() }
        Check.that(isRead, "the event was seen within ten turns")
        Check.that(Loop.turn <= begin + 11, "turns")
        left.close()
        right.close()
    }

    /// What has gathered is written although the loop was told to stop with other work at hand.
    static func stop() async throws {
        Loop.atEndOfTurn { print("written at the end") }
        Task { print("never") }
        Loop.stop(status: 7)
        await Loop.pause(milliseconds: 60_000)
    }

    static func signals() async throws {
        var count = 0
        let watch = SignalWatch(SIGUSR1) { count += 1 }
        for round in 1...3 {
            kill(getpid(), SIGUSR1)
            await eventually("signal \(round)") { count == round }
        }
        withExtendedLifetime(watch) {}
        kill(getpid(), SIGPIPE)
    }

    static func watchTimeout() async throws {
        let (left, right) = try System.pair()
        var calls: [Bool] = []
        let watch = Watch(left, for: .reading) { calls.append($0) }
        watch.enable(timeoutMilliseconds: 20)
        await Loop.pause(milliseconds: 50)
        Check.that(!calls.isEmpty && calls.allSatisfy { $0 }, "the time passes")
        calls = []
        watch.enable()
        await Loop.pause(milliseconds: 60)
        Check.equal(calls, [], "calls without a time")
        System.write(right, [1])
        await eventually("readable") { calls.first == false }
        watch.disable()
        Check.that(!watch.isEnabled, "a disabled watch is not enabled")
        calls = []
        await Loop.pause(milliseconds: 20)
        Check.equal(calls, [], "calls while disabled")
    }

    /// A watch that is let go inside its own call is gone at once: its number may belong to another file right after.
    static func watchLetGo() async throws {
        let (left, right) = try System.pair()
        var first: Watch?
        var second: Watch?
        var firstCalls = 0
        var secondCalls = 0
        first = Watch(left, for: .reading) { _ in
            firstCalls += 1
            first = nil
            close(left)
            guard let (next, other) = try? System.pair() else { return Check.fail("no pair") }
            Check.that(next == left || other == left, "the number is used again")
            second = Watch(left, for: .reading) { _ in
                secondCalls += 1
                second = nil
            }
            second?.enable()
            System.write(next == left ? other : next, [1])
        }
        first?.enable()
        System.write(right, [1])
        await eventually("second call") { secondCalls == 1 }
        Check.equal(firstCalls, 1, "calls of the first")
    }
}

extension Result {
    var isFailure: Bool {
        switch self {
        case .success: false
        case .failure: true
        }
    }
}
