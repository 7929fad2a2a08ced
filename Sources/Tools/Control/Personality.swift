// SPDX-License-Identifier: ISC

/// Which of its programs this one is, by the name it was called with.
nonisolated enum Personality: Hashable, Sendable {
    case control
    case queueListing
    case submission
    case aliasRebuilding
    case mapMaking

    /// The personality and the arguments that are left for it. `martletctl sendmail` is sendmail,
    /// and so are newaliases and makemap.
    static func choose(_ arguments: [String]) -> (Personality, [String]) {
        let name = arguments.first.map(baseName) ?? ""
        let rest = Array(arguments.dropFirst())
        switch name {
        case "sendmail", "send-mail": return (.submission, rest)
        case "mailq": return (.queueListing, rest)
        case "newaliases": return (.aliasRebuilding, rest)
        case "makemap": return (.mapMaking, rest)
        default:
            guard let (instance, word, others) = leadingWord(rest) else { return (.control, rest) }
            switch word {
            case "sendmail": return (.submission, instance + others)
            case "newaliases": return (.aliasRebuilding, instance + others)
            // It knows of no server.
            case "makemap": return (.mapMaking, others)
            default: return (.control, rest)
            }
        }
    }

    // The first word behind `--instance directory`.
    private static func leadingWord(_ arguments: [String]) -> (instance: [String], word: String, others: [String])? {
        var rest = arguments[...]
        var instance: [String] = []
        if rest.first == "--instance", rest.count >= 2 {
            instance = Array(rest.prefix(2))
            rest = rest.dropFirst(2)
        }
        guard let word = rest.popFirst() else { return nil }
        return (instance, word, Array(rest))
    }

    private static func baseName(_ path: String) -> String {
        path.split(separator: "/").last.map(String.init) ?? path
    }
}
