// SPDX-License-Identifier: ISC

import Host
import IPC
import Posix

/// The system's files that Resolver needs but cannot open, and what they said last.
final class SystemTexts {
    private static let longest = 1 << 20
    private static let paths: [(ParentToChild.SystemFile, String)] = [
        (.hosts, "/etc/hosts"), (.resolvers, "/etc/resolv.conf"),
    ]

    private var marks: [ParentToChild.SystemFile: [Int64]] = [:]
    private(set) var contents: [ParentToChild.SystemFile: [UInt8]] = [:]

    init() { _ = refresh() }

    /// The files that have changed since the last time.
    func refresh() -> [ParentToChild.SystemFile] {
        var changed: [ParentToChild.SystemFile] = []
        for (file, path) in Self.paths {
            let mark = FileFacts(at: path)?.mark ?? []
            guard marks[file] != mark else { continue }
            marks[file] = mark
            let content = ((try? FileDescriptor.content(of: path, limit: Self.longest)) ?? nil) ?? []
            guard contents[file] != content else { continue }
            contents[file] = content
            changed.append(file)
        }
        return changed
    }
}
