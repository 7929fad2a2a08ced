// SPDX-License-Identifier: ISC

/// How many envelopes were ever accepted, and how each kind of end was counted: from what is durable, and from nothing
/// else, so that accepted less ended is what must be in the spool.
///
/// The kind of an end is the first byte of the payload of a final outcome. The numbers stand in a note from time to
/// time, with the number of the last record that they count; recovery adds the records behind it.
public struct SpoolTally: Hashable, Sendable {
    // Kinds beyond are counted as the last.
    public static let kinds = 16

    public internal(set) var accepted: UInt64 = 0
    public internal(set) var ends = [UInt64](repeating: 0, count: kinds)
    /// Records up to this one are counted.
    var through: UInt64 = 0

    public init() {}

    public subscript(kind: UInt8) -> UInt64 { ends[min(Int(kind), Self.kinds - 1)] }
    public var ended: UInt64 { ends.reduce(0, +) }

    mutating func accept(_ envelopes: UInt32, number: UInt64) {
        accepted += UInt64(envelopes)
        through = max(through, number)
    }

    /// Adds what was counted before this life.
    mutating func add(_ earlier: SpoolTally) {
        accepted += earlier.accepted
        for kind in ends.indices { ends[kind] += earlier.ends[kind] }
        through = max(through, earlier.through)
    }

    mutating func end(_ payload: [UInt8], number: UInt64) {
        ends[min(Int(payload.first ?? 0), Self.kinds - 1)] += 1
        through = max(through, number)
    }
}

extension SpoolTally {
    /// The key of its note, which no daemon may use.
    static let key: [UInt8] = Array("spool-tally".utf8)

    // layout:1 kinds:1 through:8 accepted:8, then kinds * 8
    var bytes: [UInt8] {
        var bytes: [UInt8] = [1, UInt8(Self.kinds)]
        for value in [through, accepted] + ends {
            for offset in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(offset * 8))) }
        }
        return bytes
    }

    init?(_ bytes: [UInt8]) {
        guard bytes.count == 2 + (2 + Self.kinds) * 8, bytes[0] == 1, Int(bytes[1]) == Self.kinds else { return nil }
        let values = (0..<2 + Self.kinds).map { index -> UInt64 in
            (0..<8).reduce(0) { $0 | UInt64(bytes[2 + index * 8 + $1]) << UInt64($1 * 8) }
        }
        through = values[0]
        accepted = values[1]
        ends = Array(values[2...])
    }
}

/// What recovery adds to the last note: the records behind it, without those that a void record takes back.
struct TallyTail: Sendable {
    private struct Item {
        var number: UInt64
        /// Envelopes of a message; 0 for an end.
        var accepted: UInt32
        var kind: UInt8
    }

    private var base = SpoolTally()
    private var items: [Item] = []

    mutating func accepted(_ envelopes: UInt32, number: UInt64) {
        if number > base.through { items.append(Item(number: number, accepted: envelopes, kind: 0)) }
    }

    mutating func ended(_ payload: [UInt8], number: UInt64) {
        if number > base.through { items.append(Item(number: number, accepted: 0, kind: payload.first ?? 0)) }
    }

    mutating func noted(_ value: [UInt8]) {
        guard let tally = SpoolTally(value), tally.through >= base.through else { return }
        base = tally
        items.removeAll { $0.number <= tally.through }
    }

    func tally(voids: [ClosedRange<UInt64>]) -> SpoolTally {
        var tally = base
        for item in items where !voids.contains(where: { $0.contains(item.number) }) {
            if item.accepted > 0 {
                tally.accept(item.accepted, number: item.number)
            } else {
                tally.end([item.kind], number: item.number)
            }
        }
        return tally
    }
}
