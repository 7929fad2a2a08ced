// SPDX-License-Identifier: ISC

public import Mail

// How the words of mail stand in a frame. Text forms are parsed again by the receiver: an address is never taken on trust.

/// A value that travels as its text and is checked by its own parser on arrival.
public protocol TextWireValue: WireValue {
    var wireText: String { get }
    init?(_ text: String)
}

extension TextWireValue {
    public func encode(to output: inout [UInt8]) { wireText.encode(to: &output) }

    public init(from reader: inout WireReader) throws(WireError) {
        guard let value = Self(try reader.value(String.self)) else { throw .valueOutOfRange }
        self = value
    }
}

extension Domain: TextWireValue { public var wireText: String { text } }
extension Mailbox: TextWireValue { public var wireText: String { description } }
extension ReversePath: TextWireValue { public var wireText: String { description } }

extension MessageID: WireValue {
    public func encode(to output: inout [UInt8]) { value.encode(to: &output) }
    public init(from reader: inout WireReader) throws(WireError) { self.init(try reader.value(UInt32.self)) }
}

extension EnvelopeID: WireValue {
    public func encode(to output: inout [UInt8]) { value.encode(to: &output) }
    public init(from reader: inout WireReader) throws(WireError) { self.init(try reader.value(UInt64.self)) }
}

extension SessionID: WireValue {
    public func encode(to output: inout [UInt8]) { value.encode(to: &output) }
    public init(from reader: inout WireReader) throws(WireError) { self.init(try reader.value(UInt64.self)) }
}

extension MessageFingerprint: WireValue {
    public func encode(to output: inout [UInt8]) { value.encode(to: &output) }
    public init(from reader: inout WireReader) throws(WireError) { self.init(value: try reader.value()) }
}

extension Timestamp: WireValue {
    public func encode(to output: inout [UInt8]) { seconds.encode(to: &output) }
    public init(from reader: inout WireReader) throws(WireError) { self.init(seconds: try reader.value()) }
}

extension Interval: WireValue {
    public func encode(to output: inout [UInt8]) { seconds.encode(to: &output) }
    public init(from reader: inout WireReader) throws(WireError) { self.init(seconds: try reader.value()) }
}

extension IPAddress: WireValue {
    public func encode(to output: inout [UInt8]) {
        UInt8(bytes.count).encode(to: &output)
        output.append(contentsOf: bytes)
    }

    public init(from reader: inout WireReader) throws(WireError) {
        let count = Int(try reader.value(UInt8.self))
        guard let address = IPAddress(bytes: Array(try reader.bytes(count))) else { throw .valueOutOfRange }
        self = address
    }
}

extension EnhancedStatus: WireValue {
    public func encode(to output: inout [UInt8]) {
        statusClass.encode(to: &output)
        subject.encode(to: &output)
        detail.encode(to: &output)
    }

    public init(from reader: inout WireReader) throws(WireError) {
        self.init(try reader.value(), try reader.value(), try reader.value())
    }
}

extension Reply: WireValue {
    public func encode(to output: inout [UInt8]) {
        code.encode(to: &output)
        enhancedStatus.encode(to: &output)
        lines.encode(to: &output)
    }

    public init(from reader: inout WireReader) throws(WireError) {
        let code: UInt16 = try reader.value()
        guard (200...599).contains(code) else { throw .valueOutOfRange }
        self.init(code, try reader.value(), lines: try reader.value())
    }
}

extension Reply {
    /// With the host that said it, which everywhere else is known, or is none.
    public func encodeWithHost(to output: inout [UInt8]) {
        encode(to: &output)
        host.encode(to: &output)
    }

    public init(withHost reader: inout WireReader) throws(WireError) {
        self = try reader.value()
        host = try reader.value()
    }
}

extension DeliveryOutcome: WireValue {
    public func encode(to output: inout [UInt8]) {
        switch self {
        case .delivered(let reply, let reportsItself):
            UInt8(1).encode(to: &output)
            reply.encodeWithHost(to: &output)
            reportsItself.encode(to: &output)
        case .deferred(let reply):
            UInt8(2).encode(to: &output)
            reply.encodeWithHost(to: &output)
        case .failed(let reply):
            UInt8(3).encode(to: &output)
            reply.encodeWithHost(to: &output)
        }
    }

    public init(from reader: inout WireReader) throws(WireError) {
        switch try reader.value(UInt8.self) {
        case 1: self = .delivered(try Reply(withHost: &reader), reportsItself: try reader.value())
        case 2: self = .deferred(try Reply(withHost: &reader))
        case 3: self = .failed(try Reply(withHost: &reader))
        default: throw .valueOutOfRange
        }
    }
}

extension ReportRequest: WireValue {
    public func encode(to output: inout [UInt8]) {
        notify.rawValue.encode(to: &output)
        originalRecipient.encode(to: &output)
    }

    public init(from reader: inout WireReader) throws(WireError) {
        self.init(notify: Notify(rawValue: try reader.value()), originalRecipient: try reader.value())
    }
}

extension MessageRequest.Return: WireValue {}
extension MessageRequest.Body: WireValue {}
extension MessageRequest.Deadline.Mode: WireValue {}
extension MessageRequest.Deadline.Trace: WireValue {}

extension MessageRequest.Deadline: WireValue {
    public func encode(to output: inout [UInt8]) {
        time.encode(to: &output)
        mode.encode(to: &output)
        trace.encode(to: &output)
    }

    public init(from reader: inout WireReader) throws(WireError) {
        self.init(time: try reader.value(), mode: try reader.value(), trace: try reader.value())
    }
}

extension MessageRequest.Priority: WireValue {
    public func encode(to output: inout [UInt8]) { UInt8(bitPattern: value).encode(to: &output) }

    public init(from reader: inout WireReader) throws(WireError) {
        guard let priority = Self(Int8(bitPattern: try reader.value())) else { throw .valueOutOfRange }
        self = priority
    }
}

extension MessageRequest: WireValue {
    public func encode(to output: inout [UInt8]) {
        returned.encode(to: &output)
        envelopeIdentifier.encode(to: &output)
        body.encode(to: &output)
        isInternational.encode(to: &output)
        requiresTLS.encode(to: &output)
        notBefore.encode(to: &output)
        deadline.encode(to: &output)
        priority.encode(to: &output)
    }

    public init(from reader: inout WireReader) throws(WireError) {
        try self.init(third: &reader)
        priority = try reader.value()
    }

    /// What a request was before it could have a priority: so it stands in records of the third layout.
    public init(third reader: inout WireReader) throws(WireError) {
        try self.init(first: &reader)
        isInternational = try reader.value()
        requiresTLS = try reader.value()
        notBefore = try reader.value()
        deadline = try reader.value()
    }

    /// What a request was before it said more than RET, ENVID and BODY: so it stands in records of the first layout.
    public init(first reader: inout WireReader) throws(WireError) {
        self.init(returned: try reader.value(), envelopeIdentifier: try reader.value(), body: try reader.value())
    }
}

extension Origin: WireValue {
    public func encode(to output: inout [UInt8]) {
        serverName.encode(to: &output)
        greeting.encode(to: &output)
        hostName.encode(to: &output)
        address.encode(to: &output)
        tag.encode(to: &output)
        user.encode(to: &output)
        isInternal.encode(to: &output)
    }

    public init(from reader: inout WireReader) throws(WireError) {
        self.init(
            serverName: try reader.value(), greeting: try reader.value(), hostName: try reader.value(),
            address: try reader.value(), tag: try reader.value(), user: try reader.value(),
            isInternal: try reader.value())
    }
}

extension LocalForm: WireValue {
    public func encode(to output: inout [UInt8]) {
        switch self {
        case .action:
            UInt8(1).encode(to: &output)
        case .forward(let line):
            UInt8(2).encode(to: &output)
            line.encode(to: &output)
        case .alias(let item):
            UInt8(3).encode(to: &output)
            item.encode(to: &output)
        }
    }

    public init(from reader: inout WireReader) throws(WireError) {
        switch try reader.value(UInt8.self) {
        case 1: self = .action
        case 2: self = .forward(line: try reader.value())
        case 3: self = .alias(item: try reader.value())
        default: throw .valueOutOfRange
        }
    }
}

extension Dispatch: WireValue {
    public func encode(to output: inout [UInt8]) {
        switch self {
        case .relay(let action):
            UInt8(1).encode(to: &output)
            action.encode(to: &output)
        case .local(let action, let user, let subaddress, let form):
            UInt8(2).encode(to: &output)
            action.encode(to: &output)
            user.encode(to: &output)
            subaddress.encode(to: &output)
            form.encode(to: &output)
        }
    }

    public init(from reader: inout WireReader) throws(WireError) {
        switch try reader.value(UInt8.self) {
        case 1:
            self = .relay(action: try reader.value())
        case 2:
            self = .local(
                action: try reader.value(), user: try reader.value(), subaddress: try reader.value(),
                form: try reader.value())
        default:
            throw .valueOutOfRange
        }
    }
}

extension Envelope: WireValue {
    public func encode(to output: inout [UInt8]) {
        sender.encode(to: &output)
        recipient.encode(to: &output)
        destination.encode(to: &output)
        dispatch.encode(to: &output)
        report.encode(to: &output)
        origin.encode(to: &output)
    }

    public init(from reader: inout WireReader) throws(WireError) {
        self.init(
            sender: try reader.value(), recipient: try reader.value(), destination: try reader.value(),
            dispatch: try reader.value(), report: try reader.value(), origin: try reader.value())
    }
}
