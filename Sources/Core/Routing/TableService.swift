// SPDX-License-Identifier: ISC

/// What a table is asked for; it decides how keys are compared and what a value means.
public enum TableService: String, CaseIterable, Hashable, Sendable {
    case alias
    case domain
    case credentials
    case authentication = "auth"
    case networkAddress = "netaddr"
    case user = "userinfo"
    case source
    case mailbox = "mailaddr"
    case nameOfAddress = "addrname"
    case senders = "mailaddrmap"
    case relayHost = "relayhost"
    case text = "string"
    case regularExpression = "regex"
}

/// A table could not be asked; the same question may be answered later.
public struct TableFailure: Error, Hashable, Sendable {
    public init() {}
}

/// The tables of the configuration, in memory or in another process: whoever asks waits, and nothing else does.
///
/// Keys are given in any case and compared in lower case; only of ``TableService/authentication`` is a key passed on as it is,
/// for it holds a password.
public protocol TableLookups {
    /// Whether the table `name` has a key that matches `key` in the way of `service`.
    func contains(_ key: String, in name: String, for service: TableService) async throws(TableFailure) -> Bool
    /// The value of the first key that matches; nil when none does.
    func value(of key: String, in name: String, for service: TableService) async throws(TableFailure) -> String?
    /// The next element of the table, round and round; nil when it has none.
    func next(in name: String, for service: TableService) async throws(TableFailure) -> String?
    /// Hears what is found on the way; who only serves mail need not listen.
    func note(_ event: ExpansionEvent)
    /// Comes back when others had their turn: what asks nobody may still be long.
    func pause() async
}

extension TableLookups {
    public func note(_ event: ExpansionEvent) {}
    public func pause() async { await Task.yield() }
}
