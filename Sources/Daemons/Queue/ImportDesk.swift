// SPDX-License-Identifier: ISC

import IPC
import Mail
import Posix
import Reactor
import Schedule
import Spool

/// Takes in messages of another server's queue, which martletctl reads: root brings them, so their envelopes are taken as
/// they are, but for an action that this configuration must have.
final class ImportDesk {
    private final class Import {
        var content: [UInt8] = []
        var body: SpoolBody?
        var size: UInt64 = 0
        let timer = Timer()
    }

    private static let mostImports = 8
    // One that martletctl does not go on with is forgotten.
    private static let patienceMilliseconds: UInt64 = 60_000
    private static let mostEnvelopes = 100_000

    private unowned let queue: QueueProcess
    private var imports: [UInt64: Import] = [:]
    private var nextNumber: UInt64 = 1

    init(_ queue: QueueProcess) { self.queue = queue }

    func begin() -> [ControlAnswer] {
        guard imports.count < Self.mostImports else { return [.failed("too many imports at the same time")] }
        let number = nextNumber
        nextNumber += 1
        imports[number] = Import()
        wait(number)
        return [.done(count: number)]
    }

    private func wait(_ number: UInt64) {
        imports[number]?.timer.start(afterMilliseconds: Self.patienceMilliseconds) { [weak self] in self?.drop(number) }
    }

    private func drop(_ number: UInt64) {
        guard let ended = imports.removeValue(forKey: number) else { return }
        ended.timer.stop()
        ended.body?.discard()
    }

    func take(_ bytes: [UInt8], for number: UInt64) async -> [ControlAnswer] {
        guard let current = imports[number] else { return [.failed("no such import")] }
        wait(number)
        current.size += UInt64(bytes.count)
        if current.body == nil, current.content.count + bytes.count <= Intake.largestInMemory {
            current.content += bytes
            return [.done(count: number)]
        }
        let body = current.body ?? queue.spool.makeBody()
        current.body = body
        let pending = current.content + bytes
        current.content = []
        // Answered when it has left our memory: the next piece comes only then.
        let isWritten = await withUnsafeContinuation { continuation in
            body.append(pending) { continuation.resume(returning: (try? $0.get()) != nil) }
        }
        guard isWritten else {
            drop(number)
            return [.failed("the spool does not take it")]
        }
        return [.done(count: number)]
    }

    func finish(_ number: UInt64, _ request: MessageRequest, _ found: [ForeignEnvelope]) async -> [ControlAnswer] {
        guard let current = imports.removeValue(forKey: number) else { return [.failed("no such import")] }
        current.timer.stop()
        guard let first = found.first, found.count <= Self.mostEnvelopes, current.size > 0 else {
            current.body?.discard()
            return [.failed("nothing to import")]
        }
        for foreign in found {
            let dispatch = foreign.envelope.dispatch
            // One that has failed goes nowhere any more.
            guard let kind = queue.actions[dispatch.action], kind == DeliveryClass(dispatch) || foreign.owesNotice
            else {
                current.body?.discard()
                return [.failed("no such action: \(dispatch.action)")]
            }
        }
        let id = queue.intake.freshID()
        let wall = SystemClock.now()
        let age = max(0, (wall - first.created).seconds)
        var message = StoredMessage(
            position: SpoolPosition(sequenceNumber: 0), size: current.size, created: first.created,
            born: queue.clock.age(at: queue.now) &- age, sender: first.envelope.sender,
            origin: first.envelope.origin, request: request, fingerprint: nil, recipients: [:])
        var progress: [UInt32: EnvelopeProgress] = [:]
        for (index, foreign) in found.enumerated() {
            let recipient = UInt32(index + 1)
            let envelope = foreign.envelope
            message.recipients[recipient] = StoredMessage.Recipient(
                recipient: envelope.recipient, destination: envelope.destination, dispatch: envelope.dispatch,
                report: envelope.report, isInternal: envelope.origin.isInternal, reply: foreign.reply)
            let state: EnvelopeProgress.State =
                foreign.owesNotice ? .awaitingNotice : foreign.isSuspended ? .suspended : .waiting
            guard state != .waiting || foreign.attempts > 0 || foreign.reply != nil else { continue }
            progress[recipient] = EnvelopeProgress(
                state, attempts: Int(foreign.attempts), lastTry: foreign.lastTry, reply: foreign.reply)
        }
        switch await commit(id, message, current) {
        case .failure(let error):
            return [.failed("\(error)")]
        case .success(let position):
            queue.imported(id, message.stored(at: position), progress)
            guard await queue.isKept() else { return [.failed("imported, but the spool cannot keep all of it now")] }
            return [
                .record([ControlField(name: "message", value: .text("\(id)"))]), .done(count: UInt64(found.count)),
            ]
        }
    }

    private func commit(
        _ id: MessageID, _ message: StoredMessage, _ content: Import
    ) async -> Result<SpoolPosition, SpoolError> {
        let recipients = message.recipients.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        let pieces: [SpoolPiece] =
            content.body == nil ? [.bytes(content.content)] : [.body(offset: 0, count: content.size)]
        let stored = SpoolMessage(
            id: id, envelopeCount: UInt32(recipients.count), envelopes: QueueRecord.envelopes(recipients),
            attributes: QueueRecord.attributes(
                created: message.created, born: message.born, fingerprint: nil, sender: message.sender,
                origin: message.origin, request: message.request),
            pieces: pieces, body: content.body)
        return await withUnsafeContinuation { continuation in
            queue.spool.commit(stored) { continuation.resume(returning: $0) }
        }
    }
}
