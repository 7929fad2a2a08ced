// SPDX-License-Identifier: ISC

// The only file that uses the runtime's interface for custom executors, which is not yet public.
// The way back, should it vanish: a global actor whose tasks all name this class as their executor preference.
@_spi(ExperimentalCustomExecutors) @_spi(ExperimentalScheduling) internal import _Concurrency
import CEvent
import Glibc
import Posix

/// One libevent loop that is the main executor, the executor of every task, and the one that wakes sleepers.
///
/// Jobs run only between two waits of the loop, on its one thread; nothing here needs a lock.
nonisolated final class LoopExecutor: MainExecutor, TaskExecutor, SchedulingExecutor, @unchecked Sendable {
    static let shared = LoopExecutor()

    // Jobs that make more jobs for ever must not keep the descriptors waiting.
    private static let roundsPerTurn = 64

    let base: OpaquePointer
    /// What the loop waits with, as far as it is known: the library opens it first and tells it to nobody.
    let epoll: Int32?
    private var ready: [UnownedJob] = []
    private var running: [UnownedJob] = []
    private(set) var isStopped = false
    var endOfTurn: [@MainActor () -> Void] = []
    /// Those who have had their share of this turn.
    var nextTurn: [UnsafeContinuation<Void, Never>] = []
    /// Counts the waits.
    private(set) var turns: UInt64 = 0

    private init() {
        epoll = FileDescriptor.nextNumber
        guard let base = event_base_new() else {
            preconditionFailure("no event loop: out of memory or descriptors")
        }
        self.base = base
        ready.reserveCapacity(256)
        running.reserveCapacity(256)
    }

    func enqueue(_ job: consuming ExecutorJob) { ready.append(UnownedJob(job)) }

    func enqueue<C: Clock>(
        _ job: consuming ExecutorJob, after delay: C.Duration, tolerance: C.Duration?, clock: C
    ) {
        guard let duration = delay as? Duration else { return enqueue(job) }
        let (seconds, attoseconds) = duration.components
        var time = timeval(tv_sec: Int(max(0, seconds)), tv_usec: Int(max(0, attoseconds) / 1_000_000_000_000))
        let waiting = Unmanaged.passRetained(WaitingJob(UnownedJob(job)))
        event_base_once(
            base, -1, Int16(EV_TIMEOUT),
            { _, _, context in
                guard let context else { return }
                LoopExecutor.shared.ready.append(Unmanaged<WaitingJob>.fromOpaque(context).takeRetainedValue().job)
            }, waiting.toOpaque(), &time)
    }

    func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }
    func asUnownedTaskExecutor() -> UnownedTaskExecutor { UnownedTaskExecutor(ordinary: self) }
    func checkIsolated() {}
    func isIsolatingCurrentContext() -> Bool? { true }
    var isMainExecutor: Bool { true }

    func run() throws {
        turn()
        while !isStopped {
            let isIdle = ready.isEmpty && endOfTurn.isEmpty && nextTurn.isEmpty
            let flags = isIdle ? EVLOOP_ONCE : EVLOOP_ONCE | EVLOOP_NONBLOCK
            // 1 means that no event is registered: nothing can ever happen again unless a job is ready.
            let result = event_base_loop(base, flags)
            if result < 0 || (result == 1 && isIdle) { break }
            turns &+= 1
            resumeNextTurn()
            turn()
        }
        runEndOfTurn()
    }

    // Behind all that has come meanwhile.
    private func resumeNextTurn() {
        guard !nextTurn.isEmpty else { return }
        let waiting = nextTurn
        nextTurn.removeAll(keepingCapacity: true)
        for continuation in waiting { continuation.resume() }
    }

    func stop() { isStopped = true }

    private func turn() {
        let serial = asUnownedSerialExecutor()
        let task = asUnownedTaskExecutor()
        var rounds = 0
        repeat {
            swap(&ready, &running)
            for job in running { job.runSynchronously(isolatedTo: serial, taskExecutor: task) }
            running.removeAll(keepingCapacity: true)
            rounds += 1
            // Jobs without end must not keep back what was written.
            if ready.isEmpty || rounds == Self.roundsPerTurn { runEndOfTurn() }
            // Work at the end of a turn may plan more of its kind, which no event would bring back.
        } while !(ready.isEmpty && endOfTurn.isEmpty) && rounds < Self.roundsPerTurn && !isStopped
    }

    // What has gathered is still written when the loop was told to stop.
    private func runEndOfTurn() {
        guard !endOfTurn.isEmpty else { return }
        let work = endOfTurn
        endOfTurn.removeAll(keepingCapacity: true)
        MainActor.assumeIsolated { for item in work { item() } }
    }

    private final class WaitingJob {
        let job: UnownedJob
        init(_ job: UnownedJob) { self.job = job }
    }

    private struct Factory: ExecutorFactory {
        static var mainExecutor: any MainExecutor { LoopExecutor.shared }
        static var defaultExecutor: any TaskExecutor { LoopExecutor.shared }
    }

    /// Must be the first thing that a process does.
    static func install() { _createExecutors(factory: Factory.self) }
}
