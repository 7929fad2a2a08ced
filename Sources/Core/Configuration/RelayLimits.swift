// SPDX-License-Identifier: ISC

public import Mail

/// How hard other hosts are asked (`mta limit`): for all, or for one relay domain.
public struct RelayLimits: Hashable, Sendable, NamedLimits {
    public enum Name: String, CaseIterable, Hashable, Sendable {
        case connectionsPerHost = "max-conn-per-host"
        case connectionsPerRoute = "max-conn-per-route"
        case connectionsPerSource = "max-conn-per-source"
        case connectionsPerConnector = "max-conn-per-connector"
        case connectionsPerRelay = "max-conn-per-relay"
        case connectionsPerDomain = "max-conn-per-domain"
        case hostDelay = "conn-delay-host"
        case routeDelay = "conn-delay-route"
        case sourceDelay = "conn-delay-source"
        case connectorDelay = "conn-delay-connector"
        case relayDelay = "conn-delay-relay"
        case domainDelay = "conn-delay-domain"
        case routeReconnectionDelay = "reconn-delay-route"
        case mailsPerSession = "session-mail-max"
        case transactionDelay = "session-transaction-delay"
        case keepAlive = "session-keepalive"
        case failuresPerSession = "max-failures-per-session"
        case taskHighWater = "task-hiwat"
        case taskLowWater = "task-lowat"
        case taskRelease = "task-release"
        case mailsPerMinute = "max-mails-per-minute"
        case mailsPerHour = "max-mails-per-hour"
    }

    /// Those that the configuration sets, to their defaults perhaps.
    public private(set) var written: Set<Name> = []

    /// One address family only; both when nil.
    public var family: IPAddress.Family?
    public var connectionsPerHost = 10
    public var connectionsPerRoute = 5
    public var connectionsPerSource = 100
    public var connectionsPerConnector = 20
    public var connectionsPerRelay = 100
    public var connectionsPerDomain = 100
    public var hostDelay = Interval.seconds(0)
    public var routeDelay = Interval.seconds(5)
    public var sourceDelay = Interval.seconds(0)
    public var connectorDelay = Interval.seconds(0)
    public var relayDelay = Interval.seconds(2)
    public var domainDelay = Interval.seconds(0)
    public var routeReconnectionDelay = Interval.seconds(3)
    public var mailsPerSession = 100
    public var transactionDelay = Interval.seconds(0)
    public var keepAlive = Interval.seconds(10)
    public var failuresPerSession = 25
    public var taskHighWater = 50
    public var taskLowWater = 30
    public var taskRelease = 10
    /// No limit when zero, as is that for an hour.
    public var mailsPerMinute = 0
    public var mailsPerHour = 0

    public init() {}

    /// The limit of that name; delays in seconds.
    public subscript(name: Name) -> Int {
        get {
            switch name {
            case .connectionsPerHost: connectionsPerHost
            case .connectionsPerRoute: connectionsPerRoute
            case .connectionsPerSource: connectionsPerSource
            case .connectionsPerConnector: connectionsPerConnector
            case .connectionsPerRelay: connectionsPerRelay
            case .connectionsPerDomain: connectionsPerDomain
            case .hostDelay: Int(hostDelay.seconds)
            case .routeDelay: Int(routeDelay.seconds)
            case .sourceDelay: Int(sourceDelay.seconds)
            case .connectorDelay: Int(connectorDelay.seconds)
            case .relayDelay: Int(relayDelay.seconds)
            case .domainDelay: Int(domainDelay.seconds)
            case .routeReconnectionDelay: Int(routeReconnectionDelay.seconds)
            case .mailsPerSession: mailsPerSession
            case .transactionDelay: Int(transactionDelay.seconds)
            case .keepAlive: Int(keepAlive.seconds)
            case .failuresPerSession: failuresPerSession
            case .taskHighWater: taskHighWater
            case .taskLowWater: taskLowWater
            case .taskRelease: taskRelease
            case .mailsPerMinute: mailsPerMinute
            case .mailsPerHour: mailsPerHour
            }
        }
        set {
            written.insert(name)
            let delay = Interval.seconds(Int64(newValue))
            switch name {
            case .connectionsPerHost: connectionsPerHost = newValue
            case .connectionsPerRoute: connectionsPerRoute = newValue
            case .connectionsPerSource: connectionsPerSource = newValue
            case .connectionsPerConnector: connectionsPerConnector = newValue
            case .connectionsPerRelay: connectionsPerRelay = newValue
            case .connectionsPerDomain: connectionsPerDomain = newValue
            case .hostDelay: hostDelay = delay
            case .routeDelay: routeDelay = delay
            case .sourceDelay: sourceDelay = delay
            case .connectorDelay: connectorDelay = delay
            case .relayDelay: relayDelay = delay
            case .domainDelay: domainDelay = delay
            case .routeReconnectionDelay: routeReconnectionDelay = delay
            case .mailsPerSession: mailsPerSession = newValue
            case .transactionDelay: transactionDelay = delay
            case .keepAlive: keepAlive = delay
            case .failuresPerSession: failuresPerSession = newValue
            case .taskHighWater: taskHighWater = newValue
            case .taskLowWater: taskLowWater = newValue
            case .taskRelease: taskRelease = newValue
            case .mailsPerMinute: mailsPerMinute = newValue
            case .mailsPerHour: mailsPerHour = newValue
            }
        }
    }

    func isSaid(_ name: Name) -> Bool { written.contains(name) || self[name] != Self()[name] }
}

/// How many messages of one sender may go out in a time (`mta limit for sender`).
public struct SenderRates: Hashable, Sendable, NamedLimits {
    public enum Name: String, CaseIterable, Hashable, Sendable {
        case mailsPerMinute = "max-mails-per-minute"
        case mailsPerHour = "max-mails-per-hour"
    }

    /// No limit when zero, as is that for an hour.
    public var mailsPerMinute = 0
    public var mailsPerHour = 0

    public init() {}

    public subscript(name: Name) -> Int {
        get {
            switch name {
            case .mailsPerMinute: mailsPerMinute
            case .mailsPerHour: mailsPerHour
            }
        }
        set {
            switch name {
            case .mailsPerMinute: mailsPerMinute = newValue
            case .mailsPerHour: mailsPerHour = newValue
            }
        }
    }
}
