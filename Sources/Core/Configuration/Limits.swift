// SPDX-License-Identifier: ISC

public import Bytes

/// A limit by the name that the configuration gives it.
protocol NamedLimits: Hashable {
    associatedtype Name: RawRepresentable<String>, CaseIterable, Hashable

    init()
    subscript(name: Name) -> Int { get set }
    /// Whether it must be written, so that the text means the same.
    func isSaid(_ name: Name) -> Bool
}

extension NamedLimits {
    func isSaid(_ name: Name) -> Bool { self[name] != Self()[name] }
}

/// What one SMTP client may do.
public struct SMTPSettings: Hashable, Sendable, NamedLimits {
    public enum Name: String, CaseIterable, Hashable, Sendable {
        case mailsPerSession = "max-mails"
        case recipientsPerMail = "max-rcpt"
        case sessions = "max-session"
        case sessionsPerSource = "max-session-per-source"
        case sessionsPerNetwork = "max-session-per-network"
        case connectionsPerMinute = "max-connect-rate"
        case mailsPerMinute = "max-mail-rate"
        case recipientsPerMinute = "max-rcpt-rate"
        case failuresPerSession = "max-errors"
        case idleCommandsPerSession = "max-idle-commands"
        case secondsPerSession = "max-session-time"
        case bytesPerSecond = "min-data-rate"
        case secondsBeforeRate = "min-data-rate-after"
    }

    public var mailsPerSession = 100
    public var recipientsPerMail = 1000
    // Of those that follow, zero is no limit. A source is an IPv4 address or an IPv6 /64, a network a /24 or a /48.
    public var sessions = 0
    public var sessionsPerSource = 50
    public var sessionsPerNetwork = 200
    public var connectionsPerMinute = 1200
    public var mailsPerMinute = 6000
    public var recipientsPerMinute = 60_000
    /// Commands that may fail.
    public var failuresPerSession = 100
    /// Commands in a row that bring no message further.
    public var idleCommandsPerSession = 200
    public var secondsPerSession = 28_800
    /// Of content.
    public var bytesPerSecond = 50
    /// In which content is waited for before that holds: a slow start is no attack.
    public var secondsBeforeRate = 60
    public var largestMessage = ByteCount.mebibytes(35)
    public var ciphers: String?
    /// What stands between a user and a tag that the user may choose.
    public var delimiters = SubaddressDelimiters.plus

    public init() {}

    public subscript(name: Name) -> Int {
        get {
            switch name {
            case .mailsPerSession: mailsPerSession
            case .recipientsPerMail: recipientsPerMail
            case .sessions: sessions
            case .sessionsPerSource: sessionsPerSource
            case .sessionsPerNetwork: sessionsPerNetwork
            case .connectionsPerMinute: connectionsPerMinute
            case .mailsPerMinute: mailsPerMinute
            case .recipientsPerMinute: recipientsPerMinute
            case .failuresPerSession: failuresPerSession
            case .idleCommandsPerSession: idleCommandsPerSession
            case .secondsPerSession: secondsPerSession
            case .bytesPerSecond: bytesPerSecond
            case .secondsBeforeRate: secondsBeforeRate
            }
        }
        set {
            switch name {
            case .mailsPerSession: mailsPerSession = newValue
            case .recipientsPerMail: recipientsPerMail = newValue
            case .sessions: sessions = newValue
            case .sessionsPerSource: sessionsPerSource = newValue
            case .sessionsPerNetwork: sessionsPerNetwork = newValue
            case .connectionsPerMinute: connectionsPerMinute = newValue
            case .mailsPerMinute: mailsPerMinute = newValue
            case .recipientsPerMinute: recipientsPerMinute = newValue
            case .failuresPerSession: failuresPerSession = newValue
            case .idleCommandsPerSession: idleCommandsPerSession = newValue
            case .secondsPerSession: secondsPerSession = newValue
            case .bytesPerSecond: bytesPerSecond = newValue
            case .secondsBeforeRate: secondsBeforeRate = newValue
            }
        }
    }
}

/// How much the scheduler hands out.
public struct SchedulerLimits: Hashable, Sendable, NamedLimits {
    public enum Name: String, CaseIterable, Hashable, Sendable {
        case inFlight = "max-inflight"
        case schedule = "max-schedule"
        case envelopeBatch = "max-evp-batch-size"
        case messageBatch = "max-msg-batch-size"
    }

    public var inFlight = 5000
    public var schedule = 10
    public var envelopeBatch = 256
    public var messageBatch = 1024

    public init() {}

    public subscript(name: Name) -> Int {
        get {
            switch name {
            case .inFlight: inFlight
            case .schedule: schedule
            case .envelopeBatch: envelopeBatch
            case .messageBatch: messageBatch
            }
        }
        set {
            switch name {
            case .inFlight: inFlight = newValue
            case .schedule: schedule = newValue
            case .envelopeBatch: envelopeBatch = newValue
            case .messageBatch: messageBatch = newValue
            }
        }
    }
}

/// How many local deliveries run, and how many tasks wait for them (`mda limit`).
public struct LocalLimits: Hashable, Sendable, NamedLimits {
    public enum Name: String, CaseIterable, Hashable, Sendable {
        case sessions = "max-session"
        case sessionsPerUser = "max-session-per-user"
        case taskHighWater = "task-hiwat"
        case taskLowWater = "task-lowat"
        case taskRelease = "task-release"
    }

    public var sessions = 50
    public var sessionsPerUser = 7
    public var taskHighWater = 50
    public var taskLowWater = 30
    public var taskRelease = 10

    public init() {}

    public subscript(name: Name) -> Int {
        get {
            switch name {
            case .sessions: sessions
            case .sessionsPerUser: sessionsPerUser
            case .taskHighWater: taskHighWater
            case .taskLowWater: taskLowWater
            case .taskRelease: taskRelease
            }
        }
        set {
            switch name {
            case .sessions: sessions = newValue
            case .sessionsPerUser: sessionsPerUser = newValue
            case .taskHighWater: taskHighWater = newValue
            case .taskLowWater: taskLowWater = newValue
            case .taskRelease: taskRelease = newValue
            }
        }
    }
}
