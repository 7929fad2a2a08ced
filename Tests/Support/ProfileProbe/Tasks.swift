// SPDX-License-Identifier: ISC

/// Runs every job on the thread that drains it, as the loop of a daemon does.
final class DrainingExecutor: TaskExecutor, SerialExecutor, @unchecked Sendable {
    // Only the one thread of the probe touches it.
    private var ready: [UnownedJob] = []

    func enqueue(_ job: consuming ExecutorJob) { ready.append(UnownedJob(job)) }

    func drain() {
        while !ready.isEmpty {
            ready.removeFirst().runSynchronously(
                isolatedTo: asUnownedSerialExecutor(), taskExecutor: asUnownedTaskExecutor())
        }
    }
}

final class Sum: @unchecked Sendable {
    var value = 0
}

/// The sum that 100 child tasks come to, each with a megabyte of new memory and a suspension.
func sumOfTasks() -> Int {
    let executor = DrainingExecutor()
    let sum = Sum()
    Task(executorPreference: executor) {
        sum.value = await withTaskGroup(of: Int.self) { group in
            for number in 1...100 {
                group.addTask {
                    let block = [UInt8](repeating: 1, count: 1 << 20)
                    await Task.yield()
                    return block.count >> 20 &* number
                }
            }
            return await group.reduce(0, +)
        }
    }
    executor.drain()
    return sum.value
}
