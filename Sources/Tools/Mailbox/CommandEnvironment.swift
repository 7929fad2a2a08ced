// SPDX-License-Identifier: ISC

import IPC
import Mail

/// The variables that a command gets, and no others.
nonisolated enum CommandEnvironment {
    // _PATH_DEFPATH
    private static let path = "/usr/bin:/bin"
    static let shell = "/bin/sh"

    static func lines(for delivery: MailboxDelivery, user: String, home: String) -> [String] {
        let lines = [
            "PATH=\(path)",
            "DOMAIN=\(delivery.recipient.domain.text)",
            "HOME=\(home)",
            "ORIGINAL_RECIPIENT=\(text(delivery.recipient))",
            "RECIPIENT=\(text(delivery.destination))",
            "SHELL=\(shell)",
            "LOCAL=\(delivery.recipient.localPart.text)",
            "LOGNAME=\(user)",
            "USER=\(user)",
            "SENDER=\(delivery.sender.mailbox.map(text) ?? "")",
        ]
        return lines + (delivery.subaddress.map { ["EXTENSION=\($0)"] } ?? [])
    }

    private static func text(_ mailbox: Mail.Mailbox) -> String { "\(mailbox.localPart.text)@\(mailbox.domain.text)" }
}
