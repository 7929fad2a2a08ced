// SPDX-License-Identifier: ISC

import Glibc
import Posix

/// The second thread of Queue: it writes and syncs, and does nothing else.
final class SyncThread {
    private var thread = pthread_t()

    /// Gives the journal to a thread of its own. Nobody else may touch it from here on.
    init(_ journal: Journal) throws(SystemError) {
        // Signals belong to the loop: the thread inherits a mask that holds all of them.
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        let argument = Unmanaged.passRetained(journal)
        let code = pthread_create(
            &thread, nil,
            { pointer in
                guard let pointer else { return nil }
                Unmanaged<Journal>.fromOpaque(pointer).takeRetainedValue().run()
                return nil
            }, argument.toOpaque())
        pthread_sigmask(SIG_SETMASK, &before, nil)
        if code != 0 {
            argument.release()
            throw SystemError("pthread_create", code)
        }
    }

    func join() { pthread_join(thread, nil) }
}
