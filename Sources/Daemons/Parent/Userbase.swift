// SPDX-License-Identifier: ISC

import IPC
import Mail

/// Users whom a table of the configuration knows instead of the system: `name  uid:gid:home`.
nonisolated struct Userbase: Hashable, Sendable {
    static let longestFile = 4 << 20

    private var users: [String: UserRecord] = [:]

    /// Entries that do not parse name nobody.
    init(_ entries: [(String, String)]) {
        for (name, value) in entries { users[name] = Userbase.record(name, value) }
    }

    /// Lines `name value` or `name: value`; `#` begins a comment line.
    init(file: [UInt8]) {
        for line in file.split(separator: 10) {
            let text = String(decoding: line, as: UTF8.self)
            let words = text.split(maxSplits: 1, whereSeparator: { $0 == " " || $0 == "\t" })
            guard words.count == 2, !text.hasPrefix("#") else { continue }
            let name = words[0].hasSuffix(":") ? words[0].dropLast() : words[0]
            let value = words[1].drop { $0 == " " || $0 == "\t" }
            users[String(name)] = Userbase.record(String(name), Userbase.trimmed(value))
        }
    }

    func user(named name: String) -> UserAnswer { users[name].map(UserAnswer.found) ?? .absent }

    private static func trimmed(_ text: Substring) -> String {
        var text = text
        while let last = text.last, last.isWhitespace { text = text.dropLast() }
        return String(text)
    }

    private static func record(_ name: String, _ value: String) -> UserRecord? {
        let parts = value.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, let uid = UInt32(parts[0]), let gid = UInt32(parts[1]), parts[2].hasPrefix("/") else {
            return nil
        }
        return UserRecord(name: name, uid: uid, gid: gid, home: String(parts[2]))
    }
}
