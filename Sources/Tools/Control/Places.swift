// SPDX-License-Identifier: ISC

import Posix

/// Where the sockets of the server are: those of the installation, or those of a private instance.
nonisolated struct Places: Hashable, Sendable {
    /// Names the directory of an instance where no option does.
    static let variable = "MARTLET_INSTANCE"

    let runtime: String
    /// Where mail waits while nobody listens.
    let offline: String
    /// The queue of a server that is down.
    let spool: String
    /// nil where it can be anywhere.
    let configuration: String?
    var control: String { "\(runtime)/control" }
    static let submission = "submit"

    init(instance: String?) {
        guard let instance, !instance.isEmpty else {
            runtime = "/run/martlet"
            offline = "/var/spool/martlet-offline"
            spool = "/var/spool/martlet"
            configuration = "/etc/martlet/martlet.conf"
            return
        }
        var directory = instance[...]
        while directory.count > 1, directory.hasSuffix("/") { directory = directory.dropLast() }
        runtime = "\(directory)/run"
        offline = "\(directory)/offline"
        spool = "\(directory)/spool"
        configuration = nil
    }

    // O_PATH | O_DIRECTORY, the first of which Swift sees only under _GNU_SOURCE: passing through is enough.
    private static let passingThrough: Int32 = 0o10200000
    // Of sun_path, its end included.
    private static let longestSocketPath = 108

    /// Connects to the socket `name` of `directory`, however long its path is.
    static func connect(_ name: String, in directory: String) throws(SystemError) -> FileDescriptor {
        let path = "\(directory)/\(name)"
        if path.utf8.count < longestSocketPath { return try FileDescriptor.connect(to: .local(path: path)) }
        let opened = try FileDescriptor.open(directory, passingThrough)
        return try FileDescriptor.connect(to: .local(path: "/proc/self/fd/\(opened.number)/\(name)"))
    }
}
