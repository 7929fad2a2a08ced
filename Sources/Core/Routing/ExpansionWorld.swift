// SPDX-License-Identifier: ISC

import Bytes
public import Configuration
public import Mail

/// What the host knows of a name.
public enum UserLookup: Hashable, Sendable {
    case found(UserRecord)
    case absent
    /// The question may be answered later.
    case failed
}

/// What became of opening a user's ~/.forward, with all that makes it trustworthy checked by who opened it.
public enum ForwardFile: Hashable, Sendable {
    case absent
    case bytes([UInt8])
    /// Owner, mode, kind or size are not as they must be.
    case insecure
    /// The home directory is sticky, or the file could not be read now.
    case temporary
}

/// What became of opening a file that an alias includes.
public enum IncludedFile: Hashable, Sendable {
    case absent
    case bytes([UInt8])
    case temporary
}

/// All that an expansion asks while it goes.
public protocol ExpansionWorld: TableLookups {
    /// The user of the system by that name.
    func user(named name: String) async -> UserLookup
    /// The file in the home of a user whom `userbase` knows.
    func forward(of user: UserRecord, in userbase: TableReference) async -> ForwardFile
    func include(_ path: String) async -> IncludedFile
    /// The address that a bounce to the SRS address `mailbox` is for; nil when it is none of ours, or too old.
    func original(ofRewritten mailbox: Mailbox) async -> Mailbox?
}

extension ExpansionWorld {
    public func original(ofRewritten mailbox: Mailbox) async -> Mailbox? { nil }
}

extension UserRecord {
    // value = uid ":" gid ":" home
    /// The user `name` as the value of a `userbase` table describes it; nil unless the home is an absolute path. The
    /// largest number means "leave as it is" to the system and is no user.
    public init?(name: String, tableValue: String) {
        let parts = tableValue.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, let uid = UInt32(parts[0]), let gid = UInt32(parts[1]), uid != .max, gid != .max,
            parts[2].begins(with: "/"), !parts[2].utf8.contains(0)
        else { return nil }
        self.init(name: name, uid: uid, gid: gid, home: String(parts[2]))
    }
}
