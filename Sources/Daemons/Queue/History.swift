// SPDX-License-Identifier: ISC

import Bytes
import IPC
import Mail
import Schedule

/// What happened to messages lately, in memory: enough to tell the life of one that has left the queue.
///
/// The oldest events go first. What is still queued is told from the queue itself, however old it is; what has ended
/// before the last start, or too many events ago, is told by the log alone.
struct History {
    struct Event {
        var time: Timestamp
        /// Number 0 for the message as a whole.
        var envelope: EnvelopeID
        var name: String
        var detail: String
        var fingerprint: MessageFingerprint?
        var envelopeIdentifier: String?
    }

    static let accepted = "accepted"
    static let deferred = "tempfail"
    static let failed = "permfail"

    // About 10 MB with the longest details.
    static let mostEvents = 32_768
    private static let longestDetail = 300

    private var events: [Event] = []
    /// Where the next one goes once the ring is full.
    private var next = 0

    var count: Int { events.count }

    // MARK: What happens

    mutating func accepted(_ id: MessageID, _ message: StoredMessage, at time: Timestamp) {
        add(
            Event(
                time: time, envelope: EnvelopeID(id, number: 0), name: History.accepted,
                detail: "from=<\(message.sender)> size=\(message.size) nrcpt=\(message.recipients.count)",
                fingerprint: message.fingerprint, envelopeIdentifier: message.request.envelopeIdentifier))
        // A thousand recipients of one message must not push out everybody else.
        for (number, recipient) in message.recipients.sorted(by: { $0.key < $1.key }).prefix(100) {
            add(
                time, EnvelopeID(id, number: number), "envelope",
                "to=<\(recipient.destination)> by \(recipient.dispatch.action)")
        }
    }

    mutating func tried(_ id: EnvelopeID, _ outcome: DeliveryOutcome, at time: Timestamp) {
        switch outcome {
        case .delivered(let reply, _): add(time, id, "ok", "\(reply)")
        case .deferred(let reply): add(time, id, History.deferred, "\(reply)")
        case .failed(let reply): add(time, id, History.failed, "\(reply)")
        }
    }

    mutating func told(_ id: EnvelopeID, _ kind: NoticeKind, _ reply: Reply, at time: Timestamp) {
        add(time, id, "notice", "\(kind.rawValue), by message \(reply.lines.first ?? "")")
    }

    mutating func changed(_ id: EnvelopeID, _ what: String, at time: Timestamp) { add(time, id, "administrator", what) }

    mutating func ended(_ id: EnvelopeID, _ end: EnvelopeEnd, at time: Timestamp) { add(time, id, end.name, "") }

    // MARK: What is asked

    /// The messages that a text may mean by events: an id, a Message-ID, an ENVID.
    func messages(_ fingerprint: MessageFingerprint, envelopeIdentifier: String) -> Set<MessageID> {
        var found: Set<MessageID> = []
        for event in events
        where event.fingerprint == fingerprint || event.envelopeIdentifier == envelopeIdentifier {
            found.insert(event.envelope.message)
        }
        return found
    }

    /// What happened to a message, in order.
    func events(of id: MessageID) -> [Event] {
        (events[next...] + events[..<next]).filter { $0.envelope.message == id }
    }

    private mutating func add(_ time: Timestamp, _ id: EnvelopeID, _ name: String, _ detail: String) {
        let text = detail.utf8.count > Self.longestDetail ? String(detail.prefix(Self.longestDetail)) : detail
        add(Event(time: time, envelope: id, name: name, detail: text))
    }

    private mutating func add(_ event: Event) {
        if events.count < Self.mostEvents {
            events.append(event)
        } else {
            events[next] = event
            next = (next + 1) % Self.mostEvents
        }
    }
}
