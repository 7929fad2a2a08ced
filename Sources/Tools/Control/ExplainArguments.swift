// SPDX-License-Identifier: ISC

import IPC
import Mail

/// `explain [--from ADDR] [--helo H] [--auth USER] [--tls] [--tag T] SENDER RECIPIENT`
nonisolated enum ExplainArguments {
    static let usage = "explain [--from ADDR] [--helo H] [--auth USER] [--tls] [--tag T] SENDER RECIPIENT"

    /// Reads what stands behind the verb, options of martletctl itself left out. Options may stand anywhere.
    static func command(_ arguments: [String]) throws(ControlInvocation.Mistake) -> ControlCommand {
        var client: IPAddress?
        var greeting: String?
        var user: String?
        var tag: String?
        var isSecure = false
        var paths: [String] = []
        var rest = arguments[...]
        while let word = rest.popFirst() {
            switch word {
            case "--tls": isSecure = true
            case "--from":
                let text = try value(&rest)
                guard let address = IPAddress(text) else { throw .argument(text) }
                client = address
            case "--helo": greeting = try value(&rest)
            case "--auth": user = try value(&rest)
            case "--tag": tag = try value(&rest)
            default:
                guard !word.hasPrefix("-") else { throw .possibilities([usage]) }
                paths.append(word)
            }
        }
        guard paths.count == 2 else { throw .possibilities([usage]) }
        guard let sender = ReversePath(address(paths[0])) else { throw .argument(paths[0]) }
        guard let recipient = Mailbox(address(paths[1])) else { throw .argument(paths[1]) }
        return .explain(
            HypotheticalRecipient(
                client: client, greeting: greeting, user: user, tag: tag, isSecure: isSecure, sender: sender,
                recipient: recipient))
    }

    private static func value(_ rest: inout ArraySlice<String>) throws(ControlInvocation.Mistake) -> String {
        guard let value = rest.popFirst(), !value.isEmpty else { throw .possibilities([usage]) }
        // What is sent on must be fit for a line of SMTP.
        guard value.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { throw .argument(value) }
        return value
    }

    // With or without angle brackets; `@` is what tables call the empty sender.
    private static func address(_ text: String) -> String {
        if text == "@" { return "" }
        return text.hasPrefix("<") && text.hasSuffix(">") ? String(text.dropFirst().dropLast()) : text
    }
}
