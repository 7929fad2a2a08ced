// SPDX-License-Identifier: ISC

import Bytes
public import Mail

/// So many messages in a time, evenly spread: each message is given its moment when it is first asked for.
public struct MessageRate: Hashable, Sendable {
    public var messages: Int
    public var interval: Interval

    /// `messages` is at least one.
    public init(_ messages: Int, per interval: Interval) {
        self.messages = max(1, messages)
        self.interval = interval
    }

    fileprivate var spacing: Int64 { max(1, interval.seconds &* 1000 / Int64(messages)) }
}

/// The rates of the configuration and how far each has been used.
public struct MessagePace: Hashable, Sendable {
    /// By destination domain in lower case; the empty name is for all that have none of their own.
    public var domains: [String: [MessageRate]] = [:]
    /// By sender in lower case; the empty name is for all that have none of their own, each by itself.
    private(set) var senders: [SenderKey: [MessageRate]] = [:]

    /// A sender in four bytes, so that each recipient that waits can have one. Who finds an address with the key of
    /// another can only make himself wait.
    struct SenderKey: Hashable, Sendable {
        let value: UInt32

        static let none = SenderKey(value: 0)
        static let others = SenderKey(value: 1)

        init(value: UInt32) { self.value = value }

        // FNV-1a
        init(_ address: String) {
            var hash: UInt32 = 2_166_136_261
            for byte in address.utf8 { hash = (hash ^ UInt32(byte.lowercased)) &* 16_777_619 }
            value = hash < 2 ? hash + 2 : hash
        }
    }

    private enum Key: Hashable {
        case domain(String, MessageRate)
        case sender(SenderKey, MessageRate)
    }

    // Those that lie in the past are worth nothing.
    private static let most = 50_000
    // The moment of the next message.
    private var next: [Key: Int64] = [:]

    public init() {}

    public var isUnlimited: Bool { domains.isEmpty && senders.isEmpty }

    /// The rates of `sender`; the empty name is for all that have none of their own, each by itself.
    public mutating func limit(sender: String, to rates: [MessageRate]) {
        senders[sender.isEmpty ? .others : SenderKey(sender)] = rates
    }

    mutating func apply(_ other: MessagePace) {
        domains = other.domains
        senders = other.senders
    }

    /// When this message may go, by all rates that concern it; it is counted with this call.
    mutating func moment(sender: SenderKey, domain: String, now: Instant) -> Instant {
        if next.count >= Self.most { next = next.filter { $0.value > now.milliseconds } }
        var moment = now.milliseconds
        var used: [(Key, Int64)] = []
        for rate in domains[domain] ?? domains[""] ?? [] { used.append((.domain(domain, rate), rate.spacing)) }
        // Notices have no sender, and nobody is to wait for them.
        if sender != .none {
            for rate in senders[sender] ?? senders[.others] ?? [] { used.append((.sender(sender, rate), rate.spacing)) }
        }
        for (key, _) in used { moment = max(moment, next[key] ?? moment) }
        for (key, spacing) in used { next[key] = moment + spacing }
        return Instant(milliseconds: moment)
    }
}
