// SPDX-License-Identifier: ISC

import Glibc
import IPC
import Mail
import Posix
import Reactor

/// The deliveries to one mbox file, one after another: each is gathered, written under the lock, and answered when the
/// file is synced, once for all that came together.
final class MboxQueue {
    private static let retryMilliseconds: UInt64 = 100
    private static let patienceMilliseconds: UInt64 = 30_000
    // A message up to this size is written in one go; a longer one as it comes.
    private static let gatheredBytes = 4 << 20
    /// What waits in the memory of one agent while somebody else has the locks.
    final class WaitingMail {
        // With the space that growing takes, an agent stays below 24 MB.
        static let mostBytes = 8 << 20
        fileprivate(set) var bytes = 0
    }

    /// A message of this queue; its sink.
    final class Entry: MessageSink {
        let id: EnvelopeID
        fileprivate var text = MboxText()
        fileprivate var buffer: [UInt8] { didSet { count() } }
        private var counted = 0
        fileprivate var isComplete = false
        fileprivate var start: off_t?
        fileprivate var outcome: MailboxOutcome?
        private unowned let queue: MboxQueue

        fileprivate init(_ delivery: MailboxDelivery, _ queue: MboxQueue) {
            id = delivery.id
            self.queue = queue
            let time = separatorTime(SystemClock.now())
            buffer = MboxText.separatorLine(delivery.sender, time: time) + delivery.addedFields
            count()
        }

        private func count() {
            queue.waiting.bytes += buffer.count - counted
            counted = buffer.count
        }

        func append(_ content: [UInt8]) {
            guard outcome == nil else { return }
            text.append(content, to: &buffer)
            if buffer.count > MboxQueue.gatheredBytes { queue.work() }
            if outcome == nil, queue.waiting.bytes > WaitingMail.mostBytes {
                outcome = .deferred("The mailbox is locked, and too much mail waits for it")
                buffer = []
            }
        }

        func end() {
            if outcome == nil { text.finish(into: &buffer) }
            isComplete = true
            if start == nil, let outcome { queue.leave(self, outcome) }
            queue.work()
        }

        func abandon() {}
    }

    private let path: String
    private let kind: MboxFile.Kind
    private let waiting: WaitingMail
    private let answer: (EnvelopeID, MailboxOutcome) -> Void
    private var entries: [Entry] = []
    private var written: [Entry] = []
    private var file: MboxFile?
    private let timer = Timer()
    private var deadline: UInt64?
    private var isCommitPlanned = false

    init(
        _ path: String, _ kind: MboxFile.Kind, _ waiting: WaitingMail,
        answer: @escaping (EnvelopeID, MailboxOutcome) -> Void
    ) {
        self.path = path
        self.kind = kind
        self.waiting = waiting
        self.answer = answer
    }

    func begin(_ delivery: MailboxDelivery) -> Entry {
        let entry = Entry(delivery, self)
        entries.append(entry)
        return entry
    }

    /// Takes back what is half written: its content will not come to its end.
    func abandon() {
        for entry in entries {
            if let start = entry.start { try? file?.truncate(to: start) }
        }
        commit()
        file = nil
    }

    /// One that was refused waits for no lock.
    fileprivate func leave(_ entry: Entry, _ outcome: MailboxOutcome) {
        entries.removeAll { $0 === entry }
        answer(entry.id, outcome)
    }

    fileprivate func work() {
        while let entry = entries.first {
            if entry.outcome == nil {
                guard entry.isComplete || entry.buffer.count > Self.gatheredBytes else { break }
                guard hasLock() else { return }
                write(entry)
            }
            guard entry.isComplete else { break }
            entries.removeFirst()
            written.append(entry)
        }
        guard !written.isEmpty, !isCommitPlanned else { return }
        isCommitPlanned = true
        Loop.atEndOfTurn { [weak self] in self?.commit() }
    }

    private func write(_ entry: Entry) {
        guard let file else { return }
        do {
            if entry.start == nil {
                try file.endLastMessage()
                entry.start = file.length
            }
            try file.append(entry.buffer)
        } catch {
            entry.outcome = .failure(error, "Cannot write to the mailbox")
            if let start = entry.start { try? file.truncate(to: start) }
        }
        entry.buffer = []
    }

    private func commit() {
        isCommitPlanned = false
        guard !written.isEmpty else { return }
        let done = written
        written = []
        var failure: MailboxOutcome?
        if let file, done.contains(where: { $0.outcome == nil }) {
            do {
                try file.sync()
            } catch {
                failure = .failure(error, "Cannot sync the mailbox")
                // Nothing behind this point is known to be on the disk, and it will be delivered again.
                if let start = done.compactMap(\.start).min(), entries.first?.start == nil {
                    try? file.truncate(to: start)
                }
            }
        }
        for entry in done { answer(entry.id, entry.outcome ?? failure ?? .delivered) }
        if entries.first?.start == nil { file = nil }
    }

    /// Whether the lock is ours; if not, the queue goes on when it is, or gives up.
    private func hasLock() -> Bool {
        if file != nil { return true }
        do throws(MboxFile.Refusal) {
            let candidate = try MboxFile(path, kind)
            // A file that was replaced between opening and locking is not the mailbox any more.
            if try candidate.lock(), candidate.isCurrent {
                file = candidate
                deadline = nil
                timer.stop()
                return true
            }
        } catch {
            switch error {
            case .unsafe(let why): refuseAll(.deferred("Unsafe mailbox: \(why)"))
            case .failed(let error): refuseAll(.failure(error, "Cannot open the mailbox"))
            }
            return false
        }
        let end = deadline ?? Loop.milliseconds + Self.patienceMilliseconds
        deadline = end
        if Loop.milliseconds >= end {
            refuseAll(.deferred("The mailbox is locked by another program"))
        } else {
            timer.start(afterMilliseconds: Self.retryMilliseconds) { [weak self] in self?.work() }
        }
        return false
    }

    private func refuseAll(_ outcome: MailboxOutcome) {
        deadline = nil
        timer.stop()
        for entry in entries where entry.outcome == nil {
            entry.outcome = outcome
            entry.buffer = []
        }
        work()
    }
}
