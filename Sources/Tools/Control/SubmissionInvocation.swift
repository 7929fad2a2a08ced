// SPDX-License-Identifier: ISC

/// The arguments of sendmail, those of the programs that callers expect it to be.
nonisolated struct SubmissionInvocation: Hashable, Sendable {
    static let usage = """
        usage: sendmail [--instance directory] [-tv] [-F name] [-f from] [-N notify] [-R ret] [-V envid] to ...

        """

    enum Mode: Hashable, Sendable {
        /// Send the message on standard input.
        case send
        /// Carry an SMTP session between standard input and output and the server.
        case session
        /// What mailq does.
        case listQueue
        /// Send the message of a file that waited, which is standard input.
        case offline
        /// What newaliases does.
        case rebuildAliases
        /// What the server does by itself (`-q`).
        case unsupported(String)
    }

    enum Mistake: Error, Hashable, Sendable {
        case usage
        case value(option: Character, String)

        var text: String {
            switch self {
            case .usage: SubmissionInvocation.usage
            case .value(let option, let value): "sendmail: invalid value for -\(option): \(value)\n"
            }
        }
    }

    var instance: String?
    /// All of them.
    var given: [String] = []
    var mode = Mode.send
    /// As given; nil when the message or the caller names the sender.
    var sender: String?
    var fullName: String?
    var recipients: [String] = []
    /// The fields of the message name recipients, too.
    var readsRecipients = false
    var isVerbose = false
    /// Values for the parameters NOTIFY, RET and ENVID (RFC 3461 section 4), in their canonical form; ENVID decoded.
    var notify: String?
    var returned: String?
    var envelopeIdentifier: String?

    // RFC 3461 section 4.4
    private static let longestEnvelopeIdentifier = 100

    /// Reads arguments without the program's name. The first that is no option begins the recipients.
    init(parsing arguments: [String]) throws(Mistake) {
        var rest = arguments[...]
        if rest.first == "--instance" {
            rest = rest.dropFirst()
            guard let directory = rest.popFirst(), !directory.isEmpty else { throw .usage }
            instance = directory
        }
        if rest == ["--offline"] {
            mode = .offline
            return
        }
        while let argument = rest.first, argument.hasPrefix("-"), argument.count > 1 {
            rest = rest.dropFirst()
            if argument == "--" { break }
            try readLetters(argument.dropFirst(), &rest)
        }
        recipients = Array(rest)
    }

    private mutating func readLetters(_ letters: Substring, _ rest: inout ArraySlice<String>) throws(Mistake) {
        var letters = letters
        while let letter = letters.popFirst() {
            switch letter {
            case "t": readsRecipients = true
            case "v": isVerbose = true
            // Accepted for the sake of callers, without effect: a lone dot never ends the message, the user is always
            // the one that the kernel names.
            case "i", "m", "x", "S": break
            case "q":
                mode = .unsupported("the queue runs by itself")
                letters = ""
            // With or without a value, which is then attached.
            case "E": letters = ""
            case "A", "B", "L", "e", "o", "p":
                _ = try value(&letters, &rest)
            case "b": try setMode(try value(&letters, &rest))
            case "f", "r":
                let text = try value(&letters, &rest, mayBeEmpty: true)
                guard text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else { throw .value(option: letter, "") }
                sender = text
            case "F": fullName = try value(&letters, &rest, mayBeEmpty: true)
            case "N": notify = try Self.notify(try value(&letters, &rest))
            case "R": returned = try Self.returned(try value(&letters, &rest))
            case "V":
                let text = try value(&letters, &rest)
                guard text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }),
                    text.utf8.count <= Self.longestEnvelopeIdentifier
                else { throw .value(option: "V", text) }
                envelopeIdentifier = text
            default:
                throw .usage
            }
        }
    }

    private func value(
        _ letters: inout Substring, _ rest: inout ArraySlice<String>, mayBeEmpty: Bool = false
    ) throws(Mistake) -> String {
        let attached = String(letters)
        letters = ""
        guard let value = attached.isEmpty ? rest.popFirst() : attached, mayBeEmpty || !value.isEmpty else {
            throw .usage
        }
        return value
    }

    private mutating func setMode(_ value: String) throws(Mistake) {
        switch value.first {
        case "s": mode = .session
        case "p": mode = .listQueue
        case "i": mode = .rebuildAliases
        default: break
        }
    }

    private static func notify(_ text: String) throws(Mistake) -> String {
        let upper = text.uppercased()
        let words = upper.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        let known = Set(["SUCCESS", "FAILURE", "DELAY"])
        guard upper == "NEVER" || (words.allSatisfy(known.contains) && Set(words).count == words.count) else {
            throw .value(option: "N", text)
        }
        return upper
    }

    private static func returned(_ text: String) throws(Mistake) -> String {
        let upper = text.uppercased()
        guard upper == "FULL" || upper == "HDRS" else { throw .value(option: "R", text) }
        return upper
    }
}
