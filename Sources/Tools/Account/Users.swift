// SPDX-License-Identifier: ISC

import Host
import IPC
import Launch
import Mail

/// The users of the system, by name.
nonisolated enum Users {
    static let longestName = 32
    static let forwardFile = ".forward"
    /// Of a ~/.forward; a longer one is refused.
    static let longestForward = 4096
    /// Of an included file; a longer one is refused.
    static let longestInclude = 1 << 20

    /// Letters, digits, dot, underscore and hyphen, not beginning with a hyphen: what is asked of the system no more.
    static func isName(_ name: String) -> Bool {
        (1...longestName).contains(name.utf8.count) && !name.hasPrefix("-")
            && name.utf8.allSatisfy {
                (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
                    || $0 == 0x2E || $0 == 0x5F || $0 == 0x2D
            }
    }

    static func user(named name: String) -> UserAnswer {
        guard isName(name) else { return .absent }
        do {
            // Name services may find a user by another spelling or by number; that is not the one who was asked for.
            guard let user = try SystemUser.named(name), user.name == name else { return .absent }
            return .found(
                UserRecord(name: user.name, uid: user.identity.uid, gid: user.identity.gid, home: user.home))
        } catch {
            return .temporaryFailure
        }
    }

    static func forward(of name: String) -> ForwardAnswer {
        switch user(named: name) {
        case .absent: return .absent
        case .temporaryFailure: return .temporaryFailure("the user database does not answer")
        case .found(let user): return forward(of: user)
        }
    }

    static func forward(of user: UserRecord) -> ForwardAnswer {
        // Not root, and for another user: what cannot be seen is not there.
        if !ThisProcess.isRoot, user.uid != ThisProcess.uid { return .absent }
        switch UserFile.read(forwardFile, home: user.home, uid: user.uid, gid: user.gid, limit: longestForward) {
        case .content(let bytes): return .content(bytes)
        case .absent: return .absent
        case .insecure(let reason): return .insecure(reason)
        case .temporaryFailure(let reason): return .temporaryFailure(reason)
        }
    }

    /// What may be included is what the user of foreign programs may read.
    static func include(_ path: String) -> IncludeAnswer {
        var owner = (uid: ThisProcess.uid, gid: ThisProcess.gid)
        if ThisProcess.isRoot {
            switch foreignUser() {
            case .absent: return .temporaryFailure("no user \(ForeignUser.name)")
            case .temporaryFailure: return .temporaryFailure("the user database does not answer")
            case .found(let user): owner = (user.uid, user.gid)
            }
        }
        switch UserFile.readList(path, uid: owner.uid, gid: owner.gid, limit: longestInclude) {
        case .content(let bytes): return .content(bytes)
        case .absent: return .absent
        case .insecure(let reason), .temporaryFailure(let reason): return .temporaryFailure(reason)
        }
    }

    private static func foreignUser() -> UserAnswer {
        for name in ForeignUser.candidates {
            let answer = user(named: name)
            if answer != .absent { return answer }
        }
        return .absent
    }
}
