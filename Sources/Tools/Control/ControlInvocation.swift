// SPDX-License-Identifier: ISC

/// The arguments of martletctl.
nonisolated struct ControlInvocation: Hashable, Sendable {
    static let usage = "usage: martletctl [--instance directory] [--json] command [argument ...]\n"

    enum Form: Hashable, Sendable {
        case text
        case json
    }

    enum Mistake: Error, Hashable, Sendable {
        case usage
        /// More than one command may be meant, or the words end too early.
        case possibilities([String])
        case argument(String)

        /// What the user is told.
        var text: String {
            switch self {
            case .usage: ControlInvocation.usage
            case .possibilities(let forms):
                "possibilities are:\n" + forms.map { "\($0)\n" }.joined()
            case .argument(let word): "invalid argument: \(word)\n"
            }
        }
    }

    var instance: String?
    var form = Form.text
    var command: ControlCommand

    /// Reads arguments without the program's name. Options may stand anywhere.
    init(parsing arguments: [String]) throws(Mistake) {
        var words: [String] = []
        var rest = arguments[...]
        while let word = rest.popFirst() {
            switch word {
            case "--json":
                form = .json
            case "--instance":
                guard let directory = rest.popFirst(), !directory.isEmpty else { throw .usage }
                instance = directory
            default:
                guard !word.hasPrefix("-") else { throw .usage }
                words.append(word)
            }
        }
        command = try Self.command(words)
    }

    /// The command that `words` mean, each of which may be cut short as long as no other begins the same.
    static func command(_ words: [String]) throws(Mistake) -> ControlCommand {
        guard !words.isEmpty else { throw .usage }
        var forms = CommandForm.all
        for (place, word) in words.enumerated() {
            // A word in full is never taken for the beginning of another.
            let isWhole = forms.contains { $0.words.count > place && $0.words[place] == word }
            forms = forms.filter { form in
                guard form.words.count > place else { return form.length > place }
                return isWhole ? form.words[place] == word : form.words[place].hasPrefix(word)
            }
        }
        guard !forms.isEmpty else { throw .usage }
        // What can be no argument makes no possibility either, unless there is no other.
        let valid = forms.filter { form in
            form.words.count >= words.count || form.command(words.last) != nil
        }
        let meant = valid.isEmpty ? forms : valid
        let fitting = meant.filter { $0.length == words.count }
        guard Set(meant.map { Array($0.words.prefix(words.count)) }).count == 1, let form = fitting.first else {
            throw .possibilities((fitting.count > 1 ? fitting : meant).map(\.usage))
        }
        guard let command = form.command(form.argument == .none ? nil : words.last) else {
            throw .argument(words.last ?? "")
        }
        return command
    }
}
