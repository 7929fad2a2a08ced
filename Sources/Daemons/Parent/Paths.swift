// SPDX-License-Identifier: ISC

/// Where everything is: in the places of an installation, or below the directory of a private instance.
nonisolated struct Paths: Hashable, Sendable {
    let spool: String
    /// Sockets and the number of the process.
    let runtime: String
    /// Where the programs behind tables may be, best first, beside those of the house.
    let tablePrograms: [String]
    /// Mailboxes of the mbox kind.
    let mailboxes = "/var/mail"
    /// Mail that users left while nobody listened.
    let offline: String

    var control: String { "\(runtime)/control" }
    /// The root directory of daemons that need none.
    var empty: String { "\(runtime)/empty" }

    // Where packages and ports of OpenSMTPD put theirs.
    private static let foreignPrograms = [
        "/usr/libexec/opensmtpd", "/usr/local/libexec/opensmtpd", "/usr/libexec/smtpd", "/usr/local/libexec/smtpd",
    ]

    static let pidFile = "martletd.pid"
    static let submission = "submit"
    static let parentControl = "parent"

    /// `instance` is absolute.
    init(instance: String?) {
        if let instance {
            var directory = instance[...]
            while directory.count > 1, directory.hasSuffix("/") { directory = directory.dropLast() }
            spool = "\(directory)/spool"
            runtime = "\(directory)/run"
            offline = "\(directory)/offline"
            tablePrograms = ["\(directory)/libexec"] + Self.foreignPrograms
        } else {
            spool = "/var/spool/martlet"
            runtime = "/run/martlet"
            offline = "/var/spool/martlet-offline"
            tablePrograms = Self.foreignPrograms
        }
    }

    /// Where the other programs may be, best first, for a martletd that lies at `executable`: beside it in a build
    /// directory, else in the libexec of the same prefix.
    static func programDirectories(executable: String) -> [String] {
        let parts = executable.split(separator: "/")
        let beside = "/" + parts.dropLast().joined(separator: "/")
        let prefix = "/" + parts.dropLast(2).joined(separator: "/")
        let libexec = prefix == "/" ? "/libexec/martlet" : "\(prefix)/libexec/martlet"
        return [beside, libexec, "/usr/libexec/martlet"]
    }
}
