// SPDX-License-Identifier: ISC

import CPosix
import Glibc
import Posix

/// What may be done below a path.
public struct LandlockRights: OptionSet, Hashable, Sendable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    public static let read = LandlockRights(rawValue: UInt64(MARTLET_LANDLOCK_READ))
    public static let write = LandlockRights(rawValue: UInt64(MARTLET_LANDLOCK_WRITE))
    public static let execute = LandlockRights(rawValue: UInt64(MARTLET_LANDLOCK_EXECUTE))
}

/// A file or directory that stays reachable. The descriptor is the caller's and must be open until `confine` returns.
public struct PermittedPath: Hashable, Sendable {
    public let descriptor: Int32
    public let rights: LandlockRights

    public init(descriptor: Int32, _ rights: LandlockRights) {
        self.descriptor = descriptor
        self.rights = rights
    }
}

/// Access to files and TCP ports that the kernel keeps from a process whatever its user is.
public enum Landlock {
    /// The kernel's version of it; nil where it has none, or where it is switched off.
    public static var version: Int? {
        let version = martlet_landlock_version()
        return version > 0 ? Int(version) : nil
    }

    static func restrict(to paths: [PermittedPath], allowingNetwork network: Bool) throws(SystemError) {
        let rules = paths.map { martlet_landlock_path(descriptor: $0.descriptor, rights: $0.rights.rawValue) }
        try SystemError.check("landlock", martlet_landlock_restrict(rules, rules.count, network ? 1 : 0))
    }
}
