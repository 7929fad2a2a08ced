// SPDX-License-Identifier: ISC

import Glibc

/// The user who calls, by the uid that the kernel names: no environment and no login record has a say.
nonisolated struct Caller: Hashable, Sendable {
    let login: String
    let fullName: String
    let home: String

    /// nil when the uid has no account.
    static func current() -> Caller? {
        guard let record = getpwuid(getuid())?.pointee, let name = record.pw_name, let home = record.pw_dir else {
            return nil
        }
        let login = String(cString: name)
        let comment = record.pw_gecos.map { String(cString: $0) } ?? ""
        return Caller(
            login: login, fullName: DisplayName.inComment(comment, login: login), home: String(cString: home))
    }
}
