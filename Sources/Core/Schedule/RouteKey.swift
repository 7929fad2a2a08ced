// SPDX-License-Identifier: ISC

public import Mail

/// The two kinds of delivery, each with workers, limits and a pause of its own.
public enum DeliveryClass: UInt8, Hashable, Sendable, CaseIterable {
    /// To another host; the reference's `mta`.
    case relay = 0
    /// To a user of this host; the reference's `mda`.
    case local = 1

    public init(_ dispatch: Dispatch) {
        switch dispatch {
        case .relay: self = .relay
        case .local: self = .local
        }
    }

    public var retryPolicy: RetryPolicy {
        switch self {
        case .relay: .relay
        case .local: .local
        }
    }

    var index: Int { Int(rawValue) }
}

/// What recipients share that go the same way: they wait in one line, and the lines take turns.
public enum RouteKey: Hashable, Sendable {
    /// `domain` in lower case.
    case relay(action: String, domain: String)
    case local(action: String, user: String)

    public init(_ dispatch: Dispatch, to destination: Mailbox) {
        switch dispatch {
        case .relay(let action):
            self = .relay(action: action, domain: destination.domain.canonical)
        case .local(let action, let user, _, _):
            self = .local(action: action, user: user)
        }
    }

    public var deliveryClass: DeliveryClass {
        switch self {
        case .relay: .relay
        case .local: .local
        }
    }
}

/// One life of one delivery process; a replacement has another number.
public struct WorkerID: Hashable, Sendable {
    public let value: UInt32

    public init(_ value: UInt32) { self.value = value }
}
