// SPDX-License-Identifier: ISC

/// What the loop's side of the spool knows of each message that lives. There may be a million of them: nothing is on the
/// heap for one recipient without a body file.
extension DiskSpool {
    struct Live {
        var location: RecordLocation
        var envelopeCount: UInt32
        /// Envelopes whose final outcome is durable.
        var finals: UInt32
        var outcomes = KeptOutcomes()
        private var body: BodyPlace?

        init(
            location: RecordLocation, envelopeCount: UInt32, finals: UInt32 = 0, bodyFile: UInt64, bodySize: UInt64,
            bodyForm: BodyForm
        ) {
            self.location = location
            self.envelopeCount = envelopeCount
            self.finals = finals
            body = bodyFile == 0 ? nil : BodyPlace(file: bodyFile, size: bodySize, form: bodyForm)
        }

        /// 0 for none.
        var bodyFile: UInt64 { body?.file ?? 0 }
        var bodySize: UInt64 { body?.size ?? 0 }
        var bodyForm: BodyForm { body?.form ?? .plain }
    }

    /// Few messages have one, so the others have no room for it.
    private final class BodyPlace {
        let file: UInt64
        let size: UInt64
        let form: BodyForm

        init(file: UInt64, size: UInt64, form: BodyForm) {
            self.file = file
            self.size = size
            self.form = form
        }
    }

    /// The latest record of something that is written again when it changes.
    struct Kept {
        private var place: RecordLocation
        /// Newer ones on their way; the one at `location` may not be moved behind them.
        var pending: Int32 = 0
        var isFinal: Bool
        /// On its way to the end of the journal, unchanged.
        var isMoving = false

        // No record stands in the header of a segment.
        private static let nowhere = RecordLocation(segment: 0, offset: 0, length: 0)

        init(location: RecordLocation? = nil, isFinal: Bool = false) {
            place = location ?? Self.nowhere
            self.isFinal = isFinal
        }

        var location: RecordLocation? {
            get { place == Self.nowhere ? nil : place }
            set { place = newValue ?? Self.nowhere }
        }
    }
}

/// The latest outcomes of a message, by envelope. The first that has one is kept here, which is all of most messages.
struct KeptOutcomes: Sequence {
    struct Element {
        var kept: DiskSpool.Kept
        var envelope: UInt32
    }

    private var first: Element?
    private var others: [UInt32: DiskSpool.Kept] = [:]

    subscript(envelope: UInt32) -> DiskSpool.Kept? {
        get {
            if let first, first.envelope == envelope { return first.kept }
            return others[envelope]
        }
        set {
            let isFirst = first.map { $0.envelope == envelope } ?? (others[envelope] == nil)
            if isFirst {
                first = newValue.map { Element(kept: $0, envelope: envelope) }
            } else {
                others[envelope] = newValue
            }
        }
    }

    subscript(envelope: UInt32, default value: DiskSpool.Kept) -> DiskSpool.Kept {
        get { self[envelope] ?? value }
        set { self[envelope] = newValue }
    }

    struct Iterator: IteratorProtocol {
        fileprivate var first: Element?
        fileprivate var others: [UInt32: DiskSpool.Kept].Iterator

        mutating func next() -> Element? {
            if let found = first {
                first = nil
                return found
            }
            return others.next().map { Element(kept: $0.value, envelope: $0.key) }
        }
    }

    func makeIterator() -> Iterator { Iterator(first: first, others: others.makeIterator()) }
}
