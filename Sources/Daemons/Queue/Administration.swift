// SPDX-License-Identifier: ISC

import Bytes
import Channel
import IPC
import Mail
import Posix
import Reactor
import Schedule
import Spool

/// What an administrator asks Queue.
extension QueueProcess {
    private static let pageSize = 256
    private static let messagePageSize = 256 * 1024
    private static let largestShown = 64 << 20

    func answer(_ request: ControlRequest) async -> [ControlAnswer] {
        switch request {
        case .showStatus:
            return [
                .record([ControlField(name: "MDA", value: .text(schedule.isPaused(.local) ? "paused" : "running"))]),
                .record([ControlField(name: "MTA", value: .text(schedule.isPaused(.relay) ? "paused" : "running"))]),
                .done(count: 2),
            ]
        case .showQueue(let selector, let after):
            return page(selector, after: after)
        case .showEnvelope(let id):
            return showEnvelope(id)
        case .showMessage(let id):
            return await showMessage(id)
        case .showStatistics:
            return statistics()
        case .schedule(let selector):
            dispatcher.forgetFailures()
            return done(schedule.schedule(selector.selection, now: now))
        case .remove(let selector):
            return await whenKept(remove(selector))
        case .suspend(let selector):
            return await whenKept(done(park(schedule.suspend(selector.selection), .suspended)))
        case .unsuspend(let selector):
            return await whenKept(done(park(schedule.resume(selector.selection, now: now), .waiting)))
        case .hold(let selector):
            return await whenKept(done(park(schedule.hold(selector.selection), .held)))
        case .release(let selector):
            return await whenKept(done(park(schedule.release(selector.selection, now: now), .waiting)))
        case .pause(.mda): return setPaused(true, .local, "MDA")
        case .pause(.mta): return setPaused(true, .relay, "MTA")
        case .resume(.mda): return setPaused(false, .local, "MDA")
        case .resume(.mta): return setPaused(false, .relay, "MTA")
        case .verbose(let isVerbose):
            log.isVerbose = isVerbose
            return [.done(count: 0)]
        case .pause(.smtp), .resume(.smtp), .stop, .reload:
            return [.failed("not held by the queue")]
        }
    }

    private func done(_ count: Int) -> [ControlAnswer] {
        plan()
        return [.done(count: UInt64(count))]
    }

    // What an administrator has been told must outlive a crash. Records are kept in their order, so that the last one
    // speaks for all before it.
    private func whenKept(_ answers: [ControlAnswer]) async -> [ControlAnswer] {
        let isKept = await withUnsafeContinuation { continuation in
            spool.note([], [], durability: .now { continuation.resume(returning: (try? $0.get()) != nil) })
        }
        return isKept ? answers : [.failed("done, but the spool cannot keep it now and tries on")]
    }

    private func setPaused(_ isPaused: Bool, _ deliveryClass: DeliveryClass, _ name: String) -> [ControlAnswer] {
        guard schedule.isPaused(deliveryClass) != isPaused else {
            return [.failed("\(name) is \(isPaused ? "already" : "not") paused")]
        }
        schedule.setPaused(isPaused, deliveryClass)
        return done(0)
    }

    private func park(_ ids: [EnvelopeID], _ state: EnvelopeProgress.State) -> Int {
        for id in ids {
            guard let entry = schedule.entry(id) else { continue }
            let wall = SystemClock.now()
            record(
                id,
                EnvelopeProgress(
                    state, attempts: entry.attempts, lastTry: entry.lastTry?.timestamp(wall: wall, now: now),
                    lastWarning: entry.lastWarning, reply: messages[id.message]?.recipients[id.number]?.reply),
                durability: .lazy)
        }
        return ids.count
    }

    private func remove(_ selector: QueueSelector) -> [ControlAnswer] {
        let removal = schedule.remove(selector.selection, now: now)
        for id in removal.removed {
            guard let message = messages[id.message], let recipient = message.recipients[id.number] else { continue }
            let name = DeliveryClass(recipient.dispatch) == .local ? "delivery" : "relay"
            log.info(
                "\(name): Remove for \(id): from=<\(message.sender)>, to=<\(recipient.destination)>, rcpt=<"
                    + (recipient.recipient == recipient.destination ? "-" : "\(recipient.recipient)")
                    + ">, delay=\(SystemClock.now() - message.created), stat=Removed by administrator")
            ledger.remove(id)
            finish(id)
        }
        return done(removal.removed.count + removal.pending.count)
    }

    // MARK: Showing

    private func page(_ selector: QueueSelector, after: EnvelopeID?) -> [ControlAnswer] {
        var records: [ControlAnswer] = []
        let entries: [QueueEntry]
        switch selector {
        case .all: entries = schedule.page(after: after, limit: Self.pageSize)
        case .message(let message):
            entries = schedule.envelopes(of: message).filter { after.map { $0 } ?? EnvelopeID(0) < $0 }
                .prefix(Self.pageSize).compactMap { schedule.entry($0) }
        case .envelope(let id): entries = after == nil ? [schedule.entry(id)].compactMap { $0 } : []
        }
        for entry in entries {
            if let fields = fields(entry) { records.append(.record(fields)) }
        }
        return records + [entries.count == Self.pageSize ? .more : .done(count: UInt64(entries.count))]
    }

    private func fields(_ entry: QueueEntry) -> [ControlField]? {
        guard let message = messages[entry.envelope.message],
            let recipient = message.recipients[entry.envelope.number]
        else { return nil }
        let wall = SystemClock.now()
        var flags: [String] = []
        if message.origin.user != nil { flags.append("auth") }
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
        let family = message.origin.address.map { $0.family == .v4 ? "inet4" : "inet6" } ?? "local"
        let lastTry = entry.lastTry.map { $0.timestamp(wall: wall, now: now).seconds } ?? 0
        let expires = entry.expires.timestamp(wall: wall, now: now).seconds
        return [
            ControlField(name: "evpid", value: .text("\(entry.envelope)")),
            ControlField(name: "source", value: .text(family)),
            ControlField(name: "type", value: .text(entry.route.deliveryClass == .local ? "mda" : "mta")),
            ControlField(name: "flags", value: .text(flags.joined(separator: ","))),
            ControlField(name: "sender", value: .text(message.sender.mailbox.map { "\($0)" } ?? "@")),
            ControlField(name: "rcpt", value: .text("\(recipient.recipient)")),
            ControlField(name: "dest", value: .text("\(recipient.destination)")),
            ControlField(name: "ctime", value: .number(message.created.seconds)),
            ControlField(name: "expire", value: .number(expires)),
            ControlField(name: "lasttry", value: .number(lastTry)),
            ControlField(name: "retry", value: .number(Int64(entry.attempts))),
            ControlField(name: "state", value: .text(state)),
            ControlField(name: "seconds", value: .number(seconds)),
            ControlField(name: "error", value: .text(recipient.reply.map { "\(VisibleText("\($0)"))" } ?? "")),
        ]
    }

    private func showEnvelope(_ id: EnvelopeID) -> [ControlAnswer] {
        guard let entry = schedule.entry(id), let fields = fields(entry), let message = messages[id.message],
            let recipient = message.recipients[id.number]
        else { return [.failed("no such envelope: \(id)")] }
        let more = [
            ControlField(name: "action", value: .text(recipient.dispatch.action)),
            ControlField(name: "helo", value: .text("\(VisibleText(message.origin.greeting))")),
            ControlField(name: "hostname", value: .text("\(VisibleText(message.origin.hostName))")),
            ControlField(name: "address", value: .text(message.origin.address.map { $0.hostText } ?? "local")),
            ControlField(name: "size", value: .number(Int64(clamping: message.size))),
            ControlField(name: "tag", value: message.origin.tag.map { .text($0) } ?? .absent),
            ControlField(
                name: "envid", value: message.request.envelopeIdentifier.map { .text("\(VisibleText($0))") } ?? .absent),
        ]
        return [.record(fields + more), .done(count: 1)]
    }

    private func showMessage(_ id: MessageID) async -> [ControlAnswer] {
        guard let message = messages[id] else { return [.failed("no such message: \(id)")] }
        guard message.size <= UInt64(Self.largestShown) else { return [.failed("message \(id) is too large to show")] }
        let content = await notices.content(of: message, limit: Self.largestShown)
        var answers: [ControlAnswer] = []
        var start = 0
        while start < content.count {
            let end = min(content.count, start + Self.messagePageSize)
            answers.append(.bytes(Array(content[start..<end])))
            start = end
        }
        return answers + [.done(count: 1)]
    }

    private func statistics() -> [ControlAnswer] {
        for (name, value) in schedule.counters { counters.set(name, Int64(value)) }
        let spool = spool.statistics
        counters.set("scheduler.envelope", Int64(schedule.count))
        counters.set("scheduler.ramqueue.envelope", Int64(schedule.count))
        counters.set("scheduler.ramqueue.message", Int64(schedule.messageCount))
        counters.set("scheduler.envelope.inflight", Int64(schedule.inFlightCount))
        counters.set("queue.spool.segments", Int64(spool.segments))
        counters.set("queue.spool.live", Int64(spool.liveBytes))
        counters.set("queue.spool.batches", Int64(spool.batches))
        counters.set("queue.spool.records", Int64(spool.records))
        counters.set("queue.spool.failed-syncs", Int64(spool.failedSyncs))
        return counters.answers
    }
}

extension QueueSelector {
    fileprivate var selection: Selection {
        switch self {
        case .all: .all
        case .message(let id): .message(id)
        case .envelope(let id): .envelope(id)
        }
    }
}
