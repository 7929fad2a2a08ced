// SPDX-License-Identifier: ISC

public import Bytes
public import Mail

/// All that a configuration says, each statement typed and checked, defaults filled in.
///
/// Made only by parsing; `printed(for:)` gives the text back, whole or the part that one daemon needs.
public struct ServerConfiguration: Hashable, Sendable {
    public enum QueueEncryption: Hashable, Sendable {
        case none
        /// The key is asked on the terminal.
        case askedKey
        /// The key is a line of standard input.
        case standardInput
        case key(String)
    }

    public enum QueueCompression: Hashable, Sendable {
        case none
        case gzip
    }

    public var pki: [PKIDefinition] = []
    public var authorities: [CADefinition] = []
    public var tables: [TableDefinition] = []
    public var processes: [ProcessDefinition] = []
    public var filters: [FilterDefinition] = []
    public var wrappers: [WrapperDefinition] = []
    /// In the order written; the submission socket is among them.
    public var listeners: [ListenStatement] = []
    public var actions: [ActionDefinition] = []
    /// In the order in which they are tried.
    public var rules: [MatchRule] = []

    public var smtp = SMTPSettings()
    public var srs = SRSSettings()
    /// Told in bounces.
    public var administrator: String?
    public var queueLifetime = Interval.days(4)
    public var queueCompression = QueueCompression.none
    public var queueEncryption = QueueEncryption.none
    /// With which nothing more is encrypted, and what was can be read.
    public var queueOldKeys: [String] = []
    /// What new mail leaves of the spool's file system.
    public var queueReserve = ByteCount.mebibytes(32)
    /// When the sender of a waiting message is warned; at most four.
    public var bounceWarnings = [Interval.hours(4)]
    public var schedulerLimits = SchedulerLimits()
    public var localLimits = LocalLimits()
    public var relayLimits = RelayLimits()
    /// By destination domain or smarthost name, in lower case; each whole, not a difference.
    public var relayLimitsByDomain: [String: RelayLimits] = [:]
    /// By sender in lower case; `*` for each that has none of its own.
    public var senderRates: [String: SenderRates] = [:]
    /// How many envelopes of one domain may wait for a route.
    public var deferredPerDomain = 100
    /// Each use of a table by a statement, so that the kind of a file's content can be checked when it is read.
    public var tableUses: [TableUse] = []

    public init() {}

    public func table(named name: String) -> TableDefinition? { tables.first { $0.name == name } }
    public func action(named name: String) -> ActionDefinition? { actions.first { $0.name == name } }

    public func relayLimits(forDomain domain: String) -> RelayLimits {
        relayLimitsByDomain[domain] ?? relayLimits
    }
}
