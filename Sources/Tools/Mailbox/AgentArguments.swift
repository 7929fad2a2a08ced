// SPDX-License-Identifier: ISC

import Mail

/// What Parent started this agent for.
///
///     martlet-mailbox maildir TEMPLATE USER HOME HOSTNAME [junk]
///     martlet-mailbox mbox DIRECTORY USER HOME HOSTNAME
///     martlet-mailbox command - USER HOME HOSTNAME [SECONDS]
nonisolated struct AgentArguments: Hashable, Sendable {
    enum Duty: Hashable, Sendable {
        case maildir(template: String, usesJunk: Bool)
        /// A file named for the user in this directory.
        case mbox(directory: String)
        /// What ~/.forward and aliases say; a command is ended after so many seconds.
        case commands(limitSeconds: UInt32)
    }

    // The reference's limit.
    static let longestCommandSeconds: UInt32 = 300

    let duty: Duty
    let user: String
    let home: String
    /// A part of the names of files.
    let hostName: String

    init?(_ words: [String]) {
        guard words.count >= 5, words[3].hasPrefix("/"), !words[2].isEmpty, !words[4].isEmpty else { return nil }
        user = words[2]
        home = words[3]
        hostName = words[4]
        let rest = Array(words[5...])
        switch words[0] {
        case "maildir":
            guard rest.isEmpty || rest == ["junk"] else { return nil }
            duty = .maildir(template: words[1], usesJunk: !rest.isEmpty)
        case "mbox":
            guard rest.isEmpty, words[1].hasPrefix("/"), !user.hasPrefix("."), !user.utf8.contains(0x2F) else {
                return nil
            }
            duty = .mbox(directory: words[1])
        case "command":
            guard rest.count <= 1 else { return nil }
            let seconds = rest.first.map { UInt32($0) } ?? Self.longestCommandSeconds
            guard let seconds, (1...Self.longestCommandSeconds).contains(seconds) else { return nil }
            duty = .commands(limitSeconds: seconds)
        default:
            return nil
        }
    }
}
