// SPDX-License-Identifier: ISC

import CPosix
import Glibc
import Posix

/// What the loop asks of the sync thread.
enum SpoolJob: Sendable {
    case write(token: UInt64, RecordContent)
    /// Writes the record again at the tail, its payload unchanged but for `identity` where it is a message.
    case move(token: UInt64, RecordLocation, identity: UInt64)
    case read(token: UInt64, RecordLocation)
    case makeBody(UInt64)
    case appendBody(token: UInt64, UInt64, [UInt8])
    case removeBody(UInt64)
    /// Of one that is damaged.
    case setBodyAside(UInt64)
    case free(segment: UInt64)
    /// As `free`, for a segment that could not be read: it is moved out of the journal, and the numbers are not missed then.
    case setAside(segment: UInt64, [ClosedRange<UInt64>])
    /// Numbers that are not missed: recovery has told of them.
    case settle([ClosedRange<UInt64>])
}

/// What the sync thread tells the loop.
enum SpoolEvent: Sendable {
    case opened(segment: UInt64)
    case written(token: UInt64, Result<WrittenRecord, SpoolError>)
    /// An outcome or a note could not be made durable yet; it stays in the journal's hands.
    case delayed(token: UInt64, SpoolError)
    case content(token: UInt64, Result<[SpoolPiece], SpoolError>)
    case body(token: UInt64, SpoolError?)
    case report(String)
}

struct WrittenRecord: Sendable {
    var number: UInt64
    var location: RecordLocation
}

/// What the sync thread tells about itself.
struct JournalCounts: Sendable {
    var freeBytes = 0
    var batches = 0
    var records = 0
    var bytes = 0
    var failedSyncs = 0
}

/// The one place where the loop and the sync thread meet: two queues under a lock.
///
/// Unchecked because its fields are guarded by `mutex`, which the compiler cannot see; none is touched without it but
/// the descriptor, which never changes.
final class Handover: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var jobs: [SpoolJob] = []
    private var events: [SpoolEvent] = []
    private var counts = JournalCounts()
    private var isUrgent = false
    private var isStopping = false
    private var isWaiting = false
    private var sleepsForEver = false
    /// When the first lazy job has waited a second, in milliseconds of the monotonic clock.
    private var lazyDeadline: UInt64?
    let wake: FileDescriptor
    private let calls: any SpoolCalls

    static let laziness: UInt64 = 1000

    init(calls: any SpoolCalls) throws(SystemError) {
        self.calls = calls
        wake = FileDescriptor(owning: try SystemError.check("eventfd", martlet_event_descriptor()))
        mutex = .allocate(capacity: 1)
        condition = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    private func locked<Value>(_ body: () -> Value) -> Value {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }

    // MARK: The loop's side

    /// Jobs are done in the order in which they are put; a lazy one may wait for a second or for one that is not.
    func put(_ job: SpoolJob, isLazy: Bool) {
        let mustWake = locked {
            jobs.append(job)
            if isLazy, !isUrgent {
                guard lazyDeadline == nil else { return false }
                lazyDeadline = calls.now() + Handover.laziness
                // One that sleeps for a while looks again in time by itself.
                return isWaiting && sleepsForEver
            }
            if isUrgent { return false }
            isUrgent = true
            return isWaiting
        }
        // Behind the lock, so that the thread does not wake only to wait for it.
        if mustWake { pthread_cond_signal(condition) }
    }

    func takeEvents() -> [SpoolEvent] {
        var raised: UInt64 = 0
        _ = read(wake.number, &raised, 8)
        return locked {
            defer { events = [] }
            return events
        }
    }

    var currentCounts: JournalCounts { locked { counts } }

    func stop() {
        locked {
            isStopping = true
            pthread_cond_signal(condition)
        }
    }

    // MARK: The sync thread's side

    struct Work {
        var jobs: [SpoolJob]
        var isStopping: Bool
    }

    /// Waits until something has to be done, or until `deadline`; returns at once when that is 0.
    func take(until deadline: UInt64?) -> Work {
        // After work there will be more: the outcome of what was just written comes lazily within moments, and waking
        // the thread only to tell it of that would cost two switches for each message.
        var nap: UInt64? = calls.now() + Handover.laziness
        return locked {
            while !isUrgent, !isStopping {
                let now = calls.now()
                if let end = nap, end <= now { nap = nil }
                if let earliest = [deadline, lazyDeadline].compactMap({ $0 }).min(), earliest <= now { break }
                let earliest = [deadline, lazyDeadline, nap].compactMap { $0 }.min()
                sleepsForEver = earliest == nil
                isWaiting = true
                if let earliest {
                    var time = timespec(
                        tv_sec: Int(earliest / 1000), tv_nsec: Int(earliest % 1000) * 1_000_000)
                    pthread_cond_timedwait(condition, mutex, &time)
                } else {
                    pthread_cond_wait(condition, mutex)
                }
                isWaiting = false
            }
            // A turn that is only for maintenance leaves the lazy ones where they are.
            let isDue = isUrgent || isStopping || lazyDeadline.map { $0 <= calls.now() } ?? false
            guard isDue else { return Work(jobs: [], isStopping: false) }
            let work = Work(jobs: jobs, isStopping: isStopping)
            jobs = []
            isUrgent = false
            lazyDeadline = nil
            return work
        }
    }

    var hasUrgentJobs: Bool { locked { isUrgent } }

    func tell(_ new: [SpoolEvent], _ newCounts: JournalCounts) {
        locked { counts = newCounts }
        post(new)
    }

    /// Also the loop's, for what it can answer itself but not at once.
    func post(_ new: [SpoolEvent]) {
        let mustWake = locked {
            defer { events += new }
            return events.isEmpty && !new.isEmpty
        }
        guard mustWake else { return }
        var one: UInt64 = 1
        _ = write(wake.number, &one, 8)
    }

}
