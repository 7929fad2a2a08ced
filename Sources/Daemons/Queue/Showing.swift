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
            if let fields = fields(entry) { answers.append(.record(fields)) }
        }
        let count = UInt64(answers.count)
        return answers + [slice.last.map { .goesOn(after: $0, count: count) } ?? .done(count: count)]
    }

    func fields(_ entry: QueueEntry) -> [ControlField]? {
        guard let head = shelf.head(entry.envelope.message), let recipient = shelf.recipient(entry.envelope) else {
            return nil
        }
        let wall = SystemClock.now()
        var flags: [String] = []
        if head.origin.user != nil { flags.append("auth") }
        if recipient.isInternal { flags.append("internal") }
        var state = "pending"
        var seconds: Int64 = 0
        switch entry.state {
        case .waiting(let due): seconds = max(0, (due.milliseconds - now.milliseconds) / 1000)
        case .inFlight(_, let since):
            state = "inflight"
            seconds = max(0, (now.milliseconds - since.milliseconds) / 1000)
        case .suspended: flags.append("suspend")
        case .held: flags.append("hold")
        case .awaitingNotice: flags.append("bounce")
        }
        let family = head.origin.address.map { $0.family == .v4 ? "inet4" : "inet6" } ?? "local"
        let lastTry = entry.lastTry.map { $0.timestamp(wall: wall, now: now).seconds } ?? 0
        let expires = entry.expires.timestamp(wall: wall, now: now).seconds
        return [
            ControlField(name: "evpid", value: .text("\(entry.envelope)")),
            ControlField(name: "source", value: .text(family)),
            ControlField(name: "type", value: .text(entry.route.deliveryClass == .local ? "mda" : "mta")),
            ControlField(name: "flags", value: .text(flags.joined(separator: ","))),
            ControlField(name: "sender", value: .text(head.sender.mailbox.map { "\($0)" } ?? "@")),
            ControlField(name: "rcpt", value: .text("\(recipient.recipient)")),
            ControlField(name: "dest", value: .text("\(recipient.destination)")),
            ControlField(name: "ctime", value: .number(head.created.seconds)),
            ControlField(name: "expire", value: .number(expires)),
            ControlField(name: "lasttry", value: .number(lastTry)),
            ControlField(name: "retry", value: .number(Int64(entry.attempts))),
            ControlField(name: "state", value: .text(state)),
            ControlField(name: "seconds", value: .number(seconds)),
            ControlField(name: "error", value: .text(recipient.reply.map { "\(VisibleText("\($0)"))" } ?? "")),
        ]
    }

    func showEnvelope(_ id: EnvelopeID) -> [ControlAnswer] {
        guard let entry = schedule.entry(id), let fields = fields(entry), let head = shelf.head(id.message),
            let recipient = shelf.recipient(id)
        else { return [.failed("no such envelope: \(id)")] }
        let more = [
            ControlField(name: "action", value: .text(recipient.dispatch.action)),
            ControlField(name: "helo", value: .text("\(VisibleText(head.origin.greeting))")),
            ControlField(name: "hostname", value: .text("\(VisibleText(head.origin.hostName))")),
            ControlField(name: "address", value: .text(head.origin.address.map { $0.hostText } ?? "local")),
            ControlField(name: "size", value: .number(Int64(clamping: head.size))),
            ControlField(name: "tag", value: head.origin.tag.map { .text($0) } ?? .absent),
            ControlField(
                name: "envid", value: head.request.envelopeIdentifier.map { .text("\(VisibleText($0))") } ?? .absent),
            ControlField(
                name: "orcpt",
                value: recipient.report.originalRecipient.map { .text("\(VisibleText($0))") } ?? .absent),
        ]
        return [.record(fields + more), .done(count: 1)]
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
            answers += events.map { event in
                .record(
                    row(
                        event.time, event.envelope.number == 0 ? "\(id)" : "\(event.envelope)", event.name,
                        event.detail))
            }
            for entry in schedule.envelopes(of: id).prefix(Self.pageSize).compactMap({ schedule.entry($0) }) {
                answers.append(.record(row(SystemClock.now(), "\(entry.envelope)", "queued", standing(entry))))
            }
        }
        return answers + [.done(count: UInt64(found.count))]
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
