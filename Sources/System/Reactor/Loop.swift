// SPDX-License-Identifier: ISC

import Glibc
import Posix

/// The one loop of a process: every callback and every task runs on it, one after another.
public enum Loop {
    /// Runs `main` and everything that it starts; the process exits with the status given to `stop`.
    public nonisolated static func run(_ main: @escaping @MainActor () async -> Void) -> Never {
        LoopExecutor.install()
        // A peer that has gone is an error of write, not the end of the process.
        signal(SIGPIPE, SIG_IGN)
        // Whoever started this may have blocked signals, and a mask is inherited.
        var none = sigset_t()
        sigemptyset(&none)
        sigprocmask(SIG_SETMASK, &none, nil)
        Task { @MainActor in await main() }
        do {
            try LoopExecutor.shared.run()
        } catch {
            exit(1)
        }
        exit(MainActor.assumeIsolated { status })
    }

    private static var status: Int32 = 0

    /// Ends the loop after this turn.
    public static func stop(status: Int32 = 0) {
        self.status = status
        LoopExecutor.shared.stop()
    }

    /// Runs `work` when nothing else is left to do in this turn: the place for writing what has gathered.
    public static func atEndOfTurn(_ work: @escaping @MainActor () -> Void) {
        LoopExecutor.shared.endOfTurn.append(work)
    }

    /// Differs before and after each wait for events.
    public static var turn: UInt64 { LoopExecutor.shared.turns }

    /// Suspends the caller until whatever has happened on any descriptor meanwhile was seen: for work that could go on for
    /// long without waiting for anything.
    public static func nextTurn() async {
        await withUnsafeContinuation { LoopExecutor.shared.nextTurn.append($0) }
    }

    /// Monotonic milliseconds.
    public static var milliseconds: UInt64 { SystemClock.monotonicMilliseconds() }

    /// Suspends the caller for at least `milliseconds`.
    public static func pause(milliseconds: UInt64) async {
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            let timer = Timer()
            timer.start(afterMilliseconds: milliseconds) {
                // Held until here: a timer that nobody holds never fires.
                _ = timer
                continuation.resume()
            }
        }
    }
}
