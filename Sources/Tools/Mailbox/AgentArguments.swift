// SPDX-License-Identifier: ISC

import Configuration
import Mail

/// What Parent started this agent for.
///
///     martlet-mailbox maildir TEMPLATE USER HOME HOSTNAME DELIMITERS [junk]
///     martlet-mailbox mbox DIRECTORY USER HOME HOSTNAME DELIMITERS
///     martlet-mailbox mda COMMAND USER HOME HOSTNAME DELIMITERS RUNNING WRAPPER [SECONDS]
///     martlet-mailbox command - USER HOME HOSTNAME DELIMITERS RUNNING WRAPPER [SECONDS]
///
/// USER and HOME are those of the recipient, which the agent itself may not be.
nonisolated struct AgentArguments: Hashable, Sendable {
    enum Duty: Hashable, Sendable {
        case maildir(template: String, usesJunk: Bool)
        /// A file named for the user in this directory.
        case mbox(directory: String)
        case commands(Commands)
    }

    struct Commands: Hashable, Sendable {
        enum Source: Hashable, Sendable {
            /// The command of the action.
            case action(String)
            /// What ~/.forward and aliases say.
            case items
        }

        let source: Source
        /// Run instead, with the command in it.
        let wrapper: String?
        /// So many run at a time.
        let running: Int
        /// A command is ended after so many seconds.
        let limitSeconds: UInt32
    }

    // The reference's limit.
    static let longestCommandSeconds: UInt32 = 300
    // More would be a mistake: each has three descriptors.
    static let mostRunning = 300

    let duty: Duty
    let user: String
    let home: String
    /// A part of the names of files.
    let hostName: String
    let delimiters: SubaddressDelimiters

    init?(_ words: [String]) {
        guard words.count >= 6, words[3].hasPrefix("/"), !words[2].isEmpty, !words[4].isEmpty else { return nil }
        user = words[2]
        home = words[3]
        hostName = words[4]
        delimiters = SubaddressDelimiters(words[5])
        let rest = Array(words[6...])
        switch words[0] {
        case "maildir":
            guard rest.isEmpty || rest == ["junk"] else { return nil }
            duty = .maildir(template: words[1], usesJunk: !rest.isEmpty)
        case "mbox":
            guard rest.isEmpty, words[1].hasPrefix("/"), !user.hasPrefix("."), !user.utf8.contains(0x2F) else {
                return nil
            }
            duty = .mbox(directory: words[1])
        case "mda":
            guard let commands = Self.commands(.action(words[1]), rest) else { return nil }
            duty = .commands(commands)
        case "command":
            guard let commands = Self.commands(.items, rest) else { return nil }
            duty = .commands(commands)
        default:
            return nil
        }
    }

    private static func commands(_ source: Commands.Source, _ words: [String]) -> Commands? {
        guard (2...3).contains(words.count), let running = Int(words[0]), running > 0 else { return nil }
        let seconds = words.count == 3 ? UInt32(words[2]) : longestCommandSeconds
        guard let seconds, (1...longestCommandSeconds).contains(seconds) else { return nil }
        return Commands(
            source: source, wrapper: words[1] == "-" ? nil : words[1], running: min(running, mostRunning),
            limitSeconds: seconds)
    }
}
