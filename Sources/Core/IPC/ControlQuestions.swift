// SPDX-License-Identifier: ISC

public import Mail

/// A transaction that nobody has begun, with one recipient: what would become of it?
public struct HypotheticalRecipient: Hashable, Sendable {
    /// The client; nil for a program of this host.
    public var client: IPAddress?
    public var greeting: String?
    public var user: String?
    public var tag: String?
    public var isSecure: Bool
    public var sender: ReversePath
    public var recipient: Mailbox

    public init(
        client: IPAddress?, greeting: String? = nil, user: String? = nil, tag: String? = nil, isSecure: Bool = false,
        sender: ReversePath, recipient: Mailbox
    ) {
        self.client = client
        self.greeting = greeting
        self.user = user
        self.tag = tag
        self.isSecure = isSecure
        self.sender = sender
        self.recipient = recipient
    }
}

/// The records that may be asked for through the resolver.
public enum RecordKind: UInt8, CaseIterable, Hashable, Sendable, WireValue {
    case address = 1
    case address6 = 2
    case mailExchange = 3
    case text = 4
}

extension HypotheticalRecipient: WireValue {
    public func encode(to output: inout [UInt8]) {
        client.encode(to: &output)
        greeting.encode(to: &output)
        user.encode(to: &output)
        tag.encode(to: &output)
        isSecure.encode(to: &output)
        sender.encode(to: &output)
        recipient.encode(to: &output)
    }

    public init(from reader: inout WireReader) throws(WireError) {
        self.init(
            client: try reader.value(), greeting: try reader.value(), user: try reader.value(),
            tag: try reader.value(), isSecure: try reader.value(), sender: try reader.value(),
            recipient: try reader.value())
    }
}
