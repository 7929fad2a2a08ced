// SPDX-License-Identifier: ISC

/// A certificate and its key by name (`pki` lines of one name merge).
public struct PKIDefinition: Hashable, Sendable {
    public enum KeyExchange: String, CaseIterable, Hashable, Sendable {
        case none, auto, legacy
    }

    /// In lower case; `*` is the one to use when no other fits.
    public var name: String
    public var certificatePath: String?
    public var keyPath: String?
    public var keyExchange: KeyExchange?
    /// The first line of this name.
    public var location: SourceLocation
}

/// The authorities that a peer's certificate is checked against, by name.
public struct CADefinition: Hashable, Sendable {
    /// In lower case, or `*`.
    public var name: String
    public var certificatePath: String
    public var location: SourceLocation
}

/// The sender rewriting scheme: keys to sign with, and how long a rewritten address holds.
public struct SRSSettings: Hashable, Sendable {
    public static let defaultDays = 4

    public var key: String?
    /// Accepted too, never signed with.
    public var backupKey: String?
    public var days = defaultDays

    public init() {}
}
