// SPDX-License-Identifier: ISC

import Glibc
import IPC
import Mail
import Posix
import Configuration

/// What a delivery by ~/.forward or by an alias asks of this agent.
nonisolated enum ForwardItem: Hashable {
    case file(String)
    case command(String)
    case outcome(MailboxOutcome)

    /// Reads it where it stands: an envelope carries the command of an alias, but of a ~/.forward only the ordinal.
    ///
    /// The item of an alias is the only path or command in a frame. It is nobody's but the foreign user's: whoever could
    /// name one to the agent of a person would be that person.
    static func find(_ form: LocalForm, user: String, home: String) -> ForwardItem {
        switch form {
        case .action:
            return .outcome(.failed("Not a delivery by ~/.forward"))
        case .forward(let ordinal):
            return inForward(ordinal, home)
        case .alias(let text):
            guard ForeignUser.candidates.contains(user) else {
                return .outcome(.failed("No alias is delivered as \(user)"))
            }
            // Quotes and escapes were undone when the alias was read.
            if text.hasPrefix("|") { return .command(String(text.dropFirst())) }
            return text.hasPrefix("/") ? .file(text) : .outcome(.failed("Invalid item of an alias"))
        }
    }

    private static func inForward(_ ordinal: UInt16, _ home: String) -> ForwardItem {
        do {
            let file = try FileDescriptor.open("\(home)/.forward", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
            let status = try file.status()
            guard status.isRegularFile, status.st_uid == geteuid() || status.st_uid == 0, status.st_mode & 0o022 == 0
            else {
                return .outcome(.failed("Unsafe ~/.forward"))
            }
            guard let bytes = try file.readAll(limit: ForwardText.longestForward - 1) else {
                return .outcome(.failed("~/.forward is too long"))
            }
            let entries = try ForwardText(bytes).entries
            guard let entry = entries.first(where: { $0.ordinal == ordinal }) else { return changed }
            return of(entry.item)
        } catch let error as SystemError {
            return error.code == ENOENT ? changed : .outcome(.failure(error, "Cannot read ~/.forward"))
        } catch {
            return .outcome(.failed("Invalid ~/.forward"))
        }
    }

    private static func of(_ item: ExpansionItem) -> ForwardItem {
        switch item {
        case .file(let path): .file(path)
        case .command(let command): .command(command)
        case .error, .include, .mailbox, .user: changed
        }
    }

    // Another line stands there than when the message came; perhaps it is being edited.
    private static let changed = ForwardItem.outcome(.deferred("~/.forward has changed"))
}
