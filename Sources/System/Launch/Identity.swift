// SPDX-License-Identifier: ISC

import CPosix
import Glibc
public import Posix

/// Who a process is for the kernel: one user, one group, no supplementary groups.
public struct Identity: Hashable, Sendable {
    public let uid: UInt32
    public let gid: UInt32

    public init(uid: UInt32, gid: UInt32) {
        self.uid = uid
        self.gid = gid
    }

    /// Becomes this identity for good and asks the kernel whether it is so.
    func take() throws(LaunchError) {
        guard uid != 0, gid != 0 else { throw .rootIdentity }
        try ConfinementStep.identity.check("setresuid", martlet_set_ids(uid, gid))
        guard getuid() == uid, geteuid() == uid, getgid() == gid, getegid() == gid, getgroups(0, nil) == 0 else {
            throw .rightRemains(.identity)
        }
    }
}

/// A user whom the host knows.
public struct SystemUser: Hashable, Sendable {
    public let name: String
    public let identity: Identity
    public let home: String

    public init(name: String, identity: Identity, home: String) {
        self.name = name
        self.identity = identity
        self.home = home
    }

    /// The user with this name, nil when there is none. Asks the name services and may take long: never on a loop.
    public static func named(_ name: String) throws(SystemError) -> SystemUser? {
        guard !name.isEmpty, !name.utf8.contains(0) else { return nil }
        return try find("getpwnam_r") { getpwnam_r(name, $0, $1, $2, $3) }
    }

    /// The user with this number, nil when there is none.
    public static func numbered(_ uid: UInt32) throws(SystemError) -> SystemUser? {
        try find("getpwuid_r") { getpwuid_r(uid, $0, $1, $2, $3) }
    }

    private typealias Query = (
        UnsafeMutablePointer<passwd>, UnsafeMutablePointer<CChar>, Int,
        UnsafeMutablePointer<UnsafeMutablePointer<passwd>?>
    ) -> Int32

    /// The longest entry of the user database that is read, in bytes.
    private static let longestEntry = 1 << 20

    private static func find(_ call: StaticString, _ query: Query) throws(SystemError) -> SystemUser? {
        var room = 4096
        while true {
            var code: Int32 = 0
            var user: SystemUser?
            withUnsafeTemporaryAllocation(of: CChar.self, capacity: room) { buffer in
                guard let base = buffer.baseAddress else { return }
                var entry = passwd()
                var result: UnsafeMutablePointer<passwd>?
                code = query(&entry, base, room, &result)
                if code == 0, result != nil { user = SystemUser(entry) }
            }
            switch code {
            case 0, ENOENT, ESRCH: return user
            case EINTR: continue
            case ERANGE where room < longestEntry: room *= 4
            default: throw SystemError(call, code)
            }
        }
    }

    private init?(_ entry: passwd) {
        guard let name = entry.pw_name, let home = entry.pw_dir else { return nil }
        self.init(
            name: String(cString: name), identity: Identity(uid: entry.pw_uid, gid: entry.pw_gid),
            home: String(cString: home))
    }
}
