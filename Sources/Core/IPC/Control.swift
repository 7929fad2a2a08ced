// SPDX-License-Identifier: ISC

public import Mail

/// A service that an administrator may pause.
public enum PausableService: UInt8, CaseIterable, Hashable, Sendable, WireValue {
    case mda = 1
    case mta = 2
    case smtp = 3
}

/// What of outgoing mail is shown.
public enum DeliveryView: UInt8, CaseIterable, Hashable, Sendable, WireValue {
    case hosts = 1
    case routes = 2
    case relays = 3
    case hostStatistics = 4
    /// Of Queue too: what waits.
    case destinations = 5
}

/// martletctl - any daemon; one that does not hold the answer says `failed`.
public enum ControlRequest: Hashable, Sendable {
    case showStatus
    case showStatistics
    case showDelivery(DeliveryView)
    /// What only Queue knows and does.
    case queue(QueueRequest)
    /// Fails when it is already so.
    case pause(PausableService)
    case resume(PausableService)
    case verbose(Bool)
    case stop
    case reload
    /// Have a table read again; fails when its old content stays.
    case updateTable(String)
    /// Answered by Lookup with a record for each step.
    case explain(HypotheticalRecipient)
    /// Answered by Queue: how long, and when, it tries what has this action.
    case showPlan(action: String, isRelay: Bool)
    /// Answered by Resolver with a record for each one in the DNS.
    case lookUp(String, RecordKind)
}

/// A daemon - martletctl: any number of records or bytes, then `done`, `more` or `failed`.
public enum ControlAnswer: Hashable, Sendable {
    /// One row of a `show`.
    case record([ControlField])
    case bytes([UInt8])
    /// There is more than this: ask again behind what came.
    case more
    /// So many envelopes were changed, and not all were looked at: ask again behind this one.
    case goesOn(after: EnvelopeID, count: UInt64)
    case done(count: UInt64)
    /// One sentence.
    case failed(String)
}

/// A named value of a record, in the order in which it is shown.
public struct ControlField: Hashable, Sendable {
    public var name: String
    public var value: ControlValue

    public init(name: String, value: ControlValue) {
        self.name = name
        self.value = value
    }
}

public enum ControlValue: Hashable, Sendable {
    case text(String)
    case number(Int64)
    case absent
}

extension ControlField: WireValue {
    public func encode(to output: inout [UInt8]) {
        name.encode(to: &output)
        value.encode(to: &output)
    }

    public init(from reader: inout WireReader) throws(WireError) {
        self.init(name: try reader.value(), value: try reader.value())
    }
}

extension ControlValue: WireValue {
    public func encode(to output: inout [UInt8]) {
        switch self {
        case .text(let value):
            UInt8(1).encode(to: &output)
            value.encode(to: &output)
        case .number(let value):
            UInt8(2).encode(to: &output)
            value.encode(to: &output)
        case .absent: UInt8(3).encode(to: &output)
        }
    }

    public init(from reader: inout WireReader) throws(WireError) {
        switch try reader.value(UInt8.self) {
        case 1: self = .text(try reader.value())
        case 2: self = .number(try reader.value())
        case 3: self = .absent
        default: throw .valueOutOfRange
        }
    }
}

extension ControlRequest: EdgeMessage {
    private enum Tag: UInt8 {
        case showStatus = 1
        case showStatistics = 5
        case pause = 12
        case resume = 13
        case verbose = 14
        case stop = 15
        case reload = 16
        case queue = 17
        case updateTable = 18
        case explain = 19
        case showPlan = 20
        case lookUp = 21
        case showDelivery = 40
    }

    public var tag: UInt8 {
        switch self {
        case .showStatus: Tag.showStatus.rawValue
        case .showStatistics: Tag.showStatistics.rawValue
        case .showDelivery: Tag.showDelivery.rawValue
        case .queue: Tag.queue.rawValue
        case .pause: Tag.pause.rawValue
        case .resume: Tag.resume.rawValue
        case .verbose: Tag.verbose.rawValue
        case .stop: Tag.stop.rawValue
        case .reload: Tag.reload.rawValue
        case .updateTable: Tag.updateTable.rawValue
        case .explain: Tag.explain.rawValue
        case .showPlan: Tag.showPlan.rawValue
        case .lookUp: Tag.lookUp.rawValue
        }
    }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .showStatus: break
        case .showStatistics: break
        case .showDelivery(let value):
            value.encode(to: &output)
        case .queue(let value):
            value.encode(to: &output)
        case .pause(let value):
            value.encode(to: &output)
        case .resume(let value):
            value.encode(to: &output)
        case .verbose(let value):
            value.encode(to: &output)
        case .stop: break
        case .reload: break
        case .updateTable(let name):
            name.encode(to: &output)
        case .explain(let value): value.encode(to: &output)
        case .showPlan(let action, let isRelay):
            action.encode(to: &output)
            isRelay.encode(to: &output)
        case .lookUp(let name, let kind):
            name.encode(to: &output)
            kind.encode(to: &output)
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .showStatus: self = .showStatus
        case .showStatistics: self = .showStatistics
        case .showDelivery: self = .showDelivery(try reader.value())
        case .queue: self = .queue(try reader.value())
        case .pause: self = .pause(try reader.value())
        case .resume: self = .resume(try reader.value())
        case .verbose: self = .verbose(try reader.value())
        case .stop: self = .stop
        case .reload: self = .reload
        case .updateTable: self = .updateTable(try reader.value())
        case .explain: self = .explain(try reader.value())
        case .showPlan: self = .showPlan(action: try reader.value(), isRelay: try reader.value())
        case .lookUp: self = .lookUp(try reader.value(), try reader.value())
        }
    }
}

extension ControlAnswer: EdgeMessage {
    private enum Tag: UInt8 {
        case record = 1
        case bytes = 2
        case more = 3
        case done = 4
        case failed = 5
        case goesOn = 6
    }

    public var tag: UInt8 {
        switch self {
        case .record: Tag.record.rawValue
        case .bytes: Tag.bytes.rawValue
        case .more: Tag.more.rawValue
        case .done: Tag.done.rawValue
        case .failed: Tag.failed.rawValue
        case .goesOn: Tag.goesOn.rawValue
        }
    }

    public func writePayload(to output: inout [UInt8]) {
        switch self {
        case .record(let value):
            value.encode(to: &output)
        case .bytes(let value):
            value.encode(to: &output)
        case .more: break
        case .done(let count):
            count.encode(to: &output)
        case .failed(let value):
            value.encode(to: &output)
        case .goesOn(let after, let count):
            after.encode(to: &output)
            count.encode(to: &output)
        }
    }

    public init(tag: UInt8, from reader: inout WireReader) throws(WireError) {
        guard let kind = Tag(rawValue: tag) else { throw .unknownTag(tag) }
        switch kind {
        case .record: self = .record(try reader.value())
        case .bytes: self = .bytes(try reader.value())
        case .more: self = .more
        case .done: self = .done(count: try reader.value())
        case .failed: self = .failed(try reader.value())
        case .goesOn: self = .goesOn(after: try reader.value(), count: try reader.value())
        }
    }
}
