// SPDX-License-Identifier: ISC

/// A person or role who may receive mail on this host, as the system or a `userbase` table knows it.
public struct UserRecord: Hashable, Sendable {
    public let name: String
    public let uid: UInt32
    public let gid: UInt32
    /// An absolute path.
    public let home: String

    public init(name: String, uid: UInt32, gid: UInt32, home: String) {
        self.name = name
        self.uid = uid
        self.gid = gid
        self.home = home
    }
}
