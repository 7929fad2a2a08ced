// SPDX-License-Identifier: ISC

import Bytes
import Channel
import IPC
import Mail
import Message
import Posix
import Reactor
import Schedule
import Spool

/// Writes the notices that senders are owed and hands them to Listener, where they come in like any other mail.
final class NoticeDesk {
    // A message is returned whole up to this size; of a larger one, its header.
    private static let largestReturned = 1 << 20
    private static let longestHeader = 64 * 1024
    private static let injectionMilliseconds: UInt64 = 60_000

    private unowned let queue: QueueProcess

    init(_ queue: QueueProcess) { self.queue = queue }

    /// An envelope has failed for good: its sender is told, or the reason why not is logged, and then it is done.
    func fail(_ id: EnvelopeID, _ reply: Reply, _ end: EnvelopeEnd) {
        let state: EnvelopeProgress.State = end == .expired ? .expired : .awaitingNotice
        queue.record(id, EnvelopeProgress(state, lastTry: SystemClock.now(), reply: reply))
        report(.failed, id, reply)
    }

    /// Whether the sender is told what NOTIFY asks for only.
    enum Demand {
        case usual
        case unlessNever
    }

    /// True when the sender will be told.
    @discardableResult
    func report(_ kind: NoticeKind, _ id: EnvelopeID, _ reply: Reply, demand: Demand = .usual) -> Bool {
        guard let head = queue.shelf.head(id.message), let recipient = queue.shelf.recipient(id) else {
            return false
        }
        var request = recipient.report
        switch demand {
        case .usual: break
        case .unlessNever: request.notify.insert(.success)
        }
        let verdict = queue.ledger.report(
            kind, of: id, to: head.sender, request: request, reply: reply, now: queue.now)
        queue.plan()
        switch verdict {
        case .gathered:
            return true
        case .unwanted:
            if kind == .failed { done(id) }
        case .doubleBounce:
            queue.log.warning("double bounce for \(id): to=<\(recipient.destination)>, \(VisibleText("\(reply)"))")
            done(id)
        }
        return false
    }

    private func done(_ id: EnvelopeID) {
        let hasExpired = queue.schedule.entry(id)?.hasExpired == true
        queue.schedule.settle(id)
        queue.finish(id, hasExpired ? .expired : .bounced)
    }

    // MARK: Injecting

    func inject(now: Instant) {
        for notice in queue.ledger.take(now: now) {
            Task { [self] in
                let reply = await inject(notice)
                ended(notice, reply)
            }
        }
    }

    private func inject(_ notice: Schedule.Notice) async -> Reply {
        guard let message = queue.shelf.head(notice.message), let recipient = message.sender.mailbox else {
            return Reply(554, EnhancedStatus(5, 3, 0), "The message has gone")
        }
        let content = await write(notice, of: message, to: recipient)
        guard let line = queue.intake.anyLine else {
            return Reply(451, EnhancedStatus(4, 3, 0), "No listener")
        }
        do {
            let answer = try await line.request(
                .inject(recipient: recipient, priority: message.request.priority, content: content),
                timeoutMilliseconds: Self.injectionMilliseconds)
            guard case .injected(let result) = answer else {
                return Reply(451, EnhancedStatus(4, 3, 0), "Unexpected answer")
            }
            switch result {
            case .accepted(let id):
                queue.counters.add("bounce.message")
                return Reply(250, EnhancedStatus(2, 0, 0), "\(id)")
            case .refused(let reply):
                return reply
            }
        } catch {
            return Reply(451, EnhancedStatus(4, 3, 0), "Listener has gone")
        }
    }

    private func ended(_ notice: Schedule.Notice, _ reply: Reply) {
        switch queue.ledger.injected(notice.number, reply, now: queue.now) {
        case .accepted:
            for item in notice.items { queue.history.told(item.envelope, notice.kind, reply, at: SystemClock.now()) }
            settle(notice)
        case .unknown:
            settle(notice)
        case .retry:
            break
        case .refused(_, let reply), .abandoned(_, let reply):
            let sender = queue.shelf.head(notice.message)?.sender ?? .null
            queue.log.warning(
                "PermFail injecting \(notice.kind) report on message \(notice.message) to <\(sender)> for "
                    + "\(notice.items.count) envelope(s): \(VisibleText("\(reply)"))")
            settle(notice)
        }
        queue.plan()
    }

    private func settle(_ notice: Schedule.Notice) {
        switch notice.kind {
        case .failed: for item in notice.items { done(item.envelope) }
        case .delivered: for item in notice.items { queue.finish(item.envelope, .delivered) }
        case .relayed: for item in notice.items { queue.finish(item.envelope, .relayed) }
        case .delayed: break
        }
    }

    // MARK: Writing

    private func write(_ notice: Schedule.Notice, of message: Shelf.Head, to recipient: Mailbox) async -> [UInt8] {
        let wall = SystemClock.now()
        let isWhole =
            notice.kind == .failed && message.request.returned == .full && message.size <= UInt64(Self.largestReturned)
            // RFC 8689 section 5: what had to be hidden is not shown on the way back. RFC 3030: a notice is lines.
            && !message.request.requiresTLS && message.request.body != .binaryMIME
        let original = await content(of: message.position, limit: isWhole ? Self.largestReturned : Self.longestHeader)
        let returned = isWhole ? original : Self.header(of: original)
        let encoding: Message.Notice.Returned.Encoding =
            returned.contains { $0 >= 0x80 } ? .eightBit : .sevenBit
        var retentions: Set<Interval> = []
        let recipients = notice.items.compactMap { item -> Message.Notice.Recipient? in
            guard let stored = queue.shelf.recipient(item.envelope) else { return nil }
            let entry = queue.schedule.entry(item.envelope)
            if let entry { retentions.insert(entry.retention) }
            return Message.Notice.Recipient(
                originalRecipient: stored.report.originalRecipient, finalRecipient: stored.recipient,
                reply: item.reply, diagnostic: stored.reply,
                lastAttempt: date(entry?.lastTry?.timestamp(wall: wall, now: queue.now) ?? wall),
                retriesUntil: entry.map { date($0.expires.timestamp(wall: wall, now: queue.now)) })
        }
        let written = Message.Notice(
            kind: notice.kind.written, reportingHost: queue.serverName, recipient: recipient, date: date(wall),
            messageID: "<\(Hexadecimal.text(Randomness.integer(UInt64.self), width: 16))@\(queue.serverName)>",
            boundary: "martlet-" + Hexadecimal.text(Randomness.integer(UInt64.self), width: 16)
                + Hexadecimal.text(Randomness.integer(UInt64.self), width: 16),
            envelopeIdentifier: message.request.envelopeIdentifier, arrival: date(message.created),
            recipients: recipients,
            // Where it is not the same for all, each has its own end in the status.
            retention: notice.kind == .delayed && retentions.count == 1 ? retentions.first : nil,
            returned: isWhole ? .full(encoding) : .headers(encoding))
        var output: [UInt8] = []
        written.write(returning: returned.span, to: &output)
        return output
    }

    private func date(_ moment: Timestamp) -> MailDate {
        let zone = SystemClock.zone(at: moment)
        return MailDate(moment, offset: zone.offset, zone: zone.name)
    }

    /// At most `limit` bytes of a message, from `offset` on.
    func content(of position: SpoolPosition, from offset: UInt64 = 0, limit: Int) async -> [UInt8] {
        let result = await withUnsafeContinuation { continuation in
            queue.spool.content(of: position) { continuation.resume(returning: $0) }
        }
        guard case .success(let pieces) = result else { return [] }
        var content: [UInt8] = []
        var skipped = offset
        for piece in pieces where content.count < limit {
            guard skipped < piece.count else {
                skipped -= piece.count
                continue
            }
            let room = limit - content.count
            switch piece {
            case .bytes(let bytes):
                content += bytes[Int(skipped)...].prefix(room)
            case .body(let start, let count):
                let first = start + skipped
                let last = first + min(UInt64(room), count - skipped)
                guard let bytes = try? queue.spool.readBody(position, first..<last) else { return content }
                content += bytes
            }
            skipped = 0
        }
        return content
    }

    /// What stands before the first empty line.
    private static func header(of content: [UInt8]) -> [UInt8] {
        let end: [UInt8] = [.carriageReturn, .lineFeed, .carriageReturn, .lineFeed]
        var index = 0
        while index + end.count <= content.count {
            if content[index] == .carriageReturn, content[index..<index + end.count].elementsEqual(end) {
                return Array(content[..<(index + 2)])
            }
            index += 1
        }
        return content
    }
}

extension NoticeKind {
    fileprivate var written: Message.Notice.Kind {
        switch self {
        case .failed: .failed
        case .delayed: .delayed
        case .delivered: .delivered
        case .relayed: .relayed
        }
    }
}
