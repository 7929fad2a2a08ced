// SPDX-License-Identifier: ISC

import Channel
import IPC
import Mail
import Posix
import Schedule
import Spool

/// What an administrator does with envelopes.
extension QueueProcess {
    // Changed for one request.
    private static let mostChanged = 1024
    // Each is a question to Lookup.
    private static let mostRematched = 64
    private static let rematchMilliseconds: UInt64 = 30_000

    func change(_ verb: EnvelopeVerb, _ selector: QueueSelector, after: EnvelopeID?) async -> [ControlAnswer] {
        let slice = slice(selector, after: after, limit: Self.mostChanged)
        let meant = Selection.these(slice.envelopes.map(\.envelope))
        let count: Int
        switch verb {
        case .schedule:
            dispatcher.forgetFailures()
            count = schedule.schedule(meant, now: now)
        case .remove: count = remove(meant)
        case .suspend: count = park(schedule.suspend(meant), .suspended, "paused")
        case .unsuspend: count = park(schedule.resume(meant, now: now), .waiting, "resumed")
        case .hold: count = park(schedule.hold(meant), .held, "held")
        case .release: count = park(schedule.release(meant, now: now), .waiting, "released")
        case .rematch: count = 0
        }
        plan()
        return await answer(count, slice)
    }

    // What an administrator has been told must outlive a crash. Records are kept in their order, so that the last one
    // speaks for all before it.
    private func answer(_ count: Int, _ slice: Slice) async -> [ControlAnswer] {
        guard await isKept() else { return [.failed("done, but the spool cannot keep it now and tries on")] }
        return [
            slice.last.map { .goesOn(after: $0, count: UInt64(count)) } ?? .done(count: UInt64(count))
        ]
    }

    private func park(_ ids: [EnvelopeID], _ state: EnvelopeProgress.State, _ what: String) -> Int {
        for id in ids {
            record(id, dispatcher.progress(of: id, state), durability: .lazy)
            history.changed(id, what, at: SystemClock.now())
        }
        dispatcher.callOff(ids.filter { schedule.isCalledOff($0) })
        return ids.count
    }

    private func remove(_ selection: Selection) -> Int {
        // What an envelope is in the schedule is asked before it has gone from there.
        let removal = schedule.remove(selection, now: now)
        for id in removal.removed { removed(id) }
        // A crash before its outcome comes must not bring it back.
        for id in removal.pending { record(id, dispatcher.progress(of: id, .removing), durability: .lazy) }
        dispatcher.callOff(removal.pending)
        return removal.removed.count + removal.pending.count
    }

    // MARK: Rules of today

    /// Asks Lookup by which action envelopes go today. One that would become several recipients, or none, stays as it is:
    /// mail that is queued is neither multiplied nor refused by a changed rule. Aliases and ~/.forward are read anew, too:
    /// whose command is gone is delivered as mail of today would be.
    func rematch(_ selector: QueueSelector, after: EnvelopeID?) async -> [ControlAnswer] {
        let slice = slice(selector, after: after, limit: Self.mostRematched)
        var count = 0
        for entry in slice.envelopes {
            guard let head = shelf.head(entry.envelope.message), let recipient = shelf.recipient(entry.envelope)
            else { continue }
            guard let lookup, lookup.isOpen else { return [.failed("lookup does not answer")] }
            let envelope = Envelope(
                sender: head.sender, recipient: recipient.recipient, destination: recipient.destination,
                dispatch: recipient.dispatch, report: recipient.report, origin: head.origin)
            guard
                case .rematched(let found)? = try? await lookup.request(
                    .rematch(envelope), timeoutMilliseconds: Self.rematchMilliseconds)
            else { return [.failed("lookup does not answer")] }
            guard case .accepted(let envelopes) = found, envelopes.count == 1, let now = envelopes.first else {
                log.info("info: rematch leaves envelope \(entry.envelope) as it is: \(found.reason)")
                continue
            }
            guard reroute(entry.envelope, now.destination, now.dispatch),
                let state = schedule.entry(entry.envelope)?.state
            else { continue }
            record(entry.envelope, dispatcher.progress(of: entry.envelope, .init(state)), durability: .lazy)
            history.changed(entry.envelope, "action \(now.dispatch.action)", at: SystemClock.now())
            count += 1
        }
        plan()
        return await answer(count, slice)
    }

    // MARK: The account of everything

    /// How many recipients were ever accepted, how each ended, and how many are here: the difference must be nothing.
    func audit() async -> [ControlAnswer] {
        guard await isKept() else { return [.failed("the spool cannot keep outcomes now")] }
        let tally = spool.tally
        let queued = shelf.count
        let aside = unreadable.values.reduce(0, +)
        var fields = [ControlField(name: "accepted", value: .number(Int64(clamping: tally.accepted)))]
        for end in EnvelopeEnd.allCases {
            fields.append(ControlField(name: end.name, value: .number(Int64(clamping: tally[end.rawValue]))))
        }
        let known = EnvelopeEnd.allCases.reduce(0) { $0 + tally[$1.rawValue] }
        // Those of a queue that did not count kinds yet.
        fields.append(ControlField(name: "other", value: .number(Int64(clamping: tally.ended - known))))
        fields.append(ControlField(name: "queued", value: .number(Int64(queued))))
        fields.append(ControlField(name: "recording", value: .number(Int64(endsUnderWay))))
        fields.append(ControlField(name: "unreadable", value: .number(Int64(aside))))
        let missing =
            Int64(clamping: tally.accepted) - Int64(clamping: tally.ended) - Int64(queued) - Int64(endsUnderWay)
            - Int64(aside)
        fields.append(ControlField(name: "missing", value: .number(missing)))
        return [.record(fields), .done(count: 1)]
    }
}

extension EnvelopeProgress.State {
    init(_ state: QueueEntry.State) {
        switch state {
        case .waiting, .inFlight: self = .waiting
        case .suspended: self = .suspended
        case .held: self = .held
        case .awaitingNotice: self = .awaitingNotice
        }
    }
}

extension RematchAnswer {
    fileprivate var reason: String {
        switch self {
        case .accepted(let envelopes): "it would become \(envelopes.count) envelopes"
        case .refused(let reply): "\(reply)"
        }
    }
}
