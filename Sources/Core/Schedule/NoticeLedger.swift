// SPDX-License-Identifier: ISC

public import Mail

/// Which recipients need a failure, delay or success notice, and the notices on their way to the front door.
///
/// News of one kind about one message gathers for a second into one notice. A notice is gathering, due (a first or a
/// further time), or in the hands of a session that injects it. News that comes after the gathering begins another one.
public struct NoticeLedger: Sendable {
    private struct Topic: Hashable {
        let message: MessageID
        let kind: NoticeKind
    }

    private struct Entry {
        var notice: Notice
        let created: Instant
        var attempts = 0
        var isInjecting = false
        var due: Instant
    }

    private struct Turn: Comparable {
        let at: Instant
        let number: UInt64

        static func < (left: Turn, right: Turn) -> Bool {
            left.at != right.at ? left.at < right.at : left.number < right.number
        }
    }

    /// How long a notice that is deferred is tried.
    public var timeToLive: Interval

    private var entries: [UInt64: Entry] = [:]
    private var gathering: [Topic: UInt64] = [:]
    private var places: [EnvelopeID: [UInt64]] = [:]
    /// Notices of each message.
    private var messages: [MessageID: Int] = [:]
    private var turns = Heap<Turn>()
    private var injecting = 0
    private var nextNumber: UInt64 = 1

    public static let gatheringTime = Interval.seconds(1)
    /// Sessions that inject at the same time.
    public static let mostSessions = 2
    /// Recipients in one notice; more make another one.
    public static let mostItems = 1000

    public init(timeToLive: Interval = .days(4)) { self.timeToLive = timeToLive }

    /// Notices that are not settled.
    public var count: Int { entries.count }
    public var injectingCount: Int { injecting }
    /// A notice shows the message: its storage must outlive its last recipient for as long as this is true.
    public func needs(_ message: MessageID) -> Bool { messages[message] != nil }

    /// Enters news about a recipient, unless its sender is nobody or did not ask.
    public mutating func report(
        _ kind: NoticeKind, of envelope: EnvelopeID, to sender: ReversePath, request: ReportRequest, reply: Reply,
        now: Instant
    ) -> NoticeVerdict {
        switch sender {
        case .null:
            switch kind {
            case .failed: return .doubleBounce
            case .delayed, .delivered, .relayed: return .unwanted
            }
        case .mailbox:
            guard kind.isWanted(by: request) else { return .unwanted }
        }
        gather(Notice.Item(envelope: envelope, reply: reply), Topic(message: envelope.message, kind: kind), now: now)
        return .gathered
    }

    /// Notices to inject now; the sessions end with `injected`.
    public mutating func take(now: Instant) -> [Notice] {
        var taken: [Notice] = []
        while injecting < Self.mostSessions, let turn = top(), turn.at <= now {
            _ = turns.pop()
            guard let notice = entries[turn.number]?.notice else { continue }
            entries[turn.number]?.isInjecting = true
            endGathering(notice)
            injecting += 1
            taken.append(notice)
        }
        return taken
    }

    /// When `take` has something to give, if no session ends before; nil for never.
    public mutating func nextDue() -> Instant? { injecting < Self.mostSessions ? top()?.at : nil }

    /// Enters the last reply that a session got for its notice; a session that broke off counts as a 4xx reply.
    public mutating func injected(_ number: UInt64, _ reply: Reply, now: Instant) -> NoticeResult {
        guard let entry = entries[number], entry.isInjecting else { return .unknown }
        injecting -= 1
        if reply.isPositive {
            forget(number)
            return .accepted(entry.notice)
        }
        if reply.isPermanent {
            forget(number)
            return .refused(entry.notice, reply)
        }
        guard entry.created + timeToLive > now else {
            forget(number)
            return .abandoned(entry.notice, reply)
        }
        let next = RetryPolicy.notice.next(created: entry.created, after: now)
        entries[number]?.attempts += 1
        entries[number]?.isInjecting = false
        entries[number]?.due = next
        turns.push(Turn(at: next, number: number))
        return .retry(at: next)
    }

    /// Takes a removed recipient out of the notices that are not being injected.
    public mutating func remove(_ envelope: EnvelopeID) {
        for number in places[envelope] ?? [] {
            guard let entry = entries[number], !entry.isInjecting else { continue }
            entries[number]?.notice.items.removeAll { $0.envelope == envelope }
            endPlace(of: envelope, in: number)
            if entries[number]?.notice.items.isEmpty == true { forget(number) }
        }
    }

    private mutating func gather(_ item: Notice.Item, _ topic: Topic, now: Instant) {
        if let number = gathering[topic], let count = entries[number]?.notice.items.count, count < Self.mostItems {
            // The same news again changes nothing.
            guard places[item.envelope]?.contains(number) != true else { return }
            entries[number]?.notice.items.append(item)
            places[item.envelope, default: []].append(number)
            return
        }
        let number = nextNumber
        nextNumber += 1
        let due = now + Self.gatheringTime
        entries[number] = Entry(
            notice: Notice(number: number, message: topic.message, kind: topic.kind, items: [item]), created: now,
            due: due)
        messages[topic.message, default: 0] += 1
        gathering[topic] = number
        places[item.envelope, default: []].append(number)
        turns.push(Turn(at: due, number: number))
    }

    private mutating func top() -> Turn? {
        while let turn = turns.top {
            if let entry = entries[turn.number], !entry.isInjecting, entry.due == turn.at { return turn }
            _ = turns.pop()
        }
        return nil
    }

    private mutating func endGathering(_ notice: Notice) {
        let topic = Topic(message: notice.message, kind: notice.kind)
        if gathering[topic] == notice.number { gathering[topic] = nil }
    }

    private mutating func endPlace(of envelope: EnvelopeID, in number: UInt64) {
        places[envelope]?.removeAll { $0 == number }
        if places[envelope]?.isEmpty == true { places[envelope] = nil }
    }

    private mutating func forget(_ number: UInt64) {
        guard let entry = entries.removeValue(forKey: number) else { return }
        endGathering(entry.notice)
        let message = entry.notice.message
        let others = messages[message, default: 1] - 1
        messages[message] = others > 0 ? others : nil
        for item in entry.notice.items { endPlace(of: item.envelope, in: number) }
    }
}
