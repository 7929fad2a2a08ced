// SPDX-License-Identifier: ISC

import Bytes
import IPC
import Mail
import Posix
import Reactor
import Schedule

extension QueueProcess {
    private static let pageSize = 256
    // Read on the loop from a body's file, hence small.
    private static let contentPageSize = 256 * 1024

    func page(_ selector: QueueSelector, after: EnvelopeID?) -> [ControlAnswer] {
        let slice = slice(selector, after: after, limit: Self.pageSize)
        var answers: [ControlAnswer] = []
        for entry in slice.envelopes {
            if let row = row(entry) { answers.append(.record(row.fields)) }
        }
        let count = UInt64(answers.count)
        return answers + [slice.last.map { .goesOn(after: $0, count: count) } ?? .done(count: count)]
    }

    private func row(_ entry: QueueEntry) -> QueueRow? {
        guard let head = shelf.head(entry.envelope.message), let recipient = shelf.recipient(entry.envelope) else {
            return nil
        }
        let wall = SystemClock.now()
        var row = QueueRow(
            entry.envelope, sender: head.sender, origin: head.origin, recipient: recipient, created: head.created,
            expires: entry.expires.timestamp(wall: wall, now: now),
            lastTry: entry.lastTry.map { $0.timestamp(wall: wall, now: now) }, attempts: entry.attempts, flag: nil,
            state: "pending", seconds: 0)
        switch entry.state {
        case .waiting(let due): row.seconds = max(0, (due.milliseconds - now.milliseconds) / 1000)
        case .inFlight(_, let since):
            row.state = "inflight"
            row.seconds = max(0, (now.milliseconds - since.milliseconds) / 1000)
        case .suspended: row.flag = "suspend"
        case .held: row.flag = "hold"
        case .awaitingNotice: row.flag = "bounce"
        }
        return row
    }

    func showEnvelope(_ id: EnvelopeID) -> [ControlAnswer] {
        guard let entry = schedule.entry(id), let row = row(entry), let head = shelf.head(id.message) else {
            return [.failed("no such envelope: \(id)")]
        }
        return [.record(row.allFields(size: head.size, request: head.request)), .done(count: 1)]
    }

    func showContent(_ id: MessageID, from offset: UInt64) async -> [ControlAnswer] {
        guard let head = shelf.head(id) else { return [.failed("no such message: \(id)")] }
        guard offset < head.size else { return [.done(count: 1)] }
        let content = await notices.content(of: head.position, from: offset, limit: Self.contentPageSize)
        guard !content.isEmpty else { return [.failed("message \(id) cannot be read")] }
        return [.bytes(content), offset + UInt64(content.count) < head.size ? .more : .done(count: 1)]
    }

    // MARK: The life of a message

    /// What is known of the messages that `text` may mean.
    func trace(_ text: String) async -> [ControlAnswer] {
        var found: Set<MessageID> = []
        if let envelope = EnvelopeID(text) { found.insert(envelope.message) }
        if let message = MessageID(text) { found.insert(message) }
        let fingerprint = MessageFingerprint(of: text)
        found.formUnion(history.messages(fingerprint, envelopeIdentifier: text))
        var examined = 0
        for id in shelf.ids {
            if shelf.matches(id, fingerprint, envelopeIdentifier: text) { found.insert(id) }
            examined += 1
            // A million messages are looked at without keeping anybody waiting.
            if examined % 10_000 == 0 { await Loop.pause(milliseconds: 1) }
        }
        var answers: [ControlAnswer] = []
        for id in found.sorted().prefix(Self.pageSize) {
            let events = history.events(of: id)
            // What came before this process has no events here, but what is kept of it tells the same.
            let isOlder = !events.contains { $0.name == History.accepted }
            if isOlder, let head = shelf.head(id) {
                answers.append(
                    .record(row(head.created, "\(id)", History.accepted, "from=<\(head.sender)> size=\(head.size)")))
            }
            answers += events.map { event in
                .record(
                    row(
                        event.time, event.envelope.number == 0 ? "\(id)" : "\(event.envelope)", event.name,
                        event.detail))
            }
            for entry in schedule.envelopes(of: id).prefix(Self.pageSize).compactMap({ schedule.entry($0) }) {
                if isOlder, let last = lastTry(entry), !events.contains(where: { $0.envelope == entry.envelope }) {
                    answers.append(.record(last))
                }
                answers.append(.record(row(SystemClock.now(), "\(entry.envelope)", "queued", standing(entry))))
            }
        }
        return answers + [.done(count: UInt64(found.count))]
    }

    private func lastTry(_ entry: QueueEntry) -> [ControlField]? {
        guard let time = entry.lastTry, let reply = shelf.recipient(entry.envelope)?.reply else { return nil }
        return row(
            time.timestamp(wall: SystemClock.now(), now: now), "\(entry.envelope)",
            reply.isPermanent ? History.failed : History.deferred, "\(reply)")
    }

    private func standing(_ entry: QueueEntry) -> String {
        let recipient = shelf.recipient(entry.envelope)
        let to = recipient.map { "to=<\($0.destination)>" } ?? ""
        let last = recipient?.reply.map { ", last: \($0)" } ?? ""
        let tries = "\(entry.attempts) failed tries"
        switch entry.state {
        case .waiting(let due):
            let left = Interval(seconds: max(0, (due.milliseconds - now.milliseconds) / 1000))
            return "\(to) waiting, next try in \(left), \(tries)\(last)"
        case .inFlight: return "\(to) being delivered, \(tries)\(last)"
        case .suspended: return "\(to) paused, \(tries)\(last)"
        case .held: return "\(to) on hold, \(tries)\(last)"
        case .awaitingNotice: return "\(to) failed, its sender is to be told\(last)"
        }
    }

    private func row(_ time: Timestamp, _ id: String, _ event: String, _ detail: String) -> [ControlField] {
        [
            ControlField(name: "time", value: .number(time.seconds)),
            ControlField(name: "id", value: .text(id)),
            ControlField(name: "event", value: .text(event)),
            ControlField(name: "detail", value: .text("\(VisibleText(detail))")),
        ]
    }
}
